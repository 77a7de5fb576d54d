-- spawn: lua5.4 spawn.lua lua_async batch|all N
local async = require "lua_async"
local common = require "common"
common.clock = async.now
local variant, n = arg[2], tonumber(arg[3])
local batch = variant == "all" and n or 1000
local count = 0
local function task() count = count + 1 end

async.run(function()
  local spawn, yield = async.spawn, async.yield
  local stop = common.start()
  for _ = 1, n // batch do
    for _ = 1, batch do spawn(task) end
    yield()
  end
  while count < n do yield() end
  local w, c = stop()
  assert(count == n, "count wrong")
  common.report("w1_spawn_" .. variant, "lua_async", n, w, c)
end)
