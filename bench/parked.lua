-- parked: memory of N tasks that sleep; lua5.4 parked.lua lua_async N
local async = require "lua_async"
local common = require "common"
common.clock = async.now
local n = tonumber(arg[2])

async.run(function()
  local sleep, spawn = async.sleep, async.spawn
  local count = 0
  local function task()
    sleep(1000)
    count = count + 1
  end
  collectgarbage()
  local r0, stop = common.rss(), common.start()
  for _ = 1, n do spawn(task) end
  async.yield()
  local w, c = stop()
  collectgarbage()
  assert(count == 0)
  common.report("w7_parked", "lua_async", n, w, c,
    ('"bytes_per":%.0f'):format((common.rss() - r0) * 1024 / n))
  os.exit(0, false)
end)
