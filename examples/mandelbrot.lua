-- mandelbrot: a picture computed on all cores. lua5.4 mandelbrot.lua [file.pgm [width [height]]]
--
-- Each row is a call on the pool of threads; the rows come back as strings, in order. How far they are stands
-- in a number that all threads share, from which a bar is drawn, on a terminal only.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"
local thread, err = async.thread, async.stderr

-- One row, a byte for each point. It runs elsewhere: what it uses are its arguments, and the globals there.
local function row(y, width, height, done)
  local bytes = {}
  local ci = y * 2.4 / height - 1.2
  for x = 0, width - 1 do
    local cr = x * 3.2 / width - 2.2
    local zr, zi, n = 0.0, 0.0, 0
    while n < 255 and zr * zr + zi * zi < 4 do
      zr, zi, n = zr * zr - zi * zi + cr, 2 * zr * zi + ci, n + 1
    end
    bytes[x + 1] = string.char(255 - n)
  end
  done:add()
  return table.concat(bytes)
end

-- Draws how many of the rows are done, ten times a second, until it is cancelled.
local function bar(done, height)
  local _ <close> = setmetatable({}, { __close = function()
    async.shield(function() err:write("\r\27[K") end)
  end })
  for _ in async.time.interval(0.1) do
    local columns = err:size()
    local width = (columns and columns > 8 and columns or 80) - 8
    local part = done:get() / height
    local full = math.floor(width * part)
    err:write(("\r[%s%s] %3d%%"):format(("="):rep(full), (" "):rep(width - full), part * 100 // 1))
  end
end

async.run(function()
  local path = arg[1] or "mandelbrot.pgm"
  local width, height = tonumber(arg[2] or 1200), tonumber(arg[3] or 900)
  local done, rows = thread.shared(0), {}
  for y = 1, height do rows[y] = y - 1 end

  local picture
  local function all()
    picture = async.map(rows, function(y)
      return thread.spawn_blocking(row, y, width, height, done):await()
    end, { limit = 2 * thread.cores() })
  end
  if err:isatty() then
    async.select { all, function() bar(done, height) end }
  else
    all()
  end
  assert(async.fs.write_file(path, ("P5\n%d %d\n255\n"):format(width, height) .. table.concat(picture)))
  print(("%s: %d x %d points, on up to %d cores"):format(path, width, height, thread.cores()))
end)
