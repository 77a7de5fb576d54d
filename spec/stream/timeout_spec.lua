-- stream:timeout(seconds), iterators that raise, and what is tried without waiting.
local async = require "lua_async"
local support = require "spec.support"

local function with_pair(f)
  return function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      f(a, b)
    end)
  end
end

local function fails(code, value, err)
  assert.is_nil(value)
  assert.equal(code, err.code)
  return err
end

describe("stream:timeout", function()
  it("limits each read that waits, and loses nothing", with_pair(function(a, b)
    assert.is_nil(a:timeout())
    assert.equal(a, a:timeout(0.02))
    assert.equal(0.02, a:timeout())
    b:write("partial")
    for name, call in pairs { read = { "l" }, read_exact = { 100 }, read_until = { ";" } } do
      local err = fails("ETIMEDOUT", a[name](a, table.unpack(call)))
      assert.equal(name, err.op)
      assert.is_truthy(err.message:find("0.02 s", 1, true))
      assert.is_truthy(err.message:find("Connection (to 127.0.0.1", 1, true))
    end
    fails("ETIMEDOUT", a:read("l", "l"))
    local lines, err = a:lines()()
    fails("ETIMEDOUT", lines, err)
    fails("ETIMEDOUT", async.await(async.future(a.read, a, "l")))
    b:write(" line\n")
    assert.equal("partial line", a:read("l"))
    assert.equal(a, a:timeout(nil))
    assert.is_nil(a:timeout())
    a:timeout(1)
    a:timeout(false)
    assert.is_nil(a:timeout())
    a:timeout(math.huge)
    assert.is_nil(a:timeout())
  end))

  it("limits each write, and says how much was accepted", with_pair(function(a, b)
    a:timeout(0.02)
    for _, parts in ipairs { { ("x"):rep(16 << 20) }, { ("x"):rep(8 << 20), ("x"):rep(8 << 20) } } do
      local err = fails("ETIMEDOUT", a:write(table.unpack(parts)))
      assert.equal("write", err.op)
      assert.is_true(err.partial >= 0 and err.partial < 16 << 20)
      local reader = async.spawn(function() return b:read_until("END") end)
      a:timeout(nil)
      assert(a:write("END"))
      assert.equal(err.partial + 3, #reader:await())
      a:timeout(0.02)
    end
  end))

  it("is of the whole of a read of several formats", with_pair(function(a, b)
    a:timeout(0.2)
    local writer = async.spawn(function()
      for _ = 1, 20 do
        b:write("x\n")
        async.sleep(0.05)
      end
    end)
    local r = table.pack(a:read("l", "l", "l", "l", "l", "l", "l", "l", "l", "l", "l", "l", "l", "l", "l"))
    assert.equal("ETIMEDOUT", r[r.n].code)
    writer:cancel()
  end))

  it("leaves what is there, a timeout around it, and cancellation as they are", with_pair(function(a, b)
    a:timeout(0)
    b:write("there\n")
    async.poll_fd(a, "r")
    assert.equal("there", (async.timeout(5, function()
      local s
      repeat s = a:read("l") until s
      return s
    end)))
    a:timeout(100)
    local err = fails("ETIMEDOUT", async.timeout(0.01, a.read, a))
    assert.is_nil(err.message:find("100 s", 1, true))
    local t = async.spawn(a.read, a)
    async.yield()
    t:cancel()
    assert.is_false(pcall(t.await, t))
    assert.equal("cancelled", t:status())
  end))

  it("follows the virtual clock", function()
    async.test(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      a:timeout(3600)
      local before = async.now()
      fails("ETIMEDOUT", a:read())
      assert.equal(3600, async.now() - before)
    end)
  end)

  it("is there for Unix connections, pipes, files and standard streams #process", function()
    support.run(function()
      local path = support.folder() .. "/s"
      local l <close> = assert(async.net.listen_unix(path))
      local u <close> = assert(async.net.connect_unix(path))
      local peer <close> = assert(l:accept())
      u:timeout(0.01)
      fails("ETIMEDOUT", u:read())
      fails("ETIMEDOUT", u:recv_fd())
      assert(u:send_fd(0))
      local child <close> = assert(async.process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
      child.stdout:timeout(0.01)
      fails("ETIMEDOUT", child.stdout:read())
      local f <close> = assert(async.fs.open(path .. ".f", "w"))
      assert(f:timeout(5):write("x"))
      assert.equal(5, f:timeout())
      assert.is_nil(async.stdin:timeout())
      assert.equal("s", peer and "s")
    end)
    support.clean()
  end)

  it("raises for what is no time", with_pair(function(a)
    for _, wrong in ipairs { -1, 0 / 0, "soon", {} , true } do assert.is_false(pcall(a.timeout, a, wrong)) end
    assert.is_nil(a:timeout())
  end))
end)

describe("an iterator with raise = true", function()
  local function raised(code, f)
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.equal(code, err.code)
  end

  it("raises what ends lines", with_pair(function(a, b)
    b:write("1\n2\n")
    local got = {}
    a:timeout(0.05)
    raised("ETIMEDOUT", function() for line in a:lines("l", { raise = true }) do got[#got + 1] = line end end)
    raised("ETIMEDOUT", function() for _ in a:lines { raise = true } do error("none") end end)
    raised("ETIMEDOUT", function() for _ in a:lines("n", "l", { raise = true }) do error("none") end end)
    assert.same({ "1", "2" }, got)
    for _ in a:lines("l", { raise = false }) do error("none") end
    b:shutdown()
    for _ in a:lines("L", { raise = true }) do error("none") end
    a:close()
    raised("EBADF", function() for _ in a:lines { raise = true } do error("none") end end)
    assert.is_false(pcall(a.lines, b, { rise = true }))
  end))

  it("raises what ends incoming", function()
    support.run(function()
      for _, make in ipairs { async.net.listen, async.net.udp } do
        local object = assert(make("127.0.0.1", 0))
        local t = async.spawn(function() for _ in object:incoming { raise = true } do error("none") end end)
        async.yield()
        object:close()
        raised("ECANCELED", function() t:await() end)
        for _ in object:incoming() do error("none") end
        assert.is_false(pcall(object.incoming, object, { rise = true }))
      end
    end)
  end)
end)

describe("what is tried without waiting", function()
  it("is accept", function()
    support.run(function()
      local path = support.folder() .. "/s"
      for _, unix in ipairs { false, true } do
        local l = assert(unix and async.net.listen_unix(path) or async.net.listen("127.0.0.1", 0))
        local err = fails("EAGAIN", l:try_accept())
        assert.equal("try_accept", err.op)
        local c <close> = assert(unix and async.net.connect_unix(path) or async.net.connect(l:address()))
        local conn <close> = assert(l:try_accept())
        c:write("x")
        assert.equal("x", conn:read(1))
        fails("EAGAIN", l:try_accept())
        l:close()
        fails("EBADF", l:try_accept())
      end
    end)
    support.clean()
  end)

  it("is recv and send", function()
    support.run(function()
      local a, b <close> = async.net.udp("127.0.0.1", 0), async.net.udp("127.0.0.1", 0)
      local host, port = b:address()
      fails("EAGAIN", b:try_recv())
      assert.equal(a, a:try_send("one", host, port))
      assert.equal(a, a:try_send("two", host, port))
      local data, from, from_port = b:try_recv()
      assert.same({ "one", a:address() }, { data, from, from_port })
      assert.same({ "t", "127.0.0.1", select(2, a:address()), true }, { b:try_recv(1) })
      fails("EAGAIN", b:try_recv())
      assert.is_false(pcall(a.try_send, a, "x", "localhost", port))
      a:close()
      fails("EBADF", a:try_recv())
      fails("EBADF", a:try_send("x", host, port))
    end)
  end)

  it("is read and write", with_pair(function(a, b)
    fails("EAGAIN", a:try_read(10))
    assert.equal(6, b:try_write("12", 34, "56"))
    assert.equal("123", a:try_read(3))
    assert.equal("456", a:try_read(100))
    fails("EAGAIN", a:try_read(10))
    local sent, n, err = 0, nil, nil
    repeat
      n, err = b:try_write(("x"):rep(1 << 20))
      sent = sent + (n or 0)
    until not n
    assert.equal("EAGAIN", err.code)
    local got = 0
    while got < sent do got = got + #assert(a:read(1 << 20)) end
    assert.equal(sent, got)
    local reader = async.spawn(a.read_exact, a, 2)
    async.yield()
    fails("EAGAIN", a:try_read(1)) -- somebody else reads
    b:write("zz")
    assert.equal("zz", reader:await())
    b:shutdown()
    async.poll_fd(a, "r")
    assert.same({}, { a:try_read(1) })
    a:close()
    fails("EBADF", a:try_read(1))
    fails("EBADF", a:try_write("x"))
  end))

  it("is read and write of a file", function()
    support.run(function()
      local path = support.folder() .. "/f"
      local f <close> = assert(async.fs.open(path, "w+"))
      assert.equal(5, f:try_write("bytes"))
      assert(f:seek("set", 0))
      local s, err
      repeat
        s, err = f:try_read(10)
        if not s then
          assert.equal("EAGAIN", err.code)
          async.sleep(0.001)
        end
      until s
      assert.equal("bytes", s)
    end)
    support.clean()
  end)
end)
