-- File objects: like io's, buffered both ways, with reads and writes at a place besides.
local async = require "lua_async"
local support = require "spec.support"
local run, sys, fs = support.run, support.sys, async.fs

local function put(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end
local function get(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end
local function code_of(ok, err)
  assert.is_nil(ok)
  assert.is_table(err)
  return err.code
end

describe("file objects #process", function()
  local dir, path
  before_each(function()
    dir = support.folder()
    path = dir .. "/f"
  end)
  after_each(support.clean)

  it("open in the modes of io.open", function()
    run(function()
      assert.equal("ENOENT", code_of(fs.open(path)))
      assert.equal("ENOENT", code_of(fs.open(path, "r+")))
      local f = assert(fs.open(path, "w"))
      f:write("12345")
      assert.equal("EBADF", code_of(f:read(1)))
      assert.is_true(f:close())
      f = assert(fs.open(path, "rb"))
      assert.equal("12345", f:read("a"))
      local ok, err = f:write("x")
      if ok then ok, err = f:flush() end
      assert.equal("EBADF", code_of(ok, err))
      f:close()
      f = assert(fs.open(path, "r+"))
      f:write("ab")
      assert.equal("345", f:read("a"))
      f:close()
      assert.equal("ab345", get(path))
      f = assert(fs.open(path, "a"))
      f:write("+")
      f:close()
      assert.equal("ab345+", get(path))
      f = assert(fs.open(path, "a+"))
      f:seek("set", 0)
      assert.equal("ab", f:read(2))
      f:write("!")
      f:seek("set", 1)
      assert.equal("b345+!", f:read("a"))
      f:write_at(0, "?") -- which pwrite appends, too
      assert.equal("ab345+!?", get(path))
      f:close()
      f = assert(fs.open(path, "w+"))
      assert.is_nil(f:read(1))
      f:write("new")
      f:seek("set")
      assert.equal("new", f:read("a"))
      f:close()
      assert.equal("EEXIST", code_of(fs.open(path, "wx")))
      for _, mode in ipairs { "", "q", "rw", "+r", "r++" } do
        assert.is_false(pcall(fs.open, path, mode), mode)
      end
      local _, e = fs.open(dir)
      assert.equal("open " .. dir .. ": illegal operation on a directory (EISDIR)", tostring(e))
      assert.equal("EISDIR", code_of(fs.open(dir, "w")))
      assert.equal("EISDIR", code_of(fs.open(dir .. "/", "a")))
    end)
  end)

  it("read in every format what io reads", function()
    local text = "first\n\n 12 0x1p4 rest of line\r\nexact|until;more\nlast"
    put(path, text)
    run(function()
      local f <close> = assert(fs.open(path))
      local p <close> = assert(io.open(path))
      for _, format in ipairs { "l", "L", "n", "n", "l", 6, "L", "l", "a", "a", "l", 0, 1, "n", "L" } do
        assert.equal(p:read(format), (f:read(format)))
      end
      f:seek("set")
      p:seek("set")
      assert.same(table.pack(p:read("L", "l", "n", "n", "l", 3, "a")),
        table.pack(f:read("L", "l", "n", "n", "l", 3, "a")))
      f:seek("set")
      p:seek("set")
      assert.same(table.pack(p:read("l", "n", "n")), table.pack(f:read("l", "n", "n")))
      f:seek("set")
      local t = {}
      for line in f:lines("L") do t[#t + 1] = line end
      assert.equal(text, table.concat(t))
      f:seek("set", 6)
      assert.equal("\n 12", f:read_exact(4))
      assert.equal(" 0x1p4 rest of line\r\nexact|until;", f:read_until(";"))
      assert.equal("more", f:read())
      assert.equal("EOF", code_of(f:read_exact(5)))
      assert.equal("last", f:read("a"))
    end)
  end)

  it("read lines across every boundary of the buffer", function()
    local t = {}
    for i = 1, 20000 do t[i] = ("x"):rep(i % 97) .. i end
    put(path, table.concat(t, "\n"))
    run(function()
      local f <close> = assert(fs.open(path))
      local i = 0
      for line in f:lines() do
        i = i + 1
        if line ~= t[i] then assert.equal(t[i], line) end
      end
      assert.equal(20000, i)
    end)
  end)

  it("write strings and numbers in order, and chain", function()
    run(function()
      local f = assert(fs.open(path, "w"))
      assert.equal(f, f:write("a", 1, 2.5, "\0"):write())
      assert.equal("", get(path)) -- buffered
      assert.equal(f, f:flush())
      assert.equal("a12.5\0", get(path))
      local big = ("0123456789"):rep(1 << 18)
      assert.equal(f, f:write(big, "end"))
      assert.equal(f, f:sync())
      assert.is_true(get(path) == "a12.5\0" .. big .. "end")
      assert.is_true(f:close())
    end)
  end)

  it("seek as io does, through both buffers", function()
    run(function()
      local f <close> = assert(fs.open(path, "w+"))
      f:write("0123456789")
      assert.equal(10, f:seek())
      assert.equal(4, f:seek("set", 4))
      assert.equal("45", f:read(2))
      assert.equal(6, f:seek("cur"))
      assert.equal(5, f:seek("cur", -1))
      assert.equal("5", f:read(1))
      assert.equal(8, f:seek("end", -2))
      f:write("AB")
      assert.equal(10, f:seek("cur", 0))
      f:seek("set", 12)
      f:write("Z")
      f:seek("set")
      assert.equal("01234567AB\0\0Z", f:read("a"))
      assert.equal("EINVAL", code_of(f:seek("set", -1)))
      assert.equal(13, f:seek())
      assert.is_false(pcall(f.seek, f, "middle"))
      assert.is_false(pcall(f.seek, f, "set", "x"))
    end)
  end)

  it("mix reads and writes at the position freely", function()
    run(function()
      put(path, "abcdefghij")
      local f <close> = assert(fs.open(path, "r+"))
      assert.equal("ab", f:read(2))
      f:write("CD")
      assert.equal("ef", f:read(2))
      f:write("GH")
      assert.equal("ij", f:read("a"))
      f:flush()
      assert.equal("abCDefGHij", get(path))
    end)
  end)

  it("read_at and write_at leave the position alone", function()
    run(function()
      put(path, "abcdefghij")
      local f <close> = assert(fs.open(path, "r+"))
      assert.equal("ab", f:read(2))
      assert.equal("ghi", f:read_at(6, 3))
      assert.equal(f, f:write_at(2, "XY"))
      assert.equal("XYe", f:read(3))
      assert.equal("XY", f:read_at(2, 2))
      f:write("Q") -- still buffered, and read_at sees it
      assert.equal("eQg", f:read_at(4, 3))
      assert.equal(6, f:seek())
      assert.equal("ij", f:read_at(8, 100))
      assert.is_nil(f:read_at(10, 1))
      assert.equal("", f:read_at(3, 0))
      f:write_at(12, "!")
      assert.equal("ghij\0\0!", f:read("a"))
      assert.is_false(pcall(f.read_at, f, -1, 1))
      assert.is_false(pcall(f.read_at, f, 0, -1))
      assert.is_false(pcall(f.read_at, f, 0))
      assert.is_false(pcall(f.write_at, f, -1, "x"))
      assert.is_false(pcall(f.write_at, f, 0))
    end)
  end)

  it("write at once from many tasks at many places, and read it all back", function()
    run(function()
      local f <close> = assert(fs.open(path, "w+"))
      local tasks = {}
      for i = 0, 99 do
        tasks[#tasks + 1] = async.spawn(function() assert(f:write_at(i * 10, ("%10d"):format(i))) end)
      end
      for _, t in ipairs(tasks) do t:await() end
      for i = 99, 0, -1 do assert.equal(("%10d"):format(i), f:read_at(i * 10, 10)) end
    end)
  end)

  it("truncate and tell their stat", function()
    run(function()
      local f <close> = assert(fs.open(path, "w+"))
      f:write("0123456789")
      assert.equal(10, f:stat().size) -- what is buffered counts
      assert.equal(f, f:truncate(4))
      assert.equal(4, f:stat().size)
      assert.equal("file", f:stat().type)
      f:truncate(6)
      assert.equal("0123\0\0", get(path))
      f:truncate()
      assert.equal(0, fs.stat(path).size)
      assert.is_false(pcall(f.truncate, f, -1))
    end)
  end)

  it("reach beyond 4 GiB, and refuse lengths that cannot be", function()
    run(function()
      local f <close> = assert(fs.open(path, "w+"))
      f:write_at(5 << 30, "far")
      assert.equal(5 << 30, f:seek("set", 5 << 30))
      assert.equal("far", f:read("a"))
      assert.equal("ar", f:read_at((5 << 30) + 1, 1 << 20))
      assert.is_false(pcall(f.read, f, math.maxinteger))
      assert.is_false(pcall(f.read_at, f, 0, math.maxinteger))
      assert.equal("far", f:read_at(5 << 30, 1 << 50))
      f:seek("end")
      assert.is_nil(f:read(1 << 31)) -- 2 GiB asked of nothing
      local s, err = f:write_at(math.maxinteger, "x")
      assert.is_nil(s)
      assert.is_true(err.code == "EFBIG" or err.code == "EINVAL" or err.code == "EOVERFLOW", err.code)
    end)
  end)

  it("close: what waits ends with ECANCELED, what comes later with EBADF, twice is harmless", function()
    run(function()
      local f = assert(fs.open(path, "w+"))
      f:write("buffered")
      assert.is_true(f:close())
      assert.equal("buffered", get(path))
      assert.is_true(f:close())
      for name, args in pairs { read = { 1 }, write = { "x" }, flush = {}, seek = {}, sync = {},
                                truncate = {}, stat = {}, read_at = { 0, 1 }, write_at = { 0, "x" },
                                read_exact = { 1 }, read_until = { "x" } } do
        assert.equal("EBADF", code_of(f[name](f, table.unpack(args))), name)
      end
      assert.equal("EBADF", code_of(f:write("")))
      assert.matches("closed", tostring(f))
      assert.equal("lua_async.File", debug.getmetatable(f).__name)
      -- A read that waits on a FIFO is one that is pending.
      sys.mkfifo(dir .. "/p")
      local other <close> = assert(io.open(dir .. "/p", "r+")) -- opened later, it might wait for a reader
      local p = assert(fs.open(dir .. "/p", "r+"))
      local reader = async.spawn(function() return p:read("l") end)
      async.yield()
      local closer = async.spawn(function() return p:close() end)
      async.yield()
      other:write("late\n") -- lets the thread of the pool go
      other:flush()
      assert.is_true(closer:await())
      assert.equal("ECANCELED", code_of(reader:await()))
    end)
  end)

  it("close at the end of their scope, with what was buffered", function()
    run(function()
      do
        local f <close> = assert(fs.open(path, "w"))
        f:write("in scope")
      end
      assert.equal("in scope", get(path))
      local ok, e = pcall(function()
        local f <close> = assert(fs.open("/dev/full", "w"))
        f:write("lost")
      end)
      assert.is_false(ok) -- a failure that nobody else would see
      assert.equal("ENOSPC", e.code)
      ok, e = pcall(function()
        local f <close> = assert(fs.open("/dev/full", "w"))
        f:write("lost")
        error("first", 0)
      end)
      assert.is_false(ok)
      assert.equal("first", e)
    end)
  end)

  it("close when their task is cancelled", function()
    run(function()
      local written = support.gate()
      local t = async.spawn(function()
        local f <close> = assert(fs.open(path, "w"))
        f:write("before the end")
        written.open()
        async.sleep(1000)
      end)
      written.wait()
      t:cancel()
      pcall(t.await, t)
    end)
    assert.equal("before the end", get(path))
  end)

  it("that nobody closes are flushed when they are collected, or when the run ends", function()
    local before
    run(function()
      fs.stat(dir)
      before = support.fds()
      do
        local f = assert(fs.open(path, "w"))
        f:write("collected")
      end
      collectgarbage()
      collectgarbage()
      while get(path) ~= "collected" do async.sleep(0.001) end
    end)
    local kept
    run(function()
      kept = assert(fs.open(dir .. "/g", "w"))
      kept:write("at the end")
    end)
    kept = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal("at the end", get(dir .. "/g"))
    assert.is_true(support.fds() <= before)
  end)

  it("report a full device at flush, sync, seek, close or the write that finds it", function()
    run(function()
      for _, how in ipairs { "flush", "sync", "close" } do
        local f = assert(fs.open("/dev/full", "w"))
        assert(f:write("small"))
        local ok, err = f[how](f)
        assert.is_nil(ok, how)
        assert.equal("ENOSPC", err.code)
        assert.equal(how, err.op)
        f:close()
      end
      local f = assert(fs.open("/dev/full", "w"))
      local ok, err
      for _ = 1, 100 do
        ok, err = f:write(("x"):rep(65536))
        if not ok then break end
      end
      assert.equal("ENOSPC", code_of(ok, err))
      assert.equal("integer", math.type(err.partial))
      f:close()
    end)
  end)

  it("refuse a second reader and a second writer", function()
    run(function()
      sys.mkfifo(dir .. "/p")
      local p <close> = assert(fs.open(dir .. "/p", "r+"))
      local reader = async.spawn(function() return p:read("l") end)
      async.yield()
      local ok, e = pcall(p.read, p, 1)
      assert.is_false(ok)
      assert.matches("another task is already reading", e)
      put(dir .. "/p", "line\n")
      assert.equal("line", reader:await())
    end)
  end)

  it("lose no byte to cancelled reads, and write none twice", function()
    run(function()
      local t = {}
      for i = 1, 30000 do t[i] = i end
      local text = table.concat(t, ",")
      put(path, text)
      local f <close> = assert(fs.open(path))
      local g <close> = assert(fs.open(dir .. "/g", "w"))
      local got, ended, round = {}, false, 0
      while not ended do
        round = round + 1
        local task = async.spawn(function()
          while true do
            local s = f:read(1000)
            if not s then ended = true return end
            got[#got + 1] = s
            if #got % 7 == 0 then async.yield() end
          end
        end)
        for _ = 0, round % 5 do async.yield() end
        if round % 3 == 0 then async.sleep(0.001) end
        task:cancel()
        pcall(task.await, task)
      end
      assert.is_true(table.concat(got) == text)
      -- A write that is cancelled is written once or, when it never began, not at all.
      for i = 1, 300 do
        local task = async.spawn(function() g:write(("%04d"):format(i):rep(5000)) end)
        for _ = 1, i % 4 do async.yield() end
        task:cancel()
        pcall(task.await, task)
      end
      g:flush()
      local written = get(dir .. "/g")
      local last = 0
      for at = 1, #written - 3, 4 do
        local n = tonumber(written:sub(at, at + 3))
        if not n or n < last then error("torn at " .. at) end
        last = n
      end
    end)
  end)

  it("work through Futures", function()
    run(function()
      local f = assert(async.await(async.future(fs.open, path, "w+")))
      assert.equal(f, async.await(async.future(f.write, f, "text")))
      assert.equal(0, async.await(async.future(f.seek, f, "set", 0)))
      assert.equal("text", async.await(async.future(f.read, f, "a")))
      assert.equal("ex", async.await(async.future(f.read_at, f, 1, 2)))
      assert.is_true(async.await(async.future(f.close, f)))
    end)
  end)

  it("do not outlive their run: kept or not, they are flushed and closed", function()
    local before = support.fds()
    local f
    run(function()
      f = assert(fs.open(path, "w+"))
      f:write("kept")
    end)
    assert.equal(before, support.fds())
    assert.equal("kept", get(path))
    assert.matches("async.run", select(2, pcall(f.read, f, 1)))
    run(function()
      assert.equal("EBADF", code_of(f:read(1)))
      assert.equal("EBADF", code_of(f:write("x")))
    end)
    assert.is_true(f:close())
  end)
end)
