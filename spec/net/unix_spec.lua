-- Unix sockets: the same streams, with a file for an address, and descriptors that go along.
local async = require "lua_async"
local support = require "spec.support"
local net, sys = async.net, support.sys

local function open_fds() return support.fds() end

-- Two ends of one connection, and the listener, which is closed with them.
local function pair(path)
  local listener <close> = assert(net.listen_unix(path))
  local client = assert(net.connect_unix(path))
  return client, assert(listener:accept())
end

describe("a Unix socket", function()
  local folder, path, fds
  before_each(function()
    folder = support.folder()
    path = folder .. "/socket"
    fds = open_fds()
  end)
  after_each(function()
    assert.equal(fds, open_fds())
    support.clean()
  end)

  it("is a stream like any other", function()
    support.run(function()
      local listener <close> = assert(net.listen_unix(path))
      assert.equal(path, listener:address())
      assert.equal("Listener (" .. path .. ")", tostring(listener))
      local server = async.spawn(function()
        local conn <close> = assert(listener:accept())
        assert.equal(path, conn:address())
        assert.equal("", conn:peer())
        for line in conn:lines("L") do conn:write("> ", line) end
        conn:shutdown("send")
      end)
      local conn <close> = assert(net.connect_unix(path))
      assert.equal(path, conn:peer())
      conn:write("one\ntwo\n", "three\n"):flush()
      conn:shutdown("send")
      assert.equal("> one\n> two\n> three\n", conn:read("a"))
      server:await()
    end)
  end)

  it("carries more than its buffer, and a writer waits for its reader", function()
    support.run(function()
      local a, b = pair(path)
      local _ <close> = support.closing(a, b)
      local big = ("0123456789abcdef"):rep(1 << 17)
      local written = 0
      local writer = async.spawn(function()
        for _ = 1, 4 do a:write(big) written = written + 1 end
        a:shutdown("send")
      end)
      for _ = 1, 50 do async.yield() end
      assert.is_true(written < 4)
      assert.is_true(b:read("a") == big:rep(4))
      writer:await()
    end)
  end)

  it("of the abstract kind has no file", function()
    support.run(function()
      local name = "\0lua_async" .. folder
      local listener <close> = assert(net.listen_unix(name))
      assert.equal(name, listener:address())
      local conn <close> = assert(net.connect_unix(name))
      assert.equal(name, conn:peer())
      local nobody, err = net.listen_unix(name)
      assert.is_nil(nobody)
      assert.equal("EADDRINUSE", err.code)
    end)
  end)

  it("has the permissions asked for, and its file goes with the listener", function()
    support.run(function()
      local listener = assert(net.listen_unix(path, { mode = tonumber("600", 8), backlog = 5 }))
      local stat = assert(async.fs.stat(path))
      assert.equal("socket", stat.type)
      assert.equal(tonumber("600", 8), stat.mode & tonumber("777", 8))
      listener:close()
      assert.is_nil(async.fs.stat(path))
    end)
  end)

  it("whose file is another's by now leaves that alone", function()
    support.run(function()
      local listener = assert(net.listen_unix(path))
      assert(os.remove(path))
      local second <close> = assert(net.listen_unix(path))
      listener:close()
      local conn <close> = assert(net.connect_unix(path))
      assert.is_true(second:accept():close())
    end)
  end)

  it("replaces a file that nobody listens to, and no other", function()
    support.run(function()
      local nobody, err
      do
        local listener <close> = assert(net.listen_unix(path))
        assert(os.execute(("cp -al '%s' '%s.kept'"):format(path, path)))
        nobody, err = net.listen_unix(path)
        assert.is_nil(nobody)
        assert.equal("EADDRINUSE", err.code)
        assert.equal(path, err.path)
        assert(net.connect_unix(path)):close() -- which still serves
      end
      assert(os.rename(path .. ".kept", path)) -- as one that was killed leaves it
      nobody, err = net.connect_unix(path)
      assert.is_nil(nobody)
      assert.equal("ECONNREFUSED", err.code)
      local listener <close> = assert(net.listen_unix(path))
      assert(net.connect_unix(path)):close()
      local plain = folder .. "/file"
      assert(async.fs.write_file(plain, "mine"))
      nobody, err = net.listen_unix(plain)
      assert.is_nil(nobody)
      assert.equal("EADDRINUSE", err.code)
      assert.equal("mine", async.fs.read_file(plain))
      local names = {}
      for name in async.fs.dir(folder) do names[#names + 1] = name end
      table.sort(names)
      assert.same({ "file", "socket" }, names)
    end)
  end)

  it("waits while the backlog is full", function()
    support.run(function()
      local listener <close> = assert(net.listen_unix(path, { backlog = 1 }))
      local made = 0
      local clients = {}
      for i = 1, 8 do
        clients[i] = async.spawn(function()
          local conn <close> = assert(net.connect_unix(path))
          made = made + 1
          return conn:read("a")
        end)
      end
      for _ = 1, 20 do async.yield() end
      assert.is_true(made < 8)
      for _ = 1, 8 do
        local conn <close> = assert(listener:accept())
        conn:write("served")
      end
      for i = 1, 8 do assert.equal("served", clients[i]:await()) end
    end)
  end)

  it("tells who is at the other end", function()
    support.run(function()
      local a, b = pair(path)
      local _ <close> = support.closing(a, b)
      local me = b:credentials()
      assert.equal(a:credentials().uid, me.uid)
      local status <close> = assert(io.open("/proc/self/status"))
      assert.equal(me.pid, tonumber(status:read("a"):match("\nPid:%s*(%d+)")))
    end)
  end)

  it("passes descriptors, which serve where they arrive", function()
    support.run(function()
      local a, b = pair(path)
      local _ <close> = support.closing(a, b)
      local client, server = support.pair()
      local _ <close> = support.closing(client)
      assert.is_true(a:send_fd(server))
      server:close()
      local moved <close> = assert(net.from_fd(assert(b:recv_fd())))
      assert.equal("lua_async.Connection", getmetatable(moved))
      moved:write("from there\n")
      assert.equal("from there", client:read())
      -- a listener; one end of a Unix connection; and one that is adopted under its number
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local x, y = pair(folder .. "/other")
      local _ <close> = support.closing(x, y)
      assert(a:send_fd(listener))
      assert(a:send_fd(x:fd()))
      local again <close> = assert(net.from_fd(assert(b:recv_fd())))
      assert.same({ listener:address() }, { again:address() })
      local x2 <close> = assert(net.from_fd(assert(b:recv_fd())))
      x:close()
      x2:write("still there")
      x2:shutdown("send")
      assert.equal("still there", y:read("a"))
    end)
  end)

  it("keeps descriptors that came with bytes which were read for themselves", function()
    support.run(function()
      local a, b = pair(path)
      local _ <close> = support.closing(a, b)
      a:write("before")
      assert(a:send_fd(0))
      assert(a:send_fd(0))
      a:write("after")
      local got = ""
      while #got < #"before.after" + 1 do got = got .. b:read(100) end
      assert.equal("before\0\0after", got)
      local one, two = b:take_fd(), b:take_fd()
      assert.is_true(math.type(one) == "integer" and math.type(two) == "integer" and one ~= two)
      assert.is_nil(b:take_fd())
      sys.close(one)
      sys.close(two)
      a:write("x")
      local nothing, err = b:recv_fd() -- a byte without one
      assert.is_nil(nothing)
      assert.equal("EPROTO", err.code)
      a:close()
      assert.same({ n = 1 }, table.pack(b:recv_fd())) -- the end
    end)
  end)

  it("closes descriptors that nobody took", function()
    support.run(function()
      local a, b = pair(path)
      for _ = 1, 20 do assert(a:send_fd(0)) end
      assert.equal(("\0"):rep(20), b:read_exact(20))
      a:close()
      b:close()
    end)
  end)

  it("holds a bounded number of descriptors, and loses no byte for it", function()
    support.run(function()
      local a, b = pair(path)
      local _ <close> = support.closing(a, b)
      local writer = async.spawn(function()
        for _ = 1, 300 do assert(a:send_fd(0)) end
        a:shutdown("send")
      end)
      local nothing, err = b:read("a")
      assert.is_nil(nothing)
      assert.equal("ETOOMANYREFS", err.code)
      local taken = 0
      while true do
        local fd = b:take_fd()
        if not fd then break end
        sys.close(fd)
        taken = taken + 1
      end
      assert.is_true(taken >= 256)
      assert.equal(300, #b:read("a"))
      writer:await()
      for _ = taken + 1, 300 do sys.close(assert(b:take_fd())) end
    end)
  end)

  it("waits to send a descriptor until there is room, in order with the bytes", function()
    support.run(function()
      local a, b = pair(path)
      local _ <close> = support.closing(a, b)
      local big = ("x"):rep(1 << 20)
      local writer = async.spawn(function()
        a:write(big)
        assert(a:send_fd(0))
        a:write("end")
        a:shutdown("send")
      end)
      for _ = 1, 20 do async.yield() end
      assert.equal("waiting", writer:status())
      assert.is_true(b:read("a") == big .. "\0end")
      sys.close(assert(b:take_fd()))
      writer:await()
    end)
  end)

  it("that is closed while a descriptor waits ends that, and gives nothing away", function()
    support.run(function()
      local a, b = pair(path)
      local _ <close> = support.closing(a, b)
      local full = async.spawn(function()
        local sent, err
        repeat sent, err = a:send_fd(0) until not sent
        return err
      end)
      for _ = 1, 2000 do async.yield() end
      assert.equal("waiting", full:status())
      a:close()
      assert.equal("ECANCELED", full:await().code)
      local nothing, err = a:send_fd(0)
      assert.is_nil(nothing)
      assert.equal("EBADF", err.code)
    end)
  end)

  it("is refused with a reason", function()
    support.run(function()
      local function fails(code, f, ...)
        local nothing, err = f(...)
        assert.is_nil(nothing)
        assert.equal(code, err.code)
      end
      fails("ENOENT", net.connect_unix, folder .. "/nobody")
      fails("ENOENT", net.listen_unix, folder .. "/no/such/folder")
      fails("EBADF", net.from_fd, 1 << 20)
      local file <close> = assert(async.fs.open(path .. ".txt", "w"))
      local a, b = pair(path)
      local _ <close> = support.closing(a, b)
      fails("EBADF", a.send_fd, a, 1 << 20)
      for _, bad in ipairs { "", "a\0b", ("x"):rep(200) } do
        assert.is_false(pcall(net.listen_unix, bad))
        assert.is_false(pcall(net.connect_unix, bad))
      end
      assert.error_matches(function() net.listen_unix(path, { mod = 1 }) end, "unknown option 'mod'")
      assert.error_matches(function() net.connect_unix(("x"):rep(200)) end, "too long for a Unix socket")
      assert.error_matches(function() a:send_fd({}) end, "descriptor expected")
      assert.error_matches(function() a:send_fd(-1) end, "not a descriptor")
      assert.error_matches(function() net.from_fd("x") end, "number expected")
      b:close()
      fails("EPIPE", a.send_fd, a, 0)
    end)
  end)
end)
