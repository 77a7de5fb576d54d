-- File objects and whole files.
local w = ...
local ok, async = w.ok, w.async
local fs = async.fs

local path, text = w.dir .. "/f", w.text(200000)
ok(fs.write_file(path, text))
w.same(ok(fs.read_file(path)), text, "a whole file")
ok(fs.write_file(path, "new", { atomic = true }))
w.same(ok(fs.read_file(path)), "new", "what was written atomically")
ok(fs.write_file(path, "er", { append = true }))
w.same(ok(fs.read_file(path)), "newer", "what was appended")
do
  local f = ok(fs.open(path, "w+"))
  local _ <close> = w.closing(f)
  for i = 1, 20 do ok(f:write(text:sub(i * 10000 - 9999, i * 10000))) end
  ok(f:flush())
  ok(f:seek("set", 0))
  local lines = {}
  for line in f:lines("L") do lines[#lines + 1] = line end
  local read = table.concat(lines)
  if read ~= text then -- lines() ends at a failure as at the end; read tells which
    ok(f:seek("set", 0))
    read = ok(f:read("a"))
  end
  w.same(read, text, "lines")
  ok(f:write_at(0, "HEAD"))
  w.same(ok(f:read_at(0, 8)), "HEAD" .. text:sub(5, 8), "read_at")
  ok(f:sync())
  ok(f:datasync())
  ok(f:truncate(4))
  w.same(ok(f:stat()).size, 4, "the size")
  ok(f:close())
end
ok(fs.write_file(path, text))
ok(fs.copy(path, w.dir .. "/g"))
w.same(ok(fs.read_file(w.dir .. "/g")), text, "a copy")
do
  local from <close> = ok(fs.open(path))
  local to = ok(fs.open(w.dir .. "/h", "w"))
  local _ <close> = w.closing(to)
  ok(async.copy(from, to))
  ok(to:close())
  w.same(ok(fs.read_file(w.dir .. "/h")), text, "what was copied")
end
local f, name = fs.mkstemp(w.dir .. "/m")
ok(f, name)
ok(f:close())
