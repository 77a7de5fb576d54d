-- A connection that has failed stays failed: Linux tells a fatal error once, and then an end that
-- looks orderly. What had arrived can be read; after it every read is told, whichever direction met the error.
local async = require "lua_async"
local support = require "spec.support"

-- Sends `n` bytes to each client that has sent one, and breaks its connection: a reset (TCP), or a
-- close that leaves bytes unread (Unix).
local TCP = [[
import socket, struct, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(5); print(s.getsockname()[1], flush=True)
while True:
  c, _ = s.accept(); c.recv(1); c.sendall(b"y" * int(sys.argv[1]))
  sys.stdin.readline()
  c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()
  print("broken", flush=True)
]]
local UNIX = [[
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[2]); s.listen(5); print(0, flush=True)
while True:
  c, _ = s.accept(); c.recv(1); c.sendall(b"y" * int(sys.argv[1]))
  sys.stdin.readline()
  c.close()
  print("broken", flush=True)
]]

local SIZE = 102400

-- f(client): client() is a connection that has the bytes and then breaks.
local function with_server(kind, f)
  support.run(function()
    local path = support.folder() .. "/s"
    local child <close> = assert(async.process.spawn { "python3", "-c", kind == "tcp" and TCP or UNIX, tostring(SIZE),
                                                       path, stdin = "pipe", stdout = "pipe" })
    local port = assert(child.stdout:read("n"))
    assert.equal("", child.stdout:read())
    -- `prepare(conn)` runs before the connection breaks.
    local function client(prepare)
      local conn = assert(kind == "tcp" and async.net.connect("127.0.0.1", port) or async.net.connect_unix(path))
      conn:write("xx")
      if prepare then prepare(conn) end
      child.stdin:write("\n")
      assert.equal("broken", child.stdout:read())
      return conn
    end
    f(client, child)
  end)
  support.clean()
end

local function reset(value, err)
  assert.is_nil(value)
  assert.equal("ECONNRESET", err and err.code)
  return err
end

for _, kind in ipairs { "tcp", "unix" } do
  describe("a broken connection (" .. kind .. ")", function()
    it("fails every read('a'), and gives its bytes to reads that take fewer #process", function()
      with_server(kind, function(client)
        local conn <close> = client()
        for _ = 1, 3 do reset(conn:read("a")) end
        local n = 0
        while n < SIZE do n = n + #assert(conn:read(70000)) end
        assert.equal(SIZE, n)
        for _ = 1, 2 do
          reset(conn:read(1))
          reset(conn:read("l"))
          reset(conn:read("n"))
          reset(conn:read("a"))
          reset(conn:read("l", "n"))
          reset(conn:read_exact(1))
          reset(conn:read_until("z"))
        end
      end)
    end)

    it("fails every read_exact of more than there is #process", function()
      with_server(kind, function(client)
        local conn <close> = client()
        for _ = 1, 3 do reset(conn:read_exact(SIZE + 1)) end
        assert.equal(SIZE, #assert(conn:read_exact(SIZE)))
        reset(conn:read_exact(1))
      end)
    end)

    it("tells who reads on after lines #process", function()
      with_server(kind, function(client)
        local conn <close> = client()
        local n = 0
        for piece in conn:lines(4096) do n = n + #piece end
        assert.equal(SIZE, n)
        for _ = 1, 2 do reset(conn:read(10)) end
      end)
    end)

    it("fails every copy from it, with the bytes before #process", function()
      with_server(kind, function(client)
        for _, into in ipairs { "a file", "a stream" } do
          local conn <close> = client()
          local a, b, count
          if into == "a file" then
            a = assert(async.fs.open("/dev/null", "w"))
          else
            a, b = support.pair()
            count = async.spawn(function() return #b:read("a") end)
          end
          local err = reset(async.copy(conn, a))
          assert.equal(SIZE, err.partial)
          for _ = 1, 2 do assert.equal(0, reset(async.copy(conn, a)).partial) end
          reset(conn:read("a"))
          a:close()
          if count then assert.equal(SIZE, count:await()) b:close() end
        end
      end)
    end)

    it("fails writes, too, once a read was told #process", function()
      with_server(kind, function(client)
        local conn <close> = client()
        reset(conn:read("a"))
        for _, more in ipairs { "", ("y"):rep(20000) } do
          local ok, err = conn:write("x", more)
          assert.is_nil(ok)
          assert.equal("EPIPE", err.code)
          assert.equal(0, err.partial)
        end
        reset(conn:read("a"))
      end)
    end)
  end)
end

describe("a reset", function()
  it("that a write was told is told to reads, after what had arrived #process", function()
    with_server("tcp", function(client)
      local conn <close> = client()
      local err
      repeat
        local ok
        ok, err = conn:write("x")
      until not ok
      assert.equal("ECONNRESET", err.code)
      for _ = 1, 2 do reset(conn:read("a")) end
      assert.equal(SIZE, #assert(conn:read_exact(SIZE)))
      reset(conn:read("l"))
    end)
  end)

  it("that a waiting write was told is told to a waiting read, and the other way round #process", function()
    with_server("tcp", function(client)
      local writer, reader
      local conn <close> = client(function(conn)
        assert.equal(SIZE, #assert(conn:read_exact(SIZE)))
        writer = async.spawn(function() return conn:write(("x"):rep(32 << 20)) end)
        reader = async.spawn(function() return conn:read("a") end)
        async.sleep(0.05)
      end)
      reset(writer:await())
      reset(reader:await())
      reset(conn:read(1))
    end)
  end)

  it("of one end ends copy_both with that error #process", function()
    with_server("tcp", function(client)
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      local conn <close> = client()
      local count = async.spawn(function() return #(b:read(SIZE) or "") end)
      local err = select(2, async.copy_both(conn, a))
      assert.equal("ECONNRESET", err.code)
      count:await()
      reset(conn:read("a"))
    end)
  end)
end)

describe("an orderly end", function()
  it("leaves what can still be read when a write is refused #process", function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      b:write("what was sent\n")
      b:shutdown("send")
      a:shutdown("send")
      local ok, err = a:write("x")
      assert.is_nil(ok)
      assert.equal("EPIPE", err.code)
      assert.equal("what was sent", a:read())
      assert.same({}, { a:read() })
      assert.equal("", a:read("a"))
    end)
  end)

  it("stays one, when the peer closes after what it read #process", function()
    support.run(function()
      local path = support.folder() .. "/s"
      local listener <close> = assert(async.net.listen_unix(path))
      local a = assert(async.net.connect_unix(path))
      local b = assert(listener:accept())
      b:write("bytes")
      b:close()
      local ok, err = a:write("x")
      assert.is_nil(ok)
      assert.equal("EPIPE", err.code)
      assert.equal("bytes", a:read("a"))
      assert.equal("", a:read("a"))
      assert.same({}, { a:read() })
      a:close()
    end)
    support.clean()
  end)
end)
