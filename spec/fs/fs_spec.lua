-- async.fs: whole files, folders, stat; every failure a clear one.
local async = require "lua_async"
local support = require "spec.support"
local run, sys, fs = support.run, support.sys, async.fs

local function fails(code, op, path, ok, err, more)
  assert.is_nil(ok)
  assert.is_table(err)
  assert.equal(code, err.code)
  assert.equal(op, err.op)
  assert.equal(path, err.path)
  assert.is_nil(more)
  return err
end

-- Through plain Lua, so that both sides are not the same mistake.
local function put(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end
local function get(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

-- A limit of memory, for which ASan has a way of its own.
local LIMITED = os.getenv("LUA_ASYNC_FLAVOUR") == "asan"
  and "ASAN_OPTIONS=$ASAN_OPTIONS:max_allocation_size_mb=1000" or "ulimit -v 1000000;"

describe("async.fs #process", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  describe("read_file", function()
    it("reads whole files of any size and content", function()
      run(function()
        local big = ("0123456789abcdef"):rep(3 << 16) .. "\0\n"
        for _, text in ipairs { "", "\0", "x\n", ("y"):rep(4095), ("z"):rep(65537), big } do
          put(dir .. "/f", text)
          assert.is_true(fs.read_file(dir .. "/f") == text)
        end
      end)
    end)

    it("reads files that do not tell their size", function()
      run(function()
        assert.matches("^Name:", (fs.read_file("/proc/self/status")))
        assert.equal("", fs.read_file("/dev/null"))
      end)
    end)

    it("stops at its maximum", function()
      run(function()
        put(dir .. "/f", ("x"):rep(100))
        fails("EFBIG", "read_file", dir .. "/f", fs.read_file(dir .. "/f", { max = 99 }))
        assert.equal(100, #fs.read_file(dir .. "/f", { max = 100 }))
        fails("EFBIG", "read_file", "/dev/zero", fs.read_file("/dev/zero", { max = 1 << 16 }))
      end)
    end)

    it("fails clearly", function()
      run(function()
        local err = fails("ENOENT", "read_file", dir .. "/no", fs.read_file(dir .. "/no"))
        assert.equal("read_file " .. dir .. "/no: no such file or directory (ENOENT)", tostring(err))
        assert.equal(2, err.errno)
        fails("EISDIR", "read_file", dir, fs.read_file(dir))
        put(dir .. "/f", "")
        fails("ENOTDIR", "read_file", dir .. "/f/g", fs.read_file(dir .. "/f/g"))
        fails("ENAMETOOLONG", "read_file", dir .. "/" .. ("n"):rep(300), fs.read_file(dir .. "/" .. ("n"):rep(300)))
        fails("ENOENT", "read_file", "", fs.read_file(""))
      end)
    end)

    it("serves many at once", function()
      run(function()
        local tasks = {}
        for i = 1, 200 do
          put(dir .. "/" .. i, "content " .. i)
          tasks[i] = async.spawn(fs.read_file, dir .. "/" .. i)
        end
        for i = 1, 200 do assert.equal("content " .. i, tasks[i]:await()) end
      end)
    end)

    it("and all else survive short and interrupted reads and writes", function()
      -- As the system's own limit of 2 GiB a read, in small.
      support.child_ok([[
        local dir, fs = os.tmpname(), async.fs
        os.remove(dir)
        async.run(function()
          assert(fs.mkdir(dir))
          local path, big = dir .. "/f", ("0123456789abcdef"):rep(20000)
          for _, atomic in ipairs { false, true } do
            assert(fs.write_file(path, big, { atomic = atomic }))
            assert(assert(fs.read_file(path)) == big)
          end
          local f = assert(fs.open(path, "r+"))
          assert(assert(f:read_at(5, 100000)) == big:sub(6, 100005))
          assert(f:read("a") == big)
          assert(f:write_at(50000, big))
          assert(f:seek("set", 50000))
          assert(f:read("a") == big)
          assert(f:write(big):flush())
          f:seek("set")
          assert(#f:read_exact(50000) == 50000)
          assert(f:read("a") == big .. big)
          assert(f:close())
          local l <close> = assert(async.net.listen("127.0.0.1", 0))
          local _, port = l:address()
          local a <close> = assert(async.net.connect("127.0.0.1", port))
          local b <close> = assert(l:accept())
          local t = async.spawn(function() assert(a:write(big)) a:shutdown() end)
          assert(b:read("a") == big)
          t:await()
          assert(fs.remove(path) and fs.remove(dir))
        end)
        print "ok"
      ]], { under = 'env LD_PRELOAD="$LD_PRELOAD ./build/spec/short.so"' })
    end)

    it("of a file too large for memory fails, and the runtime goes on", function()
      support.child_ok([[
        local path = os.tmpname()
        local f = io.open(path, "w") f:seek("set", (1 << 31) + 10) f:write("x") f:close()
        async.run(function()
          local s, err = async.fs.read_file(path)
          assert(s == nil and err.code == "ENOMEM", tostring(err))
          assert(async.fs.read_file("/proc/self/comm"))
        end)
        os.remove(path)
        print "ok"
      ]], { before = LIMITED })
    end)
  end)

  describe("write_file", function()
    it("creates, replaces, appends", function()
      run(function()
        local path = dir .. "/f"
        assert.is_true(fs.write_file(path, "first, longer"))
        assert.equal("first, longer", get(path))
        assert.is_true(fs.write_file(path, "second"))
        assert.equal("second", get(path))
        assert.is_true(fs.write_file(path, "+third", { append = true }))
        assert.equal("second+third", get(path))
        assert.is_true(fs.write_file(path, ""))
        assert.equal("", get(path))
        assert.is_true(fs.write_file(path, 12.5))
        assert.equal("12.5", get(path))
      end)
    end)

    it("creates with the mode it is given", function()
      run(function()
        for _, atomic in ipairs { false, true } do
          local path = dir .. "/" .. tostring(atomic)
          assert(fs.write_file(path, "x", { mode = 384, atomic = atomic }))
          assert.equal(384, fs.stat(path).mode)
        end
      end)
    end)

    it("replaces atomically: the old file is whole until the new one is", function()
      run(function()
        local path, old, new = dir .. "/f", ("o"):rep(1 << 20), ("n"):rep(1 << 20)
        put(path, old)
        local before = fs.stat(path).ino
        local done
        local writer = async.spawn(function() assert(fs.write_file(path, new, { atomic = true })) done = true end)
        repeat
          local s = assert(fs.read_file(path))
          assert.is_true(s == old or s == new)
        until done
        writer:await()
        assert.is_true(get(path) == new)
        assert.not_equal(before, fs.stat(path).ino)
        local names = {}
        for name in assert(fs.dir(dir)) do names[#names + 1] = name end
        assert.same({ "f" }, names)
      end)
    end)

    it("keeps the mode and the link of what it replaces atomically", function()
      run(function()
        put(dir .. "/real", "old")
        os.execute("chmod 640 " .. dir .. "/real")
        sys.symlink("real", dir .. "/link")
        assert(fs.write_file(dir .. "/link", "new", { atomic = true }))
        assert.equal("new", get(dir .. "/real"))
        assert.equal("link", fs.lstat(dir .. "/link").type)
        assert.equal(416, fs.stat(dir .. "/real").mode)
      end)
    end)

    it("writes atomically to the longest of names", function()
      run(function()
        local path = dir .. "/" .. ("n"):rep(255)
        assert.is_true(fs.write_file(path, "x", { atomic = true }))
        assert.equal("x", get(path))
      end)
    end)

    it("fails clearly, and leaves nothing behind", function()
      run(function()
        fails("EISDIR", "write_file", dir, fs.write_file(dir, "x"))
        fails("EISDIR", "write_file", dir, fs.write_file(dir, "x", { atomic = true }))
        fails("ENOENT", "write_file", dir .. "/a/b", fs.write_file(dir .. "/a/b", "x"))
        fails("ENOENT", "write_file", dir .. "/a/b", fs.write_file(dir .. "/a/b", "x", { atomic = true }))
        assert.is_nil(assert(fs.dir(dir))())
        assert.is_false(pcall(fs.write_file, dir .. "/f", "x", { atomic = true, append = true }))
        assert.is_false(pcall(fs.write_file, dir .. "/f", "x", { atomik = true }))
        assert.is_false(pcall(fs.write_file, dir .. "/f"))
        assert.is_false(pcall(fs.write_file, dir .. "/f", {}))
        assert.is_nil((fs.stat(dir .. "/f")))
      end)
    end)

    it("given up, reads no further in what has no end", function()
      local bounded = (os.getenv("LUA_ASYNC_FLAVOUR") or "release") == "release" -- sanitizers reserve more
      support.child_ok([[
        async.run(function()
          local text, err = async.timeout(0.05, async.fs.read_file, "/dev/zero")
          assert(text == nil and err.code == "ETIMEDOUT")
        end)
        print "ok"
      ]], { before = bounded and "ulimit -v 20000000;" or "", seconds = 10 })
    end)

    it("on a full device says so, and how much was written", function()
      run(function()
        local err = fails("ENOSPC", "write_file", "/dev/full", fs.write_file("/dev/full", "lost"))
        assert.equal("no space left on device", err.message)
        assert.equal(0, err.partial)
      end)
    end)

    it("on a full disk keeps the old file when it is atomic", function()
      local mount = sys.root() and os.execute("mount -t tmpfs -o size=64k tmpfs " .. dir .. " 2>/dev/null")
      -- Where nothing can be mounted, a limit of the file size fails in the same place.
      local before = mount and "" or "trap '' XFSZ; ulimit -f 64;"
      local ok, e = pcall(support.child_ok, ([[
        local dir, fs = %q, async.fs
        async.run(function()
          assert(fs.write_file(dir .. "/f", "old"))
          local big = ("x"):rep(1 << 20)
          local ok, err = fs.write_file(dir .. "/f", big, { atomic = true })
          assert(ok == nil and (err.code == "ENOSPC" or err.code == "EFBIG"), tostring(err))
          assert(err.partial > 0 and err.partial < #big)
          assert(fs.read_file(dir .. "/f") == "old")
          local n = 0
          for _ in assert(fs.dir(dir)) do n = n + 1 end
          assert(n == 1, "a temporary file is left")
          local ok, err = fs.write_file(dir .. "/g", big)
          assert(ok == nil and (err.code == "ENOSPC" or err.code == "EFBIG"), tostring(err))
          assert(err.partial > 0 and err.partial < #big)
          local f = assert(fs.open(dir .. "/g", "a"))
          local failed
          for _ = 1, 100 do
            local ok, err = f:write(("y"):rep(1 << 16))
            if not ok then failed = err break end
          end
          if not failed then failed = select(2, f:flush()) end
          assert(failed and (failed.code == "ENOSPC" or failed.code == "EFBIG"), tostring(failed))
          f:close()
        end)
        print "ok"
      ]]):format(dir), { before = before })
      if mount then os.execute("umount " .. dir) end
      assert(ok, e)
    end)
  end)

  describe("stat and lstat", function()
    it("tell what a path is", function()
      run(function()
        put(dir .. "/f", "12345")
        sys.symlink("f", dir .. "/l")
        sys.symlink("nowhere", dir .. "/broken")
        sys.mkfifo(dir .. "/p")
        local st = fs.stat(dir .. "/f")
        assert.equal("file", st.type)
        assert.equal(5, st.size)
        assert.equal(1, st.nlink)
        for _, k in ipairs { "mode", "uid", "gid", "dev", "ino", "blocks" } do
          assert.equal("integer", math.type(st[k]), k)
        end
        for _, k in ipairs { "atime", "mtime", "ctime" } do
          assert.is_true(math.abs(st[k] - os.time()) < 1000, k)
        end
        assert.equal("directory", fs.stat(dir).type)
        assert.equal("fifo", fs.stat(dir .. "/p").type)
        assert.equal("char", fs.stat("/dev/null").type)
        assert.equal("file", fs.stat(dir .. "/l").type)
        assert.equal("link", fs.lstat(dir .. "/l").type)
        assert.equal("link", fs.lstat(dir .. "/broken").type)
        fails("ENOENT", "stat", dir .. "/broken", fs.stat(dir .. "/broken"))
        fails("ENOENT", "stat", dir .. "/no", fs.lstat(dir .. "/no"))
      end)
    end)

    it("tell sizes beyond 4 GiB", function()
      run(function()
        local f <close> = assert(io.open(dir .. "/sparse", "w"))
        f:seek("set", 5 << 30)
        f:write("x")
        f:flush()
        assert.equal((5 << 30) + 1, fs.stat(dir .. "/sparse").size)
      end)
    end)
  end)

  describe("dir", function()
    it("iterates over names and types, without . and ..", function()
      run(function()
        put(dir .. "/f", "")
        put(dir .. "/with\nnewline \xff", "")
        os.execute("mkdir " .. dir .. "/d")
        sys.symlink("f", dir .. "/l")
        sys.mkfifo(dir .. "/p")
        local got = {}
        for name, type in assert(fs.dir(dir)) do got[name] = type end
        assert.same({ f = "file", d = "directory", l = "link", p = "fifo",
                      ["with\nnewline \xff"] = "file" }, got)
      end)
    end)

    it("lists five thousand", function()
      run(function()
        for i = 1, 5000 do put(("%s/a name of some length %d"):format(dir, i), "") end
        local n, sum = 0, 0
        for name in assert(fs.dir(dir)) do
          n, sum = n + 1, sum + math.tointeger(name:match("%d+$"))
        end
        assert.equal(5000, n)
        assert.equal(5000 * 5001 // 2, sum)
      end)
    end)

    it("of nothing ends at once; of what is none fails", function()
      run(function()
        local n = 0
        for _ in assert(fs.dir(dir)) do n = n + 1 end
        assert.equal(0, n)
        put(dir .. "/f", "")
        fails("ENOENT", "dir", dir .. "/no", fs.dir(dir .. "/no"))
        fails("ENOTDIR", "dir", dir .. "/f", fs.dir(dir .. "/f"))
      end)
    end)
  end)

  describe("mkdir, remove, rename", function()
    it("make folders, with parents when told", function()
      run(function()
        assert.is_true(fs.mkdir(dir .. "/a"))
        fails("EEXIST", "mkdir", dir .. "/a", fs.mkdir(dir .. "/a"))
        fails("ENOENT", "mkdir", dir .. "/b/c", fs.mkdir(dir .. "/b/c"))
        assert.is_true(fs.mkdir(dir .. "/b/c//d/", { parents = true }))
        assert.equal("directory", fs.stat(dir .. "/b/c/d").type)
        assert.is_true(fs.mkdir(dir .. "/b/c", { parents = true }))
        put(dir .. "/f", "")
        fails("EEXIST", "mkdir", dir .. "/f", fs.mkdir(dir .. "/f", { parents = true }))
        fails("ENOTDIR", "mkdir", dir .. "/f/g", fs.mkdir(dir .. "/f/g", { parents = true }))
        assert.is_true(fs.mkdir(dir .. "/m", { mode = 448 }))
        assert.equal(448, fs.stat(dir .. "/m").mode)
        assert.is_false(pcall(fs.mkdir, dir .. "/x", { parent = true }))
      end)
    end)

    it("remove files, links and empty folders, and nothing else", function()
      run(function()
        put(dir .. "/f", "")
        sys.symlink("f", dir .. "/l")
        assert.is_true(fs.remove(dir .. "/l"))
        assert.equal("file", fs.stat(dir .. "/f").type)
        fs.mkdir(dir .. "/d")
        put(dir .. "/d/g", "")
        fails("ENOTEMPTY", "remove", dir .. "/d", fs.remove(dir .. "/d"))
        assert.is_true(fs.remove(dir .. "/d/g"))
        assert.is_true(fs.remove(dir .. "/d"))
        assert.is_true(fs.remove(dir .. "/f"))
        fails("ENOENT", "remove", dir .. "/f", fs.remove(dir .. "/f"))
      end)
    end)

    it("rename, over what is there", function()
      run(function()
        put(dir .. "/a", "A")
        put(dir .. "/b", "B")
        assert.is_true(fs.rename(dir .. "/a", dir .. "/b"))
        assert.equal("A", get(dir .. "/b"))
        fails("ENOENT", "rename", dir .. "/a", fs.rename(dir .. "/a", dir .. "/c"))
        fs.mkdir(dir .. "/d")
        fails("EISDIR", "rename", dir .. "/b", fs.rename(dir .. "/b", dir .. "/d"))
      end)
    end)
  end)

  it("refuses paths with a zero byte, everywhere, and touches nothing", function()
    run(function()
      put(dir .. "/f", "keep")
      local bad = dir .. "/f\0.txt"
      for name, args in pairs { read_file = { bad }, write_file = { bad, "x" }, stat = { bad },
                                lstat = { bad }, dir = { bad }, mkdir = { bad }, remove = { bad },
                                rename = { bad, "y" }, open = { bad, "w" } } do
        local ok, e = pcall(fs[name], table.unpack(args))
        assert.is_false(ok, name)
        assert.matches("zero byte", e)
        assert.is_false(pcall(fs[name], {}, "x"), name)
        assert.is_false(pcall(fs[name]), name)
      end
      assert.matches("zero byte", select(2, pcall(fs.rename, dir .. "/f", bad)))
      assert.equal("keep", get(dir .. "/f"))
    end)
    assert.matches("async.run", select(2, pcall(fs.stat, dir)))
  end)

  it("works through Futures, and when cancelled leaves no descriptor and no temporary file", function()
    local before
    run(function()
      put(dir .. "/f", ("x"):rep(1 << 20))
      assert.equal(1 << 20, #async.await(async.future(fs.read_file, dir .. "/f")))
      before = support.fds()
      for i = 1, 100 do
        local all = {
          async.spawn(fs.read_file, dir .. "/f"), async.spawn(fs.dir, dir),
          async.spawn(fs.write_file, dir .. "/g" .. i % 3, ("y"):rep(100000), { atomic = true }),
          async.spawn(fs.open, dir .. "/f"), async.spawn(fs.stat, dir),
        }
        for _ = 1, i % 4 do async.yield() end
        if i % 5 == 0 then async.sleep(0.001) end
        for _, t in ipairs(all) do t:cancel() end
        for _, t in ipairs(all) do pcall(t.await, t) end
      end
    end)
    assert.is_true(support.fds() <= before)
    local names = io.popen("ls -A " .. dir):read("a")
    assert.is_nil(names:match("lua_async"))
    assert.is_nil(names:match("^%.") or names:match("\n%."))
  end)

  it("fails at open with EMFILE when there are no descriptors left, and recovers", function()
    support.child_ok([[
      local fs = async.fs
      async.run(function()
        assert(fs.read_file("/proc/self/comm"))
        local held = {}
        while true do
          local fd = sys.dup()
          if not fd then break end
          held[#held + 1] = fd
        end
        for _, f in ipairs { function() return fs.open("/dev/null") end,
                             function() return fs.read_file("/dev/null") end,
                             function() return fs.write_file("/dev/null", "x") end,
                             function() return fs.dir("/") end } do
          local v, err = f()
          assert(v == nil and err.code == "EMFILE", tostring(err))
        end
        local v, err = async.net.listen("127.0.0.1", 0)
        assert(v == nil and err.code == "EMFILE", tostring(err))
        local v, err = async.net.connect("127.0.0.1", 1)
        assert(v == nil and err.code == "EMFILE", tostring(err))
        assert(fs.stat("/").type == "directory") -- needs none
        for _, fd in ipairs(held) do sys.close(fd) end
        local f = assert(fs.open("/dev/null"))
        f:close()
      end)
      print "ok"
    ]], { before = "ulimit -n 40;" })
  end)
end)
