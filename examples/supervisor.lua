-- supervisor: threads that depend on one another, kept running. lua5.4 supervisor.lua
--
-- As in Erlang: a child that fails is started again, with those that were started after it ("rest for one"),
-- as they may hold what it had. Too many failures in a short time are the supervisor's own failure.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"
local thread = async.thread
io.stdout:setvbuf("line")

-- Ends a child, and waits until it has unwound.
local function stop(task)
  task:cancel()
  pcall(task.await, task)
end

-- Runs children = { { name, function, argument... } ... } until all have returned. Their failures are
-- counted: more than `limit` of them in `seconds` are an error.
local function supervise(children, limit, seconds)
  local running, failures = {}, {}
  local _ <close> = setmetatable({}, { __close = function() -- whatever happens: none is left behind
    async.shield(function()
      for i = #children, 1, -1 do
        if running[i] then stop(running[i]) end
      end
    end)
  end })
  local function start(first)
    for i = first, #children do
      local child = children[i]
      print("start " .. child[1])
      running[i] = thread.spawn(table.unpack(child, 2))
    end
  end

  start(1)
  while next(running) do
    local indices, waits = {}, {}
    for i, task in pairs(running) do
      indices[#indices + 1] = i
      waits[#waits + 1] = function() return pcall(task.await, task) end
    end
    local which, ok, err = async.select(waits)
    local i = indices[which]
    if ok then
      print("done " .. children[i][1])
      running[i] = nil
    else
      print(("failed %s: %s"):format(children[i][1], err))
      failures[#failures + 1] = async.now()
      if #failures > limit and async.now() - failures[#failures - limit] < seconds then
        error("too many failures, the last of them: " .. tostring(err), 0)
      end
      for k = #children, i, -1 do
        if running[k] then stop(running[k]) end
        running[k] = nil
      end
      start(i)
    end
  end
end

-- A child that counts, and fails before it comes to three, as long as there is an attempt left.
local function flaky(attempts, ticks)
  for n = 1, 3 do
    async.sleep(0.001)
    if n == 2 and attempts:add(-1) >= 0 then error("lost count", 0) end
  end
  ticks:add()
end

-- One that depends on it: it ends when the other has come to its end.
local function follower(ticks)
  while ticks:get() == 0 do async.sleep(0.001) end
end

async.run(function()
  local attempts, ticks = thread.shared(2), thread.shared(0)
  supervise({ { "flaky", flaky, attempts, ticks }, { "follower", follower, ticks } }, 5, 10)
  print "all done"

  attempts:set(100)
  print(pcall(supervise, { { "hopeless", flaky, attempts, ticks } }, 3, 10))
end)
