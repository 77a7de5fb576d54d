-- progress: counts the bytes and lines of files, with a progress bar. lua5.4 progress.lua [path...]
--
-- The bar is drawn on a terminal only; elsewhere the results are all there is, as a program
-- that reads them expects. Long work gives it a turn by waiting: each read does.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"
local err = async.stderr

-- Draws how much of `work.total` is done, ten times a second, until it is cancelled.
local function bar(work)
  local _ <close> = setmetatable({}, { __close = function()
    async.shield(function() err:write("\r\27[K") end)
  end })
  for _ in async.time.interval(0.1) do
    local columns = err:size()
    local width = (columns and columns > 8 and columns or 80) - 8
    local part = work.total > 0 and work.done / work.total or 1
    local full = math.floor(width * part)
    err:write(("\r[%s%s] %3d%%"):format(("="):rep(full), (" "):rep(width - full), part * 100 // 1))
  end
end

local function count(path, work)
  local file <close> = assert(async.fs.open(path))
  local bytes, lines = 0, 0
  for piece in file:lines(65536) do
    bytes = bytes + #piece
    lines = lines + select(2, piece:gsub("\n", ""))
    work.done = work.done + #piece
  end
  return { path = path, bytes = bytes, lines = lines }
end

async.run(function()
  local paths = #arg > 0 and { table.unpack(arg) } or { arg[0] }
  local work = { done = 0, total = 0 }
  for _, path in ipairs(paths) do work.total = work.total + assert(async.fs.stat(path)).size end

  local results
  local function all()
    results = async.map(paths, function(path) return count(path, work) end, { limit = 8 })
  end
  if err:isatty() then
    async.select { all, function() bar(work) end } -- the bar ends when the work does
  else
    all()
  end
  for _, r in ipairs(results) do print(("%9d %6d  %s"):format(r.bytes, r.lines, r.path)) end
end)
