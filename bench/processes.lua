-- processes: starts and reaps N children of /bin/true, WIDTH at once
--   processes.lua lua_async N [WIDTH]
local async = require "lua_async"
local common = require "common"
common.clock = async.now
local n, width = tonumber(arg[2] or "1000"), tonumber(arg[3] or "8")

async.run(function()
  local measure = common.start()
  local left = n
  async.scope(function(scope)
    for _ = 1, width do
      scope:spawn(function()
        while left > 0 do
          left = left - 1
          local child = assert(async.process.spawn { "/bin/true" })
          assert(child:wait().ok)
        end
      end)
    end
  end)
  local wall, cpu = measure()
  common.report("processes", "lua_async", n, wall, cpu)
end)
