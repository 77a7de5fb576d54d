-- Async blocks: a Future of a function that captures variables.
--
-- Rust's `async { … name … }` is async.future(function() … name … end): nothing runs
-- before it is awaited (or spawned), and it runs once.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"

async.run(function()
  local name = "World"
  local greeting = async.future(function()
    print "preparing the greeting"
    async.sleep(0.01)
    return "Hello, " .. name .. "!" -- captured, as in any Lua closure
  end)
  print "made"
  print(greeting:await())

  -- Captured by reference: the block sees the variable as it is when it runs. Arguments
  -- are evaluated now, as Rust's `async move` takes its own.
  local by_reference = async.future(function() return name end)
  local by_value = async.future(function(n) return n end, name)
  name = "Moon"
  print(by_reference:await(), by_value:await())

  -- It can be handed on before it has run: as a task, under a timeout.
  local task = async.spawn(async.future(function()
    async.sleep(0.01)
    return "spawned under the " .. name
  end))
  print(task:await())
  local value, err = async.timeout(0.01, async.future(function() async.sleep(10) end))
  print(value, err)

  -- `async fn` is async.fn: a function each call of which makes such a Future.
  local greet = async.fn(function(whom)
    async.sleep(0.01)
    return "Hello, " .. whom .. "!"
  end)
  local you = greet("you") -- has not begun
  print(you:await())

  -- A Future is used up by its await.
  print(select(2, pcall(you.await, you)))
end)
