-- compose: join of 10,000 sleeps, select of 100 won by each in turn, a timeout around what is ready
-- at once; each beside the same without it. lua5.4 compose.lua lua_async
local async = require "lua_async"
local common = require "common"
common.clock = async.now

local function measure(name, n, f)
  collectgarbage()
  local stop = common.start()
  f(n)
  local w, c = stop()
  common.report(name, "lua_async", n, w, c)
end

async.run(function()
  local sleep, future, yield = async.sleep, async.future, async.yield
  async.time.pause()
  local function sleeps(n)
    local list = {}
    for i = 1, n do list[i] = future(sleep, 1) end
    return list
  end
  for _ = 1, 3 do
    measure("join_10000_sleeps", 10000, function(n) async.join(sleeps(n)) end)
    measure("bare_10000_sleeps", 10000, function(n)
      for _, fut in ipairs(sleeps(n)) do async.spawn(fut) end
      sleep(2)
    end)
    measure("bare_awaits", 10000, function(n) for _, fut in ipairs(sleeps(n)) do fut:await() end end)
    measure("select_of_100", 1000000, function()
      for turn = 1, 10000 do
        local winner = turn % 100 + 1
        local arms = {}
        for i = 1, 100 do arms[i] = future(sleep, i == winner and 1 or 2) end
        assert(async.select(arms) == winner)
      end
    end)
    measure("bare_1000000", 1000000, function(n) for _ = 1, n do future(sleep, 1):await() end end)
    local ready = function() return 1 end
    measure("call", 1000000, function(n) for _ = 1, n do ready() end end)
    measure("timeout_ready", 1000000, function(n) for _ = 1, n do async.timeout(1, ready) end end)
    measure("yield", 1000000, function(n) for _ = 1, n do yield() end end)
  end
end)
