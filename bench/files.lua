-- files: lua5.4 files.lua lua_async fsread DIR N
local async = require "lua_async"
local common = require "common"
common.clock = async.now

local function read_small(dir, n)
  local read_file, bytes, done, next_i = async.fs.read_file, 0, 0, 0
  local function worker()
    while next_i < n do
      local path = dir .. "/f" .. next_i
      next_i = next_i + 1
      local data = assert(read_file(path)) -- not in the sum: others add to it meanwhile
      bytes = bytes + #data
      done = done + 1
    end
  end
  local stop, tasks = common.start(), {}
  for i = 1, 64 do tasks[i] = async.spawn(worker) end
  for i = 1, 64 do tasks[i]:await() end
  local w, c = stop()
  assert(done == n and bytes == n * 4096, "short")
  common.report("w8_read_small", "lua_async", n, w, c)
end

async.run(function()
  if arg[2] == "fsread" then read_small(arg[3], tonumber(arg[4])) end
end)
