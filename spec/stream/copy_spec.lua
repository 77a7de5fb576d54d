-- async.copy and copy_both: bytes from any stream to any other, each once.
local async = require "lua_async"
local support = require "spec.support"
local fs, sys = async.fs, support.sys

local big -- no piece of it of some length comes twice
local function make_big()
  local parts = {}
  for i = 1, 1 << 19 do parts[i] = ("%07x,"):format(i) end
  big = table.concat(parts)
end

-- What `f` writes to its stream in a task, and then the end.
local function source(f)
  local to, from = support.pair()
  local task = async.spawn(function()
    f(to)
    to:shutdown("send")
    return to
  end)
  return from, task
end

-- All that comes out of the other end of what is returned.
local function target()
  local to, from = support.pair()
  local task = async.spawn(from.read, from, "a")
  return to, task, from
end

describe("async.copy #nogc", function()
  local folder
  setup(make_big)
  teardown(function() big = nil end)
  before_each(function() folder = support.folder() end)
  after_each(support.clean)

  it("copies between sockets to the end, large and small pieces", function()
    support.run(function()
      for _, text in ipairs { "", "x", big } do
        local from, feeder = source(function(s) s:write(text) end)
        local to, reader = target()
        assert.equal(#text, async.copy(from, to))
        to:close()
        assert.is_true(reader:await() == text)
        feeder:await():close()
        from:close()
      end
    end)
  end)

  it("copies what was read ahead first", function()
    support.run(function()
      local from <close> = source(function(s) s:write("line\nrest of it") end)
      local to <close>, reader = target()
      assert.equal("line", from:read())
      assert.equal(#"rest of it", async.copy(from, to))
      to:shutdown("send")
      assert.equal("rest of it", reader:await())
    end)
  end)

  it("copies a count of bytes, and leaves the others to be read", function()
    support.run(function()
      for _, n in ipairs { 0, 5, 100000, #big - 1 } do
        local from <close> = source(function(s) s:write(big) end)
        local to <close>, reader = target()
        assert.equal(n, async.copy(from, to, n))
        to:shutdown("send")
        assert.is_true(reader:await() == big:sub(1, n))
        assert.equal(big:sub(n + 1, n + 10), from:read_exact(math.min(10, #big - n)))
      end
      local from <close> = source(function(s) s:write("short") end)
      local to <close> = target()
      assert.equal(5, async.copy(from, to, 10))
    end)
  end)

  it("copies between files, and between a file and a socket", function()
    support.run(function()
      assert(fs.write_file(folder .. "/a", big))
      do
        local a <close> = assert(fs.open(folder .. "/a"))
        local b <close> = assert(fs.open(folder .. "/b", "w"))
        assert.equal("0000001,", a:read(8))
        assert.equal(#big - 8, async.copy(a, b))
      end
      assert.is_true(fs.read_file(folder .. "/b") == big:sub(9))
      local a <close> = assert(fs.open(folder .. "/a"))
      local to <close>, reader = target()
      assert.equal(#big, async.copy(a, to))
      to:shutdown("send")
      assert.is_true(reader:await() == big)
      local from <close> = source(function(s) s:write(big) end)
      local c = assert(fs.open(folder .. "/c", "w"))
      assert.equal(#big, async.copy(from, c))
      assert(c:close())
      assert.is_true(fs.read_file(folder .. "/c") == big)
    end)
  end)

  it("goes on between files where they stand, and leaves them behind what was copied", function()
    support.run(function()
      assert(fs.write_file(folder .. "/a", big))
      for _, mode in ipairs { "w+", "a+" } do -- what is appended to is copied by reads and writes
        os.remove(folder .. "/b")
        local a <close> = assert(fs.open(folder .. "/a", "r+"))
        local b <close> = assert(fs.open(folder .. "/b", mode))
        assert.equal("0000001,", a:read(8)) -- and much more is read ahead
        b:write("head:")
        assert.equal(100000, async.copy(a, b, 100000))
        assert.equal(big:sub(100009, 100016), a:read(8))
        b:write(":middle:")
        assert.equal(#big - 100016, async.copy(a, b))
        assert.is_nil(a:read(1))
        assert.equal(0, async.copy(a, b))
        b:write(":tail")
        b:seek("set", 0)
        assert.is_true(b:read("a") == "head:" .. big:sub(9, 100008) .. ":middle:" .. big:sub(100017) .. ":tail")
      end
    end)
  end)

  it("between files that is cancelled goes on, later, where it was #large", function()
    support.run(function()
      assert(fs.write_file(folder .. "/a", big:rep(8)))
      for k = 1, 12 do
        local a <close> = assert(fs.open(folder .. "/a"))
        local b <close> = assert(fs.open(folder .. "/b", "w+"))
        local copy = async.spawn(async.copy, a, b)
        for _ = 1, k do async.yield() end
        copy:cancel()
        pcall(copy.await, copy)
        assert.equal(b:seek(), a:seek())
        assert(async.copy(a, b))
        b:seek("set", 0)
        assert.is_true(b:read("a") == big:rep(8), k)
      end
    end)
  end)

  it("from a file that is closed meanwhile fails, and closes it", function()
    support.run(function()
      assert(fs.write_file(folder .. "/a", big:rep(8)))
      local a = assert(fs.open(folder .. "/a"))
      local b <close> = assert(fs.open(folder .. "/b", "w"))
      local copy = async.spawn(async.copy, a, b)
      async.yield()
      async.yield()
      assert.is_true(a:close())
      local n, err = copy:await()
      if not n then assert.is_true(err.code == "ECANCELED" or err.code == "EBADF") end
    end)
  end)

  it("from a stream to itself is an echo", function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      local echo = async.spawn(async.copy, b, b)
      async.join(function()
        a:write(big)
        a:shutdown("send")
      end, function() assert.is_true(a:read_exact(#big) == big) end)
      assert.equal(#big, echo:await())
    end)
  end)

  it("that is cancelled has copied each byte once or not at all", function()
    support.run(function()
      for k = 1, 40, 3 do
        local from <close>, feeder = source(function(s) s:write(big) end)
        local to <close>, reader = target()
        local copy = async.spawn(async.copy, from, to)
        for _ = 1, k do async.yield() end
        copy:cancel()
        pcall(copy.await, copy)
        to:shutdown("send")
        local first = reader:await()
        local rest = from:read("a")
        assert.is_true(first .. rest == big, k)
        feeder:await()
      end
    end)
  end)

  it("to one that does not read stops, and is given up without a loss", function()
    support.run(function()
      local from <close>, feeder = source(function(s) s:write(big) end)
      local to, fd = support.with_peer(4096)
      local copy = async.spawn(async.copy, from, to)
      for _ = 1, 100 do async.yield() end
      assert.equal("waiting", copy:status())
      copy:cancel()
      pcall(copy.await, copy)
      local drain = async.spawn(function()
        local got = {}
        while true do
          local s, err = sys.recv(fd, 1 << 16)
          if s == "" then return table.concat(got) end
          if s then got[#got + 1] = s else assert(err == "EAGAIN", err) async.yield() end
        end
      end)
      to:shutdown("send")
      local first = drain:await()
      assert.is_true(first .. from:read("a") == big)
      feeder:await()
      to:close()
      sys.close(fd)
    end)
  end)

  it("tells on which side it failed, and how much had gone", function()
    support.run(function()
      local from <close> = source(function(s) s:write("text") end)
      local closed = support.pair()
      closed:close()
      local n, err = async.copy(from, closed)
      assert.is_nil(n)
      assert.equal("copy (writing): bad file descriptor (EBADF)", tostring(err))
      assert.equal(0, err.partial)
      n, err = async.copy(closed, from)
      assert.is_nil(n)
      assert.equal("copy (reading): bad file descriptor (EBADF)", tostring(err))
      assert.equal("text", from:read(10)) -- which is still there
      local to, reader, peer = target()
      local from2 <close> = source(function(s) s:write(("x"):rep(100)) async.sleep(3600) end)
      local copy = async.spawn(async.copy, from2, to)
      while to:fd() and copy:status() ~= "waiting" do async.yield() end
      from2:close()
      n, err = copy:await()
      assert.is_nil(n)
      assert.equal("ECANCELED", err.code)
      assert.equal("copy (reading)", err.op)
      to:close()
      assert.equal(err.partial, #reader:await())
      peer:close()
    end)
  end)

  it("is one reader and one writer", function()
    support.run(function()
      local from <close> = source(function() async.sleep(3600) end)
      local to <close> = target()
      local copy = async.spawn(async.copy, from, to)
      async.yield()
      assert.error_matches(function() from:read() end, "another task is already reading")
      assert.error_matches(function() to:write("x") end, "another task is already writing")
      copy:cancel()
      pcall(copy.await, copy)
      assert.equal(to, to:write("x"))
    end)
  end)

  it("refuses what is no stream", function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      assert.error_matches(function() async.copy("x", a) end, "stream expected")
      assert.error_matches(function() async.copy(a, {}) end, "stream expected")
      assert.error_matches(function() async.copy(a, io.stdout) end, "stream expected")
      assert.error_matches(function() async.copy(a, b, -1) end, "cannot be negative")
    end)
  end)
end)

describe("async.copy_both #nogc", function()
  setup(make_big)
  teardown(function() big = nil end)

  -- A client, a server, and the two ends between them.
  local function chain()
    local client, left = support.pair()
    local right, server = support.pair()
    return client, left, right, server
  end

  it("passes bytes and ends on in both directions", function()
    support.run(function()
      local client, left, right, server = chain()
      local proxy = async.spawn(async.copy_both, left, right)
      async.join(function()
        client:write(big)
        client:shutdown("send")
        assert.equal("answer", client:read("a"))
      end, function()
        assert.is_true(server:read("a") == big) -- the end has come through, and we can still answer
        server:write("answer")
        server:close()
      end)
      assert.same({ #big, 6 }, { proxy:await() })
      for _, s in ipairs { client, left, right } do s:close() end
    end)
  end)

  it("ends both directions when one fails, with its error", function()
    support.run(function()
      local client, left, right, server = chain()
      local proxy = async.spawn(async.copy_both, left, right)
      for _ = 1, 3 do async.yield() end
      right:close()
      local n, err = proxy:await()
      assert.is_nil(n)
      assert.equal("ECANCELED", err.code)
      client:write("x")
      assert.equal("x", left:read(1)) -- nobody reads there any more
      for _, s in ipairs { client, left, server } do s:close() end
    end)
  end)

  it("is cancelled as a whole", function()
    support.run(function()
      local client, left, right, server = chain()
      local proxy = async.spawn(async.copy_both, left, right)
      for _ = 1, 3 do async.yield() end
      proxy:cancel()
      assert.is_true(support.was_cancelled(select(2, pcall(proxy.await, proxy))))
      client:write("to left")
      server:write("to right")
      assert.equal("to left", left:read(100))
      assert.equal("to right", right:read(100))
      for _, s in ipairs { client, left, right, server } do s:close() end
    end)
  end)
end)
