-- TCP: listening, accepting, connecting, options, addresses, the end of handles.
local async = require "lua_async"
local support = require "spec.support"
local run, sys, net = support.run, support.sys, async.net

local function code_of(ok, err)
  assert.is_nil(ok)
  assert.is_table(err)
  return err.code
end

-- Bound a moment ago, so nobody else listens there now.
local function closed_port()
  local fd, port = sys.listen(1)
  sys.close(fd)
  return port
end

local function ipv6()
  local f <close> = io.open("/proc/net/if_inet6")
  return f ~= nil and f:read("a"):find("00000000000000000000000000000001", 1, true) ~= nil
end

describe("net.listen and net.connect", function()
  for _, host in ipairs { "127.0.0.1", "localhost", "::1" } do
    it("serve and reach " .. host, function()
      run(function()
        local listener, err = net.listen(host, 0)
        if host == "::1" and not ipv6() then
          assert.equal("EADDRNOTAVAIL", code_of(listener, err))
          return
        end
        local _ <close> = assert(listener, err)
        local ip, port = listener:address()
        assert.is_true(math.type(port) == "integer" and port > 0)
        assert.is_true(ip == host or host == "localhost" and (ip == "127.0.0.1" or ip == "::1"))
        local client <close> = assert(net.connect(host == "localhost" and ip or host, port))
        local server <close> = assert(listener:accept())
        assert(client:write("ping\n"))
        assert.equal("ping", server:read())
        assert(server:write("pong\n"))
        assert.equal("pong", client:read())
      end)
    end)
  end

  it("reach a name whose first address refuses", function()
    run(function() -- localhost may be ::1 first: only 127.0.0.1 listens
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local client <close> = assert(net.connect("localhost", port))
      assert.same({ "127.0.0.1", port }, { client:peer() })
      local server <close> = assert(listener:accept())
      assert.same({ client:address() }, { server:peer() })
      assert.same({ server:address() }, { client:peer() })
    end)
  end)

  it("listen on every address with nil and '*'", function()
    run(function()
      for _, host in ipairs { "*", false } do
        local listener <close> = assert(net.listen(host or nil, 0))
        local _, port = listener:address()
        local client <close> = assert(net.connect("127.0.0.1", port))
        assert.equal(port, select(2, client:peer()))
      end
    end)
  end)

  it("say exactly what failed: the text and every field", function()
    run(function()
      local conn, err, more = net.connect("127.0.0.1", 1)
      assert.is_nil(conn)
      assert.is_nil(more)
      assert.equal("connect 127.0.0.1:1: connection refused (ECONNREFUSED)", tostring(err))
      assert.equal("ECONNREFUSED", err.code)
      assert.equal("connect", err.op)
      assert.equal("127.0.0.1:1", err.address)
      assert.equal(111, err.errno)
      assert.equal("connection refused", err.message)
      _, err = net.connect("localhost", closed_port())
      assert.matches("^connect localhost:%d+: connection refused %(ECONNREFUSED%)$", tostring(err))
      if ipv6() then
        _, err = net.connect("::1", 1)
        assert.equal("connect [::1]:1: connection refused (ECONNREFUSED)", tostring(err))
      end
    end)
  end)

  it("fail for a name that is none", function()
    run(function()
      local conn, err = net.connect("no.such.host.invalid", 80)
      assert.is_nil(conn)
      assert.matches("^EAI_", err.code)
      assert.equal("no.such.host.invalid:80", err.address)
      assert.matches("^EAI_", code_of(net.listen("no.such.host.invalid", 0)))
    end)
  end)

  it("fail for a port that is taken and an address that is not ours", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local other, err = net.listen("127.0.0.1", port)
      assert.equal("EADDRINUSE", code_of(other, err))
      assert.equal("listen", err.op)
      assert.equal("127.0.0.1:" .. port, err.address)
      assert.equal("EADDRNOTAVAIL", code_of(net.listen("192.0.2.1", 0)))
    end)
  end)

  it("raise for wrong arguments, naming what is wrong", function()
    run(function()
      local function refused(pattern, f, ...)
        local ok, e = pcall(f, ...)
        assert.is_false(ok)
        assert.matches(pattern, tostring(e))
      end
      refused("unknown option 'nodealy'", net.connect, "127.0.0.1", 1, { nodealy = true })
      refused("unknown option 'reusport'", net.listen, "127.0.0.1", 0, { reusport = true })
      refused("unknown option '1'", net.listen, "127.0.0.1", 0, { "reuseport" })
      refused("'nodelay' must be a boolean", net.connect, "127.0.0.1", 1, { nodelay = 1 })
      refused("'backlog' must be an integer", net.listen, "127.0.0.1", 0, { backlog = "many" })
      refused("'backlog' must be an integer from 1", net.listen, "127.0.0.1", 0, { backlog = 0 })
      refused("'bind' must be a numeric address", net.connect, "127.0.0.1", 1, { bind = "here" })
      refused("not a port number", net.connect, "127.0.0.1", 65536)
      refused("not a port number", net.connect, "127.0.0.1", 0)
      refused("not a port number", net.listen, "127.0.0.1", -1)
      refused("number expected", net.connect, "127.0.0.1")
      refused("string expected", net.connect, nil, 80)
      refused("table expected", net.connect, "127.0.0.1", 80, "fast")
      refused("zero byte", net.connect, "127.0.0.1\0.evil", 80)
    end)
    assert.matches("async.run", select(2, pcall(net.connect, "127.0.0.1", 1)))
    assert.matches("async.run", select(2, pcall(net.listen, "127.0.0.1", 0)))
  end)

  it("bind the near end", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local client <close> = assert(net.connect("127.0.0.1", port, { bind = "127.0.0.2" }))
      assert.equal("127.0.0.2", (client:address()))
      local server <close> = assert(listener:accept())
      assert.equal("127.0.0.2", (server:peer()))
    end)
  end)

  it("may be cancelled at the await, and leave no descriptor", function()
    local before = support.fds()
    run(function()
      local fd, port = sys.listen(0)
      local held = {}
      local function fill() -- a backlog that is full lets no connection in
        for _ = 1, 4 do
          held[#held + 1] = async.spawn(net.connect, "127.0.0.1", port)
        end
      end
      fill()
      async.sleep(0.01)
      for _, t in ipairs(held) do while t:status() == "ready" do async.yield() end end
      local stuck = 0
      for _, t in ipairs(held) do
        if t:cancel() then
          stuck = stuck + 1
          assert.is_false(pcall(t.await, t))
        end
      end
      assert.is_true(stuck > 0)
      local v, e = async.timeout(0, net.connect, "localhost", port)
      assert.is_nil(v)
      assert.equal("ETIMEDOUT", e.code)
      sys.close(fd)
    end)
    assert.equal(before, support.fds())
  end)
end)

describe("a listener", function()
  it("accepts in the order of arrival, and gives waiting accepts their turn in order", function()
    support.in_order(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local order = {}
      local tasks = {}
      for i = 1, 3 do
        tasks[i] = async.spawn(function()
          local conn <close> = assert(listener:accept())
          order[#order + 1] = i .. conn:read("L")
        end)
      end
      async.yield()
      for i = 1, 3 do
        local client <close> = assert(net.connect("127.0.0.1", port))
        client:write("client ", i, "\n")
        tasks[i]:await()
      end
      assert.same({ "1client 1\n", "2client 2\n", "3client 3\n" }, order)
    end)
  end)

  it("iterates over what comes in until it is closed", function()
    run(function()
      local listener = assert(net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local seen = 0
      local server = async.spawn(function()
        for conn in listener:incoming() do
          seen = seen + 1
          conn:close()
        end
        return "ended"
      end)
      for _ = 1, 5 do
        local client <close> = assert(net.connect("127.0.0.1", port))
        assert.is_nil(client:read("L"))
      end
      listener:close()
      assert.equal("ended", server:await())
      assert.equal(5, seen)
    end)
  end)

  it("ends waiting accepts with ECANCELED, later ones with EBADF; closing twice is harmless", function()
    run(function()
      local listener = assert(net.listen("127.0.0.1", 0))
      local tasks = {}
      for i = 1, 3 do tasks[i] = async.spawn(function() return listener:accept() end) end
      async.yield()
      assert.is_true(listener:close())
      for i = 1, 3 do
        local conn, err = tasks[i]:await()
        assert.equal("ECANCELED", code_of(conn, err))
        assert.equal("accept", err.op)
      end
      assert.equal("EBADF", code_of(listener:accept()))
      assert.is_true(listener:close())
      assert.equal("EBADF", code_of(listener:address()))
      assert.matches("closed", tostring(listener))
    end)
  end)

  it("gives what a cancelled accept would have got to the next", function()
    support.in_order(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local gone = async.spawn(function() return listener:accept() end)
      async.yield()
      local client = sys.connect(port) -- without a turn, so that the accept cannot have it yet
      gone:cancel()
      assert.is_false(pcall(gone.await, gone))
      local server <close> = assert(listener:accept())
      sys.send(client, "x")
      assert.equal("x", server:read(1))
      sys.close(client)
    end)
  end)

  it("closes at the end of its scope, and when it is collected", function()
    run(function()
      local port
      do
        local listener <close> = assert(net.listen("127.0.0.1", 0))
        _, port = listener:address()
      end
      assert.equal("ECONNREFUSED", code_of(net.connect("127.0.0.1", port)))
      do
        local listener = assert(net.listen("127.0.0.1", 0))
        _, port = listener:address()
      end
      collectgarbage()
      collectgarbage()
      assert.equal("ECONNREFUSED", code_of(net.connect("127.0.0.1", port)))
    end)
  end)

  it("shares its port with reuseport, and only with it", function()
    run(function()
      local a <close> = assert(net.listen("127.0.0.1", 0, { reuseport = true }))
      local _, port = a:address()
      local b <close> = assert(net.listen("127.0.0.1", port, { reuseport = true }))
      assert.same({ a:address() }, { b:address() })
      assert.equal("EADDRINUSE", code_of(net.listen("127.0.0.1", port)))
      local got = { a = 0, b = 0 }
      for name, l in pairs { a = a, b = b } do
        async.spawn(function()
          for conn in l:incoming() do
            got[name] = got[name] + 1
            conn:close()
          end
        end)
      end
      for _ = 1, 64 do
        local client <close> = assert(net.connect("127.0.0.1", port))
        assert.is_nil(client:read("L"))
      end
      assert.equal(64, got.a + got.b)
      assert.is_true(got.a > 0 and got.b > 0)
    end)
  end)

  it("holds back who comes beyond its backlog", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0, { backlog = 1 }))
      local _, port = listener:address()
      local made = 0
      for _ = 1, 8 do
        async.spawn(function()
          local conn = net.connect("127.0.0.1", port)
          made = made + 1
          async.sleep(100)
          conn:close()
        end)
      end
      while made == 0 do async.sleep(0.001) end
      async.sleep(0.05) -- for those who should not come
      assert.is_true(made < 8, tostring(made))
    end)
  end)

  it("gives its options to what it accepts", function()
    run(function()
      for _, want in ipairs { { nodelay = true, keepalive = 77 }, { nodelay = false } } do
        local listener <close> = assert(net.listen("127.0.0.1", 0, want))
        local _, port = listener:address()
        local client <close> = assert(net.connect("127.0.0.1", port))
        local server <close> = assert(listener:accept())
        local fd = sys.socket(port, select(2, client:address()))
        assert.equal(want.nodelay, sys.sockopt(fd, "nodelay") ~= 0)
        assert.equal(want.keepalive ~= nil, sys.sockopt(fd, "keepalive") ~= 0)
        if want.keepalive then assert.equal(77, sys.sockopt(fd, "keepidle")) end
        assert.is_true(server:close())
      end
    end)
  end)

  it("shows itself", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      assert.equal("Listener (127.0.0.1 port " .. select(2, listener:address()) .. ")",
        tostring(listener))
      assert.equal("lua_async.Listener", debug.getmetatable(listener).__name)
    end)
  end)
end)
