-- switch: two tasks yield N times each; lua5.4 switch.lua lua_async N
local async = require "lua_async"
local common = require "common"
common.clock = async.now
local n = tonumber(arg[2])
local count = 0

async.run(function()
  local yield = async.yield
  local function body()
    for _ = 1, n do yield() end
    count = count + n
  end
  local stop = common.start()
  local a, b = async.spawn(body), async.spawn(body)
  a:await()
  b:await()
  local w, c = stop()
  assert(count == 2 * n, "count wrong")
  common.report("w2_switch", "lua_async", 2 * n, w, c)
end)
