-- Files where the system has no room, no descriptors, or fails: nothing is lost in silence, nothing
-- hangs, nothing is left behind. Each in a process of its own.
local async = require "lua_async"
local support = require "spec.support"
local sys = support.sys

-- Nothing is to be traced under the tools that trace themselves.
local flavour = os.getenv("LUA_ASYNC_FLAVOUR") or "release"
local traces = (flavour == "release" or flavour == "torture") and os.execute("strace -o /dev/null true 2>/dev/null")

-- For the programs: dir, fs, put, get, names, and fails(code, nil, err).
local PRELUDE = [[
  local dir, fs = %q, async.fs
  local function put(name, text)
    local f = assert(io.open(dir .. "/" .. name, "wb")) f:write(text) f:close()
  end
  local function get(name)
    local f = assert(io.open(dir .. "/" .. name, "rb")) local s = f:read("a") f:close() return s
  end
  local function names()
    local list = {}
    for name in assert(fs.dir(dir)) do list[#list + 1] = name end
    table.sort(list)
    return table.concat(list, " ")
  end
  local function fails(code, ok, err)
    assert(ok == nil and type(err) == "table" and err.code == code, ("%%s, %%s"):format(ok, err))
    return err
  end
  local big = ("0123456789abcde\n"):rep(20000) -- 320,000 bytes
  async.run(function()
    assert(async.timeout(100, function()
]]

describe("files on a machine that fails #process", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  local function program(text, opts)
    return support.child_ok(PRELUDE:format(dir) .. text .. " return true end)) end) print 'ok'", opts)
  end

  -- A file system of our own, which nobody else sees and which ends with the process.
  local function on_tmpfs(options, text)
    local mount = ("mount -t tmpfs -o %s tmpfs %s"):format(options, dir)
    if not sys.root() or not os.execute("unshare -m sh -c '" .. mount .. "' 2>/dev/null") then
      return pending("nothing can be mounted here")
    end
    program(text, { under = "unshare -m sh -c '" .. mount .. " && exec \"$@\"' sh" })
  end

  describe("a full file system", function()
    it("is told by writes, flush, sync or close, by copies and temporary names; what was there stays", function()
      on_tmpfs("size=256k", [[
        put("old", "old")
        local err = fails("ENOSPC", fs.write_file(dir .. "/old", big, { atomic = true }))
        assert(err.partial < #big and get("old") == "old" and names() == "old", names())
        for _, how in ipairs { "flush", "sync", "datasync", "close" } do
          local f = assert(fs.open(dir .. "/f", "w"))
          local failed
          for i = 1, 12 do -- by blocks in the end
            local ok, e = f:write(big:sub(1, 65536))
            if not ok then failed = e break end
          end
          local closed = not failed and how == "close"
          if not failed then failed = select(2, f[how](f)) end
          assert(failed and failed.code == "ENOSPC", how)
          if not closed then fails("ENOSPC", f:close()) end
          assert(f:close())
          assert(fs.remove(dir .. "/f"))
        end
        put("from", big:sub(1, 150000))
        fails("ENOSPC", fs.copy(dir .. "/from", dir .. "/to"))
        assert(names() == "from old", names())
        local f = assert(fs.open(dir .. "/small", "w"))
        assert(f:write("kept\n"):flush())
        for i = 1, 100 do if not f:write(big) then break end end
        f:close()
        assert(get("small"):sub(1, 5) == "kept\n")
      ]])
    end)

    it("or one without inodes: nothing is made, nothing hangs", function()
      on_tmpfs("size=1m,nr_inodes=3", [[
        put("one", "1")
        put("two", "2")
        fails("ENOSPC", fs.mkdir(dir .. "/d"))
        fails("ENOSPC", fs.mkdtemp(dir .. "/d"))
        fails("ENOSPC", fs.mkstemp(dir .. "/d"))
        fails("ENOSPC", fs.symlink("one", dir .. "/l"))
        fails("ENOSPC", fs.open(dir .. "/f", "w"))
        fails("ENOSPC", fs.copy(dir .. "/one", dir .. "/f"))
        fails("ENOSPC", fs.write_file(dir .. "/one", "new", { atomic = true }))
        assert(get("one") == "1")
        assert(fs.copy(dir .. "/one", dir .. "/two") and get("two") == "1")
        assert(names() == "one two", names())
        assert(fs.remove(dir .. "/two"))
        assert(fs.write_file(dir .. "/one", "new", { atomic = true }) and get("one") == "new")
      ]])
    end)
  end)

  it("with 64 descriptors: who gets none is told, the others work", function()
    program([[
      for i = 1, 200 do put(tostring(i), "x") end
      local open, refused = {}, 0
      for i = 1, 200 do
        local f, err = fs.open(dir .. "/" .. i)
        if f then open[#open + 1] = f else refused = refused + 1 fails("EMFILE", f, err) end
      end
      assert(#open > 30 and refused > 100)
      fails("EMFILE", fs.read_file(dir .. "/1"))
      fails("EMFILE", fs.copy(dir .. "/1", dir .. "/copy"))
      fails("EMFILE", fs.mkstemp(dir .. "/m"))
      fails("EMFILE", fs.walk(dir))
      fails("EMFILE", fs.watch(dir))
      fails("EMFILE", fs.write_file(dir .. "/2", "y", { atomic = true }))
      fails("EMFILE", fs.remove(dir, { recursive = true }))
      for _, f in ipairs(open) do assert(f:read("a") == "x") f:close() end
      local n = 0
      for path in assert(fs.walk(dir)) do n = n + 1 end
      assert(n == 200, n)
      assert(fs.mkdir(dir .. "/a" .. ("/b"):rep(100), { parents = true }))
      n = 0
      for path in assert(fs.walk(dir)) do n = n + 1 end
      assert(n == 301, n)
      assert(fs.remove(dir .. "/a", { recursive = true }))
      assert(fs.remove(dir .. "/1"))
    ]], { before = "ulimit -n 64;" })
  end)

  it("with a limit on the size of files: told, and the rest is written", function()
    program([[
      local f = assert(fs.open(dir .. "/f", "w"))
      local failed
      for i = 1, 100 do
        local ok, e = f:write(big)
        if not ok then failed = e break end
      end
      if not failed then failed = select(2, f:close()) end
      assert(failed and failed.code == "EFBIG", tostring(failed))
      f:close()
      assert(fs.stat(dir .. "/f").size == 64 * 1024 or fs.stat(dir .. "/f").size == 64 * 512)
    ]], { before = "trap '' XFSZ; ulimit -f 64;" })
  end)

  if not traces then return end

  -- The program with these system calls failing as strace says, which counts those of each thread: so
  -- the pool has one. Unless `everywhere` only calls on some files in `dir`, or their descriptors, fail.
  local function injected(inject, text, everywhere)
    local flags = { "strace -f -o " .. dir .. ".trace" }
    for _, one in ipairs(inject) do flags[#flags + 1] = "-e inject=" .. one end
    for _, name in ipairs(everywhere and {} or { "", "/f", "/g", "/d" }) do flags[#flags + 1] = "-P " .. dir .. name end
    program(text, { before = "UV_THREADPOOL_SIZE=1", under = table.concat(flags, " ") })
    local f <close> = assert(io.open(dir .. ".trace"))
    local trace = f:read("a")
    os.remove(dir .. ".trace")
    assert.is_truthy(trace:find("INJECTED", 1, true), "no call failed")
    return trace
  end

  it("interrupts every call now and then: nothing is to be seen of it", function()
    injected({ "openat,read,pread64,write,pwrite64,copy_file_range,fsync,ftruncate,unlinkat:error=EINTR:when=2+3" }, [[
      assert(fs.write_file(dir .. "/f", big, { atomic = true }))
      assert(fs.write_file(dir .. "/f", big))
      assert(fs.read_file(dir .. "/f") == big)
      assert(fs.copy(dir .. "/f", dir .. "/g"))
      assert(fs.read_file(dir .. "/g") == big)
      local f = assert(fs.open(dir .. "/g", "r+"))
      local n = 0
      for line in f:lines() do n = n + 1 end
      assert(n == 20000)
      assert(f:write(big):flush())
      assert(f:seek("set", 0) and f:read("a") == big .. big)
      assert(f:sync() and f:datasync() and f:truncate(10))
      assert(f:close())
      assert(fs.mkdir(dir .. "/d/e", { parents = true }))
      put("d/x", "") put("d/y", "") put("d/z", "")
      assert(fs.remove(dir .. "/d", { recursive = true }))
    ]])
  end)

  -- One call that fails with EIO, and what tells so.
  local cases = {
    { "pread64", [[ fails("EIO", fs.read_file(dir .. "/f")) ]], "read:error=EIO:when=1" },
    { "pread64 of a file", [[
        local f = assert(fs.open(dir .. "/f"))
        fails("EIO", f:read("a"))
        assert(f:read("a") == big)
        f:close() ]], "pread64,preadv2:error=EIO:when=1" },
    { "pwrite64", [[
        local f = assert(fs.open(dir .. "/g", "w"))
        assert(f:write("x"))
        fails("EIO", f:flush())
        assert(f:write("y"):flush())
        assert(f:close()) ]], "pwrite64:error=EIO:when=1" },
    { "pwrite64 at the close", [[
        local f = assert(fs.open(dir .. "/g", "w"))
        assert(f:write("x"))
        fails("EIO", f:close())
        assert(f:close()) ]], "pwrite64:error=EIO:when=1" },
    { "pwrite64 of the n-th block", [[
        local f = assert(fs.open(dir .. "/g", "w"))
        local failed
        for i = 1, 40 do
          local ok, e = f:write(big:sub(1, 65536))
          if not ok then failed = e break end
        end
        fails("ENOSPC", nil, failed)
        fails("ENOSPC", f:close())
        assert(f:close()) ]], "pwrite64:error=ENOSPC:when=6+" },
    { "pwrite64 of the n-th block, once", [[
        local f = assert(fs.open(dir .. "/g", "w"))
        for i = 1, 40 do assert(f:write(big:sub(1, 65536))) end
        assert(f:close() and get("g") == big:sub(1, 65536):rep(40)) ]], "pwrite64:error=ENOSPC:when=6" },
    { "fsync of a file", [[
        local f = assert(fs.open(dir .. "/g", "w"))
        assert(f:write("x"))
        fails("EIO", f:sync())
        fails("EIO", f:sync()) -- the system would forget it
        fails("EIO", f:datasync())
        assert(f:close() and get("g") == "x") ]], "fsync:error=EIO:when=1" },
    { "close", [[
        local f = assert(fs.open(dir .. "/g", "w"))
        assert(f:write("x"))
        fails("EIO", f:close())
        fails("EIO", fs.write_file(dir .. "/g", "x")) ]], "close:error=EIO" },
    { "copy_file_range", [[
        fails("EIO", fs.copy(dir .. "/f", dir .. "/g"))
        assert(names() == "f", names()) ]], "copy_file_range:error=EIO" },
    { "copy_file_range on a full disk", [[
        fails("ENOSPC", fs.copy(dir .. "/f", dir .. "/g"))
        assert(names() == "f", names()) ]], "copy_file_range:error=ENOSPC" },
    { "copy_file_range where there is none", [[
        assert(fs.copy(dir .. "/f", dir .. "/g") and get("g") == big) ]], "copy_file_range:error=ENOSYS" },
    { "copy_file_range, and sendfile", [[
        assert(fs.copy(dir .. "/f", dir .. "/g") and get("g") == big) ]], "copy_file_range,sendfile:error=EINVAL" },
    { "all ways of copying", [[
        fails("EIO", fs.copy(dir .. "/f", dir .. "/g"))
        assert(names() == "f", names()) ]], "copy_file_range,sendfile:error=EXDEV", "pwrite64:error=EIO" },
    { "the rename of an atomic write", [[
        fails("EIO", fs.write_file(dir .. "/f", "new", { atomic = true }))
        assert(names() == "f" and get("f") == big) ]], "rename,renameat,renameat2:error=EIO", everywhere = true },
    { "the fsync of an atomic write", [[
        fails("EIO", fs.write_file(dir .. "/f", "new", { atomic = true }))
        assert(names() == "f" and get("f") == big) ]], "fsync:error=EIO:when=1", everywhere = true },
    { "the fsync of its folder", [[
        assert(fails("EIO", fs.write_file(dir .. "/f", "new", { atomic = true })).partial == 3)
        assert(names() == "f" and get("f") == "new") ]], "fsync:error=EIO:when=2", everywhere = true },
    { "openat of the folder below", [[
        assert(fs.mkdir(dir .. "/d")) put("d/x", "")
        local seen
        for path, kind, err in assert(fs.walk(dir)) do
          if err then seen = path .. " " .. err.code end
        end
        assert(seen == dir .. "/d EIO", tostring(seen)) ]], "openat:error=EIO:when=2" },
    { "getdents64", [[
        local w = assert(fs.walk(dir))
        local path, kind, err = w()
        assert(path == dir and kind == "directory" and err.code == "EIO", tostring(err))
        assert(w() == nil) ]], "getdents64:error=EIO" },
    { "unlinkat", [[
        assert(fs.mkdir(dir .. "/d")) put("d/x", "")
        local err = fails("EIO", fs.remove(dir .. "/d", { recursive = true }))
        assert(err.path == dir .. "/d/x" and names() == "d f", names()) ]], "unlinkat:error=EIO" },
  }
  for _, case in ipairs(cases) do
    it("fails in " .. case[1] .. ", and says so", function()
      local f <close> = assert(io.open(dir .. "/f", "wb"))
      f:write(("0123456789abcde\n"):rep(20000))
      f:flush()
      injected({ table.unpack(case, 3) }, case[2], case.everywhere)
    end)
  end

  it("an atomic write is synced, renamed, and its folder synced, in this order", function()
    program([[ assert(fs.write_file(dir .. "/f", "new", { atomic = true })) ]],
      { under = ("strace -f -y -o %s.trace -e trace=openat,write,fsync,rename,renameat,renameat2"):format(dir) })
    local f <close> = assert(io.open(dir .. ".trace"))
    local trace, last = f:read("a"), 1
    os.remove(dir .. ".trace")
    local folder = dir:gsub("%p", "%%%0")
    for _, call in ipairs { "write%(%d+<" .. folder .. "/%.lua_async[^>]*>, \"new\", 3%) += 3",
                            "fsync%(%d+<" .. folder .. "/%.lua_async[^>]*>%) += 0",
                            "rename%(\"" .. folder .. "/%.lua_async[^\"]*\", \"" .. folder .. "/f\"%) += 0",
                            "fsync%(%d+<" .. folder .. ">%) += 0" } do
      last = assert(trace:find(call, last), call .. " is not there, or not in its place:\n" .. trace)
    end
  end)
end)
