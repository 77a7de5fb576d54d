-- Folders, links, walks, recursive removal, watches.
local w = ...
local ok, async = w.ok, w.async
local fs = async.fs

local dir = w.dir .. "/tree"
ok(fs.mkdir(dir .. "/a/b/c", { parents = true }))
for i = 1, 5 do ok(fs.write_file(dir .. "/a/b/f" .. i, "x")) end
ok(fs.symlink("f1", dir .. "/a/b/l"))
ok(fs.link(dir .. "/a/b/f1", dir .. "/a/b/k"))
w.same(ok(fs.readlink(dir .. "/a/b/l")), "f1", "a link")
w.same(ok(fs.realpath(dir .. "/a/b/l")):match("[^/]*$"), "f1", "a real path")
ok(fs.chmod(dir .. "/a/b/f1", 384))
ok(fs.utime(dir .. "/a/b/f1", 1, 2))
w.same(ok(fs.stat(dir .. "/a/b/f1")).mode & 511, 384, "a mode")
ok(fs.rename(dir .. "/a/b/f5", dir .. "/a/b/f6"))
do
  local watch <close> = ok(fs.watch(dir))
  ok(fs.write_file(dir .. "/new", "x"))
  ok(watch())
end
local n = 0
for _ in ok(fs.dir(dir .. "/a/b")) do n = n + 1 end
w.same(n, 8, "the entries of a folder")
n = 0
for _, _, err in ok(fs.walk(dir)) do
  if err then ok(nil, err) end
  n = n + 1
end
w.same(n, 11, "the entries of a tree")
ok(fs.rename(ok(fs.mkdtemp(dir .. "/t")), dir .. "/t"))
ok(fs.remove(dir, { recursive = true }))
w.same((fs.lstat(dir)), nil, "what was removed")
