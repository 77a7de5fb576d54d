-- CounterFuture: a future that is not ready before it was polled often enough.
--
-- The first future of the Rust books, once in Lua and once in C (examples/c/counter_future.c).
-- Each time it is polled too early it wakes its own task, which asks to be polled again.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so;%sexamples/?.so"):format(package.cpath, build, build)

local async = require "lua_async"
local counter_future = require "counter_future" -- the one in C

-- A future in Lua is its poll function: "pending", or "ready" and the values.
local function counter(name, target)
  local count = 0
  return async.poll_fn(function(cx)
    if count == target then
      print(name .. ": reached " .. target)
      return "ready", target
    end
    count = count + 1
    print(name .. ": polled, count = " .. count)
    -- Nothing outside will tell us that there is progress to make, so we say so
    -- ourselves. Without this line the task would wait for ever, and async.run would
    -- raise "deadlock".
    cx:waker():wake()
    return "pending"
  end)
end

async.run(function()
  local fut = counter("lua", 3)
  print "made: a future is lazy, nothing was polled yet"
  print("result: " .. fut:await())

  -- Every wake goes back through the executor, so two counters take turns.
  local a = async.spawn(counter("a", 2))
  local b = async.spawn(counter("b", 2))
  print("sum: " .. a:await() + b:await())

  -- The one in C is the same thing to whoever awaits it.
  print("C, awaited in place: " .. counter_future.count(3))
  print("C, as a lazy future: " .. counter_future.future(1000):await())
end)
