local async = require "lua_async"
local fs = async.fs
local dir = assert(fs.mkdtemp())
local ok, e = pcall(function()
  local f <close>, path = assert(fs.mkstemp(dir .. "/f"))
  assert(f:write("one\n", 2, "\n"))
  assert(f:write("more\n"):datasync())
  assert(f:seek("set"))
  for _ in f:lines() do end
  assert(fs.copy(path, dir .. "/copy"))
  assert(fs.symlink("copy", dir .. "/l"))
  assert(fs.link(dir .. "/copy", dir .. "/h"))
  assert(fs.readlink(dir .. "/l"))
  assert(fs.realpath(dir))
  assert(fs.chmod(dir .. "/copy", 384))
  assert(fs.chown(dir .. "/copy"))
  assert(fs.utime(dir .. "/copy"))
  assert(fs.mkdir(dir .. "/a/b", { parents = true }))
  local watch <close> = assert(fs.watch(dir))
  assert(fs.write_file(dir .. "/new", ""))
  assert(watch())
  for _, kind in assert(fs.walk(dir, { follow = true, order = "post" })) do assert(kind) end
end)
async.shield(function()
  while not fs.remove(dir, { recursive = true }) and fs.stat(dir) do async.yield() end
end)
assert(ok, e)
