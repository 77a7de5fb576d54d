-- compose: combinators beside the same number of bare awaits; lua5.4 compose.lua lua_async WORK
local async = require "lua_async"
local common = require "common"
common.clock = async.now
local work = arg[2]
local sleep, future = async.sleep, async.future

local function sleeps(n)
  local list = {}
  for i = 1, n do list[i] = future(sleep, 1) end
  return list
end

local function ready() return 1 end

local works = {
  join = function() -- of 10,000, a hundred times
    for _ = 1, 100 do async.join(sleeps(10000)) end
    return 1000000
  end,
  select = function() -- of 100, won by each in turn, 10,000 times
    for turn = 1, 10000 do
      local winner, arms = turn % 100 + 1, {}
      for i = 1, 100 do arms[i] = future(sleep, i == winner and 1 or 2) end
      assert(async.select(arms) == winner)
    end
    return 1000000
  end,
  awaits = function()
    for _ = 1, 100 do
      for _, fut in ipairs(sleeps(10000)) do fut:await() end
    end
    return 1000000
  end,
  timeout = function()
    for _ = 1, 1000000 do async.timeout(1, ready) end
    return 1000000
  end,
  call = function()
    for _ = 1, 1000000 do ready() end
    return 1000000
  end,
}

async.run(function()
  async.time.pause()
  collectgarbage()
  local stop = common.start()
  local n = works[work]()
  local w, c = stop()
  common.report("compose_" .. work, "lua_async", n, w, c)
end)
