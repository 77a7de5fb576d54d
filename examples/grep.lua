-- grep: a Lua pattern in all files of some folders, many files at once.
-- lua5.4 grep.lua pattern [folder...]
--
-- One task walks the tree; the files it finds are read by others, 16 at a time, so that the pool
-- of threads always has something to do. Lines come in the order in which the files were found.
local here = arg[0]:gsub("[^/]*$", "")
package.cpath = ("%s;%s../build/?.so"):format(package.cpath, here)

local async = require "lua_async"
local fs = async.fs

local pattern = arg[1]
if not pattern then
  io.stderr:write("usage: grep.lua pattern [folder...]\n")
  os.exit(2)
end
local failed = false

local function complain(err)
  io.stderr:write(tostring(err), "\n")
  failed = true
end

-- An iterator over the regular files below a folder. What is hidden is passed over.
local function files_below(folder)
  local walk, err = fs.walk(folder)
  if not walk then
    complain(err)
    return function() end
  end
  return function()
    for path, kind, unreadable in walk do
      if unreadable then complain(unreadable) end
      if path:find("/%.[^/]*$") then
        if kind == "directory" then walk:skip() end
      elseif kind == "file" then
        return path
      end
    end
  end
end

-- The lines of a file in which the pattern is, as they are to be printed.
local function search(path)
  local found, number = {}, 0
  local file, err = fs.open(path)
  if not file then
    complain(err)
    return found
  end
  local _ <close> = file
  for line in file:lines() do
    number = number + 1
    if line:find("\0", 1, true) then return {} end -- not a text
    if line:find(pattern) then found[#found + 1] = ("%s:%d:%s"):format(path, number, line) end
  end
  return found
end

local count = async.run(function()
  local n = 0
  for _, folder in ipairs(#arg > 1 and { table.unpack(arg, 2) } or { "." }) do
    for _, found in ipairs(async.map(files_below(folder), search, { limit = 16 })) do
      for _, line in ipairs(found) do print(line) end
      n = n + #found
    end
  end
  return n
end)
os.exit(failed and 2 or count > 0 and 0 or 1)
