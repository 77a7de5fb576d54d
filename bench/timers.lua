-- timers: N concurrent sleeps of 1 to 1000 ms, a task each; lua5.4 timers.lua lua_async N
local async = require "lua_async"
local common = require "common"
common.clock = async.now
local n = tonumber(arg[2])
local count = 0
local delay = common.delays()

async.run(function()
  local sleep, spawn = async.sleep, async.spawn
  local function task(s)
    sleep(s)
    count = count + 1
  end
  collectgarbage()
  local stop = common.start()
  for _ = 1, n do spawn(task, delay() / 1000) end
  while count < n do sleep(0.001) end
  local w, c = stop()
  common.report("w4_timers", "lua_async", n, w, c, ('"overshoot_ms":%.1f'):format((w - 1) * 1000))
end)
