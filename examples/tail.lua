-- tail: prints what is appended to a file, as it comes. lua5.4 tail.lua file [lines]
--
-- It watches the folder, not the file: when the file is moved away and a new one is made in its
-- place (as logrotate does) it prints the rest of the old one and goes on with the new one. It
-- ends after so many lines, or never.
local here = arg[0]:gsub("[^/]*$", "")
package.cpath = ("%s;%s../build/?.so"):format(package.cpath, here)

local async = require "lua_async"
local fs = async.fs

local path, rest = arg[1], tonumber(arg[2] or math.huge)
if not path then
  io.stderr:write("usage: tail.lua file [lines]\n")
  os.exit(2)
end
local folder = path:match("^(.*/)[^/]*$") or "./"
local name = path:match("[^/]*$")

local partial = "" -- of a line whose end has not been written yet

-- Prints what there is to be read, by whole lines.
local function print_new(file)
  for line in file:lines("L") do
    partial = partial .. line
    if line:sub(-1) == "\n" then
      io.write(partial)
      io.flush()
      partial = ""
      rest = rest - 1
      if rest <= 0 then return end
    end
  end
end

-- The file that is there now, if it is another than `file`, or `file` from its start when it was
-- emptied.
local function newer(file)
  local now = fs.stat(path)
  if not now then return file end -- moved away, and no new one yet
  local old = file and file:stat()
  if old and old.ino == now.ino and old.dev == now.dev then
    if now.size < file:seek() then file:seek("set", 0) end
    return file
  end
  if file then
    print_new(file) -- what came before it was moved
    file:close()
  end
  return fs.open(path)
end

async.run(function()
  local watch <close> = assert(fs.watch(folder))
  local file = fs.open(path)
  if file then file:seek("end") end
  io.stderr:write("following ", path, "\n")
  while rest > 0 do
    file = newer(file)
    if file then print_new(file) end
    while rest > 0 do
      local change = assert(watch())
      if change.kind == "overflow" or change.path == folder .. name then break end
    end
  end
  if file then file:close() end
end)
