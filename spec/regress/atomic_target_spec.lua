-- What an atomic write_file may replace: a regular file or nothing, through links.
local async = require "lua_async"
local support = require "spec.support"
local sys, fs = support.sys, async.fs
local atomic = { atomic = true }

describe("an atomic write_file #process", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  local function entries()
    local t = {}
    for name, type in assert(fs.dir(dir)) do t[name] = type end
    return t
  end

  it("creates what a dangling link leads to, and leaves the link", function()
    support.run(function()
      assert(fs.mkdir(dir .. "/sub"))
      sys.symlink("target", dir .. "/a")
      sys.symlink("a", dir .. "/b")
      sys.symlink(dir .. "/sub/far", dir .. "/c")
      sys.symlink("../near", dir .. "/sub/d")
      sys.symlink("sub/d", dir .. "/e")
      assert.is_true(fs.write_file(dir .. "/b", "one", atomic))
      assert.equal("one", fs.read_file(dir .. "/target"))
      assert.is_true(fs.write_file(dir .. "/b", "two", atomic))
      assert.equal("two", fs.read_file(dir .. "/target"))
      assert.is_true(fs.write_file(dir .. "/c", "three", atomic))
      assert.equal("three", fs.read_file(dir .. "/sub/far"))
      assert.is_true(fs.write_file(dir .. "/e", "four", atomic))
      assert.equal("four", fs.read_file(dir .. "/near"))
      assert.same({ sub = "directory", target = "file", near = "file", a = "link", b = "link", c = "link",
        e = "link" }, entries())
    end)
  end)

  it("leaves owner, group and mode, as far as it may", function()
    if not sys.root() then return end
    for under, expected in pairs {
      [""] = "1001 1002 6754", -- both
      ["setpriv --bounding-set=-chown --inh-caps=-chown"] = "0 0 744",
      ["setpriv --regid=1002 --keep-groups --bounding-set=-chown --inh-caps=-chown"] = "0 1002 754",
    } do
      local path = dir .. "/f"
      support.run(function()
        assert(fs.write_file(path, "old"))
        assert(fs.chown(path, 1001, 1002))
        assert(fs.chmod(path, tonumber("6754", 8)))
      end)
      support.child_ok(([[
        async.run(function()
          assert(async.fs.write_file(%q, "new", { atomic = true }))
        end)
        print "ok"
      ]]):format(path), { under = under })
      support.run(function()
        local st = assert(fs.stat(path))
        assert.equal(expected, ("%d %d %o"):format(st.uid, st.gid, st.mode & 4095), under)
        assert.equal("new", fs.read_file(path))
        assert.is_true(fs.remove(path))
      end)
    end
  end)

  it("fails for a link to itself, and for one into no folder", function()
    support.run(function()
      sys.symlink("loop", dir .. "/loop")
      sys.symlink("none/x", dir .. "/lost")
      local ok, e = fs.write_file(dir .. "/loop", "x", atomic)
      assert.is_nil(ok)
      assert.equal("ELOOP", e.code)
      ok, e = fs.write_file(dir .. "/lost", "x", atomic)
      assert.is_nil(ok)
      assert.equal("ENOENT", e.code)
      assert.same({ loop = "link", lost = "link" }, entries())
    end)
  end)

  it("refuses what is no regular file", function()
    support.run(function()
      sys.mkfifo(dir .. "/fifo")
      sys.symlink("fifo", dir .. "/link")
      for _, name in ipairs { "/fifo", "/link" } do
        local ok, e = fs.write_file(dir .. name, "x", atomic)
        assert.is_nil(ok)
        assert.equal("EINVAL", e.code)
      end
      assert.same({ fifo = "fifo", link = "link" }, entries())
    end)
  end)

  -- Root can list it all the same.
  it("works in the folder that it is in, and in one that cannot be listed", function()
    support.child_ok(([[
      async.run(function()
        assert(async.fs.mkdir("%s/w", { mode = 768 })) -- 0300
        assert(async.fs.write_file("%s/w/f", "x", { atomic = true }))
        assert(async.fs.write_file("lua_async.tmp", "y", { atomic = true }))
        assert(async.fs.read_file("lua_async.tmp") == "y")
        assert(async.fs.remove("lua_async.tmp"))
      end)
      print "ok"
    ]]):format(dir, dir))
  end)
end)
