-- async.fs: links, modes, owners, times, temporary names, copies.
local async = require "lua_async"
local support = require "spec.support"
local run, sys, fs = support.run, support.sys, async.fs

local function fails(code, op, path, ok, err)
  assert.is_nil(ok)
  assert.equal(code, err.code)
  assert.equal(op, err.op)
  assert.equal(path, err.path)
end

local function put(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end
local function get(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

local function names(dir)
  local list = {}
  for name in assert(fs.dir(dir)) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, " ")
end

describe("async.fs #process", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  describe("links", function()
    it("are made, read and resolved", function()
      run(function()
        put(dir .. "/f", "text")
        assert.is_true(fs.symlink("f", dir .. "/s"))
        assert.equal("f", fs.readlink(dir .. "/s"))
        assert.is_true(fs.symlink(("n"):rep(3000), dir .. "/long"))
        assert.equal(3000, #fs.readlink(dir .. "/long"))
        assert.is_true(fs.link(dir .. "/f", dir .. "/h"))
        assert.equal(2, fs.stat(dir .. "/f").nlink)
        assert.equal(fs.realpath(dir) .. "/f", fs.realpath(dir .. "/../" .. dir:match("[^/]*$") .. "/./s"))
      end)
    end)

    it("fail clearly, for the name that is the matter", function()
      run(function()
        put(dir .. "/f", "text")
        put(dir .. "/g", "text")
        fails("EEXIST", "symlink", "f", fs.symlink("f", dir .. "/g"))
        fails("EEXIST", "link", dir .. "/f", fs.link(dir .. "/f", dir .. "/g"))
        fails("ENOENT", "link", dir .. "/no", fs.link(dir .. "/no", dir .. "/h"))
        fails("EINVAL", "readlink", dir .. "/f", fs.readlink(dir .. "/f"))
        fails("ENOENT", "realpath", dir .. "/no", fs.realpath(dir .. "/no"))
        assert.is_false(pcall(fs.link, dir .. "/f"))
        assert.is_false(pcall(fs.symlink, "a\0b", dir .. "/z"))
      end)
    end)
  end)

  describe("modes, owners, times", function()
    it("are set", function()
      run(function()
        local path = dir .. "/f"
        put(path, "")
        fs.symlink("f", dir .. "/l")
        assert.is_true(fs.chmod(dir .. "/l", tonumber("641", 8)))
        assert.equal(tonumber("641", 8), fs.stat(path).mode)
        assert.is_true(fs.utime(path, 1.5, -2.25))
        local st = fs.stat(path)
        assert.equal(1.5, st.atime)
        assert.equal(-2.25, st.mtime)
        assert.is_true(fs.utime(path, nil, 7))
        st = fs.stat(path)
        assert.is_true(math.abs(st.atime - os.time()) < 1000)
        assert.equal(7, st.mtime)
        assert.is_true(fs.utime(path))
        assert.is_true(fs.stat(path).mtime > 1e9)
        assert.is_true(fs.chown(path, st.uid, st.gid))
        assert.is_true(fs.chown(path))
        assert.is_true(fs.lchown(dir .. "/l"))
        if sys.root() then
          assert.is_true(fs.lchown(dir .. "/l", 12, 13))
          assert.equal(st.uid, fs.stat(path).uid)
          assert.equal(12, fs.lstat(dir .. "/l").uid)
          assert.is_true(fs.chown(dir .. "/l", nil, 14))
          assert.equal(st.uid, fs.stat(path).uid)
          assert.equal(14, fs.stat(path).gid)
        end
        for _, op in ipairs { "chmod", "chown", "lchown", "utime" } do
          fails("ENOENT", op, dir .. "/no", fs[op](dir .. "/no", 1, 1))
        end
      end)
    end)

    it("that cannot be raise", function()
      run(function()
        put(dir .. "/f", "")
        for _, wrong in ipairs { { "chmod", -1 }, { "chmod", 4096 }, { "chmod" }, { "chown", -1 }, { "chown", 1 << 32 },
                                 { "chown", "x" }, { "utime", 0 / 0 }, { "utime", math.huge }, { "utime", {} } } do
          assert.is_false(pcall(fs[wrong[1]], dir .. "/f", wrong[2]), wrong[1])
        end
      end)
    end)
  end)

  describe("temporary names", function()
    it("are new, for their owner alone, after a prefix or a template", function()
      run(function()
        local a, b = assert(fs.mkdtemp(dir .. "/d")), assert(fs.mkdtemp(dir .. "/d.XXXXXX"))
        assert.matches("/d......$", a)
        assert.matches("/d%.......$", b)
        assert.is_nil(b:find(("X"):rep(6), 1, true))
        assert.equal(448, fs.stat(a).mode)
        local f <close>, path = assert(fs.mkstemp(dir .. "/f"))
        assert.equal(384, fs.stat(path).mode)
        f:write("text")
        f:seek("set")
        assert.equal("text", f:read("a"))
        assert.equal("text", get(path))
        fails("ENOENT", "mkdtemp", dir .. "/no/XXXXXX", fs.mkdtemp(dir .. "/no/"))
        fails("ENOENT", "mkstemp", dir .. "/no/XXXXXX", fs.mkstemp(dir .. "/no/"))
      end)
    end)

    it("are in $TMPDIR without one", function()
      support.child_ok(([[
        async.run(function()
          local path = assert(async.fs.mkdtemp())
          assert(path:match("^%s/lua%%-......$"), path)
          local f, name = assert(async.fs.mkstemp())
          assert(name:match("^%s/lua%%-......$"), name)
          f:close()
        end)
        print "ok"
      ]]):format(dir, dir), { before = "TMPDIR=" .. dir })
    end)
  end)

  describe("copy", function()
    local big = ("0123456789abcdef"):rep(3 << 16) .. "!"

    it("copies content and permissions, whatever was there", function()
      run(function()
        for i, text in ipairs { "", "x", big } do
          put(dir .. "/from", text)
          fs.chmod(dir .. "/from", tonumber("640", 8))
          assert.is_true(fs.copy(dir .. "/from", dir .. "/to" .. i))
          assert.is_true(get(dir .. "/to" .. i) == text)
          assert.equal(tonumber("640", 8), fs.stat(dir .. "/to" .. i).mode)
          put(dir .. "/old", ("y"):rep(70000))
          fs.chmod(dir .. "/old", tonumber("777", 8))
          assert.is_true(fs.copy(dir .. "/from", dir .. "/old"))
          assert.is_true(get(dir .. "/old") == text)
          assert.equal(tonumber("640", 8), fs.stat(dir .. "/old").mode)
        end
      end)
    end)

    it("goes through links, between file systems, and from files that do not tell their size", function()
      run(function()
        put(dir .. "/from", big)
        fs.symlink("from", dir .. "/l1")
        fs.symlink("to", dir .. "/l2")
        assert.is_true(fs.copy(dir .. "/l1", dir .. "/l2"))
        assert.is_true(get(dir .. "/to") == big)
        assert.equal("link", fs.lstat(dir .. "/l2").type)
        assert.is_true(fs.copy("/proc/self/status", dir .. "/status"))
        assert.matches("^Name:", get(dir .. "/status"))
        assert.is_true(fs.copy(dir .. "/from", "/dev/null"))
        local shm = fs.mkdtemp("/dev/shm/lua-")
        if shm then
          assert.is_true(fs.copy(dir .. "/from", shm .. "/to"))
          assert.is_true(get(shm .. "/to") == big)
          fs.remove(shm, { recursive = true })
        end
      end)
    end)

    it("keeps holes", function()
      run(function()
        local f = assert(fs.open(dir .. "/from", "w"))
        f:write_at(5 << 20, "middle")
        f:truncate(40 << 20)
        f:close()
        assert.is_true(fs.copy(dir .. "/from", dir .. "/to"))
        local from, to = fs.stat(dir .. "/from"), fs.stat(dir .. "/to")
        assert.equal(40 << 20, to.size)
        assert.is_true(to.blocks <= from.blocks + 16)
        assert.is_true(get(dir .. "/to") == get(dir .. "/from"))
      end)
    end)

    it("refuses the file itself, folders, and what is there already", function()
      run(function()
        put(dir .. "/f", "text")
        fs.link(dir .. "/f", dir .. "/h")
        fs.symlink("f", dir .. "/s")
        for _, to in ipairs { "/f", "/h", "/s" } do
          fails("EINVAL", "copy", dir .. "/f", fs.copy(dir .. "/f", dir .. to))
        end
        fails("EISDIR", "copy", dir, fs.copy(dir, dir .. "/to"))
        fails("EISDIR", "copy", dir .. "/f", fs.copy(dir .. "/f", dir))
        fails("EINVAL", "copy", "/dev/zero", fs.copy("/dev/zero", dir .. "/to"))
        fails("ENOENT", "copy", dir .. "/no", fs.copy(dir .. "/no", dir .. "/to"))
        fails("ENOENT", "copy", dir .. "/f", fs.copy(dir .. "/f", dir .. "/no/to"))
        fails("EEXIST", "copy", dir .. "/f", fs.copy(dir .. "/f", dir .. "/h", { exclusive = true }))
        fails("EEXIST", "copy", dir .. "/f", fs.copy(dir .. "/f", dir .. "/s", { exclusive = true }))
        assert.equal("text", get(dir .. "/f"))
        assert.equal("f h s", names(dir))
      end)
    end)

    it("goes into a file that one may write and does not own", function()
      if not sys.root() then return end
      run(function()
        put(dir .. "/f", "text")
        put(dir .. "/theirs", "precious")
        assert(fs.chown(dir .. "/theirs", 65534, 65534))
      end)
      support.child_ok(([[
        async.run(function() assert(async.fs.copy(%q, %q)) end)
        print "ok"
      ]]):format(dir .. "/f", dir .. "/theirs"),
        { under = "setpriv --bounding-set=-fowner --inh-caps=-fowner" }) -- root who may not change others' files
      assert.equal("text", run(get, dir .. "/theirs"))
    end)

    it("that cannot be written names what cannot", function()
      run(function()
        put(dir .. "/f", "text")
        local ok, err = fs.copy(dir .. "/f", "/dev/full")
        fails("ENOSPC", "copy", dir .. "/f", ok, err)
        assert.equal("/dev/full", err.to)
        assert.equal("cannot write /dev/full: no space left on device", err.message)
      end)
    end)

    it("that is cancelled in the middle stops, and removes what it made", function()
      if not os.execute("fallocate -l 1G " .. dir .. "/from 2>/dev/null") then return pending("no room") end
      run(function()
        local t = async.spawn(fs.copy, dir .. "/from", dir .. "/to")
        repeat -- until it is in the middle
          async.sleep(0.001)
          local st = fs.stat(dir .. "/to")
        until st and st.size > 0
        t:cancel()
        assert.is_false(pcall(t.await, t))
      end)
      assert.equal("from", run(names, dir)) -- the run ended when the copy had
    end)
  end)
end)
