-- Errors of operations on two paths name both.
local async = require "lua_async"
local support = require "spec.support"
local fs = async.fs

describe("the error of an operation on two paths", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  local function fails(op, code, from, to, message, opts)
    local ok, err = fs[op](from, to, opts)
    assert.is_nil(ok)
    assert.equal(code, err.code)
    assert.equal(op, err.op)
    assert.equal(from, err.path)
    assert.equal(to, err.to)
    assert.equal(message, err.message)
    assert.equal(("%s %s -> %s: %s (%s)"):format(op, from, to, message, code), tostring(err))
  end

  it("has the first as `path` and the second as `to`, and both in its text", function()
    support.run(function()
      local a, b, none = dir .. "/a", dir .. "/b", dir .. "/no/x"
      assert(fs.write_file(a, "a"))
      assert(fs.write_file(b, "b"))
      for _, op in ipairs { "rename", "link", "copy" } do
        fails(op, "ENOENT", none, dir .. "/c", "no such file or directory")
      end
      for _, op in ipairs { "rename", "link", "symlink" } do
        fails(op, "ENOENT", a, none, "no such file or directory")
      end
      fails("link", "EEXIST", a, b, "file already exists")
      fails("symlink", "EEXIST", "a", b, "file already exists")
      assert(fs.mkdir(dir .. "/d"))
      fails("rename", "EISDIR", a, dir .. "/d", "illegal operation on a directory")
    end)
  end)

  it("says of a copy that it is about the target", function()
    support.run(function()
      local a, b = dir .. "/a", dir .. "/b"
      assert(fs.write_file(a, "a"))
      assert(fs.write_file(b, "b"))
      fails("copy", "ENOENT", a, dir .. "/no/x", "cannot write " .. dir .. "/no/x: no such file or directory")
      fails("copy", "EEXIST", a, b, "cannot write " .. b .. ": file already exists", { exclusive = true })
      fails("copy", "ENOSPC", a, "/dev/full", "cannot write /dev/full: no space left on device")
      fails("copy", "EINVAL", a, a, "source and target are the same file")
    end)
  end)

  it("goes to other threads whole", function()
    support.run(function()
      local rename = load [[
        local path, lua_async = ..., require "lua_async"
        return select(2, lua_async.run(lua_async.fs.rename, path .. "/x", path .. "/y"))
      ]]
      local err = async.thread.spawn_blocking(rename, dir):await()
      assert.equal(dir .. "/y", err.to)
      assert.truthy(tostring(err):find(dir .. "/x -> " .. dir .. "/y: ", 1, true))
    end)
  end)
end)
