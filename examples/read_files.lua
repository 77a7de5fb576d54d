-- read_files: many files at once. lua5.4 read_files.lua [path...]
--
-- Every file is a task; the reads go to libuv's pool of threads, one trip a file, while
-- the tasks wait. Without arguments it reads the folder it is in.
local here = arg[0]:gsub("[^/]*$", "")
package.cpath = ("%s;%s../build/?.so"):format(package.cpath, here)

local async = require "lua_async"
local fs = async.fs

-- The files in a folder and those below it, sorted by name.
local function files_below(folder)
  local found = {}
  for name, kind in assert(fs.dir(folder)) do
    local path = folder .. "/" .. name
    if kind == "directory" then
      for _, below in ipairs(files_below(path)) do found[#found + 1] = below end
    elseif kind == "file" then
      found[#found + 1] = path
    end
  end
  table.sort(found)
  return found
end

-- Starts `f(item)` for every item and returns their tasks, in the same order.
local function spawn_all(list, f)
  local tasks = {}
  for i, item in ipairs(list) do tasks[i] = async.spawn(f, item) end
  return tasks
end

local function count_lines(text) return select(2, text:gsub("\n", "")) end

local failures = async.run(function()
  local paths = #arg > 0 and arg or files_below(here == "" and "." or here:sub(1, -2))
  local tasks = spawn_all(paths, fs.read_file)
  local bytes, lines, failed = 0, 0, 0
  for i, path in ipairs(paths) do
    local text, err = tasks[i]:await() -- what read_file returned
    if text then
      print(("%8d  %s"):format(#text, path))
      bytes, lines = bytes + #text, lines + count_lines(text)
    else
      io.stderr:write(tostring(err), "\n") -- read_file PATH: no such file or directory (ENOENT)
      failed = failed + 1
    end
  end
  print(("%8d  bytes and %d lines in %d files"):format(bytes, lines, #paths - failed))
  return failed
end)
os.exit(failures == 0)
