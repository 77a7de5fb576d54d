-- files: lua5.4 files.lua lua_async WHAT…
-- fsread DIR N | fscopy SRC DST | fslines PATH N | fsreadlines PATH N | fscp SRC DST | copy SRC DST
local async = require "lua_async"
local common = require "common"
common.clock = async.now
local fs = async.fs

local PIECE = 65536
local work = {}

function work.fsread(dir, n)
  n = tonumber(n)
  local read_file, bytes, done, next_i = fs.read_file, 0, 0, 0
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

function work.fscopy(src, dst)
  local total, stop = 0, common.start()
  local i, o = assert(fs.open(src, "rb")), assert(fs.open(dst, "wb"))
  while true do
    local d = i:read(PIECE)
    if not d then break end
    assert(o:write(d))
    total = total + #d
  end
  i:close()
  assert(o:close())
  local w, c = stop()
  assert(total % PIECE == 0)
  common.report("w8_copy", "lua_async", total // PIECE, w, c)
end

function work.fslines(path, n)
  n = tonumber(n)
  local stop = common.start()
  local o = assert(fs.open(path, "wb"))
  for i = 1, n do o:write("line ", i, "\n") end
  assert(o:close())
  local w, c = stop()
  common.report("w8_lines", "lua_async", n, w, c)
end

-- Of a file that fslines has written.
function work.fsreadlines(path, n)
  n = tonumber(n)
  local bytes, count, stop = 0, 0, common.start()
  local i = assert(fs.open(path, "rb"))
  for line in i:lines() do
    bytes = bytes + #line + 1
    count = count + 1
  end
  local w, c = stop()
  assert(count == n and bytes == i:stat().size, "short")
  i:close()
  common.report("read_lines", "lua_async", n, w, c)
end

-- The system's own copy.
function work.fscp(src, dst)
  local stop = common.start()
  assert(fs.copy(src, dst))
  local w, c = stop()
  common.report("fs_copy", "lua_async", 1, w, c)
end

-- From one open file to another.
function work.copy(src, dst)
  local stop = common.start()
  local i, o = assert(fs.open(src, "rb")), assert(fs.open(dst, "wb"))
  local n = assert(async.copy(i, o))
  assert(o:close())
  i:close()
  local w, c = stop()
  assert(n == fs.stat(src).size, "short")
  common.report("copy", "lua_async", 1, w, c)
end

async.run(function()
  if work[arg[2]] then work[arg[2]](arg[3], arg[4]) end
end)
