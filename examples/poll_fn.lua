-- poll_fn: a combinator by hand. first_of(a, b) is ready as soon as one of two futures is.
--
-- This is what a `select` is made of: a future that polls others with its own context.
-- Each of them keeps the waker of the task that awaits us, so whichever makes progress
-- wakes that task, which polls us, and we poll both again.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"

-- A Future of which of the two came first (1 or 2), and its values. The other one is
-- given up: its reference goes, and with the next garbage collection what it had begun.
local function first_of(a, b)
  local function look(which, state, ...)
    if state == "pending" then return end
    a, b = nil, nil
    return which, table.pack(...)
  end
  return async.poll_fn(function(cx)
    local which, values = look(1, a:poll(cx))
    if not which then which, values = look(2, b:poll(cx)) end
    if not which then return "pending" end
    return "ready", which, table.unpack(values, 1, values.n)
  end, function() a, b = nil, nil end) -- given up ourselves: so are they
end

-- A value that is set once, and the future of it: the smallest thing with a waker.
local function oneshot()
  local value, waker
  local function set(v)
    value = v
    if waker then waker:wake() end
  end
  return set, async.poll_fn(function(cx)
    if value ~= nil then return "ready", value end
    waker = cx:waker() -- always that of the newest poll
    return "pending"
  end)
end

async.run(function()
  -- Futures of any kind: one of a function, one of an operation of the module.
  local slow = async.future(function() async.sleep(10) return "slow" end)
  local fast = async.future(function() async.sleep(0.02) return "fast", "and", "more" end)
  print(first_of(slow, fast):await())

  -- Both are ready at their first poll: the first one wins.
  print(first_of(async.future(function() return "a" end),
                 async.future(function() return "b" end)):await())

  -- A value that another task sets, or ten seconds.
  local set, value = oneshot()
  async.spawn(function() async.sleep(0.02) set("the value") end)
  print(first_of(value, async.future(async.sleep, 10)):await())

  -- They nest, since what comes out is a future again.
  local _, never = oneshot()
  local soon = async.future(async.sleep, 0.02)
  print(first_of(never, first_of(async.future(async.sleep, 10), soon)):await())
end)
