-- UDP: datagrams whole or told to be cut, their senders, connected sockets, many at once,
-- several tasks at one socket, multicast.
local async = require "lua_async"
local support = require "spec.support"
local net = async.net

local function udp(host, options)
  local socket = assert(net.udp(host or "127.0.0.1", 0, options))
  local address, port = socket:address()
  return socket, port, address
end

local function run(f)
  return function() support.run(f) end
end

-- A port of 127.0.0.1 at which nobody is.
local function nobody()
  local socket <close>, port = udp()
  return port
end

describe("a UDP socket", function()
  it("is bound, to a port of its own", run(function()
    local a <close>, port, host = udp()
    assert.equal("127.0.0.1", host)
    assert.is_true(port > 0)
    assert.equal(("UDPSocket (127.0.0.1 port %d)"):format(port), tostring(a))
    local again, err = net.udp("127.0.0.1", port)
    assert.is_nil(again)
    assert.equal("EADDRINUSE", err.code)
    assert.equal("127.0.0.1:" .. port, err.address)
    assert.equal("udp", err.op)
  end))

  it("without a host serves IPv4 and IPv6", run(function()
    for _, host in ipairs { false, "*" } do
      local a <close> = assert(net.udp(host or nil, 0))
      local _, port = a:address()
      for _, to in ipairs { "127.0.0.1", "::1" } do
        local b <close> = udp(to)
        assert.equal(b, b:send("to " .. to, to, port))
        local data, from, back = a:recv()
        assert.equal("to " .. to, data)
        assert.equal(a, a:send("back", from, back))
        assert.equal("back", (b:recv()))
        assert.equal(a, a:send("once more", to, back)) -- IPv4 is mapped
        assert.equal("once more", (b:recv()))
      end
    end
  end))

  it("ipv6only leaves IPv4 to others", run(function()
    local a <close>, port = udp("::", { ipv6only = true })
    local b <close> = assert(net.udp("0.0.0.0", port))
    local c <close> = udp()
    c:send("4", "127.0.0.1", port)
    assert.equal("4", (b:recv()))
    assert.is_nil(a:send("x", "127.0.0.1", port))
  end))

  it("takes a name, to be bound, to send and to connect", run(function()
    local a <close>, port = udp("localhost")
    local b <close> = udp("localhost")
    assert.equal(b, b:send("one", "localhost", port))
    assert.equal("one", (a:recv()))
    assert.equal(b, b:connect("localhost", port))
    assert.equal(b, b:send("two"))
    assert.equal("two", (a:recv()))
    for _, f in ipairs { function() return b:send("x", "no.such.name.invalid", 1) end,
      function() return b:connect("no.such.name.invalid", 1) end,
      function() return net.udp("no.such.name.invalid", 0) end } do
      local value, err = f()
      assert.is_nil(value)
      assert.matches("^EAI_", err.code)
      assert.matches("^no.such.name.invalid:", err.address)
    end
  end))

  it("takes options, and refuses others", run(function()
    local a <close>, port = udp(nil,
      { reuseport = true, broadcast = true, ttl = 9, recv_buffer = 65536, send_buffer = 65536 })
    assert.equal(a, a:send("x", "127.0.0.1", port))
    local b <close> = assert(net.udp("127.0.0.1", port, { reuseport = true }))
    local c <close>, shared = udp(nil, { reuseaddr = true })
    local d <close> = assert(net.udp("127.0.0.1", shared, { reuseaddr = true }))
    assert.is_true(b:close() and c:close() and d:close())
    for _, bad in ipairs { { reuse = true }, { ttl = 0 }, { ttl = 256 }, { broadcast = 1 }, { recv_buffer = 0 } } do
      assert.has_error(function() net.udp("127.0.0.1", 0, bad) end)
    end
  end))

  it("says what is wrong with its arguments", run(function()
    local a <close> = udp()
    local function raises(message, ...)
      local ok, e = pcall(...)
      assert.is_false(ok)
      assert.matches(message, e, 1, true)
    end
    raises("the host is empty", net.udp, "", 1)
    raises("not a port number", net.udp, "127.0.0.1", 65536)
    raises("not a port number", a.send, a, "x", "127.0.0.1", 0)
    raises("string expected", a.send, a, nil)
    raises("string expected", a.send, a, "x", nil, 1)
    raises("number of bytes", a.recv, a, -1)
    raises("1 to 65535", a.recv_many, a, 0)
    raises("table expected", a.send_many, a, "x")
    raises("datagram 2: a table", a.send_many, a, { { data = "x" }, 7 })
    raises("datagram 1: 'data' must be", a.send_many, a, { {} })
    raises("datagram 1: 'port' must be", a.send_many, a, { { data = "x", host = "::1" } })
    raises("datagram 1: 'host' must be a string", a.send_many, a, { { data = "x", port = 1 } })
    raises("net.resolve", a.send_many, a, { { data = "x", host = "localhost", port = 1 } })
    raises("lua_async.UDPSocket", a.recv, io.stdout)
    raises("numeric address expected", a.join, a, "lo")
    raises("from 1 to 255", a.ttl, a, 0)
  end))

  it("keeps datagrams whole, the empty one too", run(function()
    local a <close>, port = udp()
    local b <close>, from = udp()
    local sizes = { 0, 1, 64, 1500, 9000, 65507 }
    for _, size in ipairs(sizes) do
      local text = ("x"):rep(size)
      assert.equal(b, b:send(text, "127.0.0.1", port))
      local data, host, back, truncated = a:recv()
      assert.is_true(data == text)
      assert.equal("127.0.0.1", host)
      assert.equal(from, back)
      assert.is_nil(truncated)
    end
    local none, err = b:send(("x"):rep(65508), "127.0.0.1", port)
    assert.is_nil(none)
    assert.equal("EMSGSIZE", err.code)
    assert.equal("127.0.0.1:" .. port, err.address)
  end))

  it("tells when a datagram was longer than wanted", run(function()
    local a <close>, port = udp()
    for _, max in ipairs { 0, 3, 5, 6 } do
      a:send("hello", "127.0.0.1", port)
      local data, _, _, truncated = a:recv(max)
      assert.equal(("hello"):sub(1, max), data)
      assert.equal(max < 5 or nil, truncated)
    end
    a:send("next", "127.0.0.1", port)
    assert.equal("next", (a:recv())) -- the rest of one is not the next one
  end))

  it("receives in the order of arrival, however much comes", run(function()
    local a <close>, port = udp()
    local b <close> = udp()
    for round = 1, 3 do
      for i = 1, 100 do b:send(("%d.%d"):format(round, i), "127.0.0.1", port) end
      for i = 1, 100 do assert.equal(("%d.%d"):format(round, i), (a:recv())) end
    end
  end))

  it("knows many senders apart", run(function()
    local a <close>, port = udp("0.0.0.0")
    local all = {}
    local _ <close> = support.closing(table.unpack(all))
    for i = 1, 40 do
      local b, from, host = udp("127.0.1." .. i)
      all[i] = b
      for _ = 1, 2 do
        b:send("hello", "127.0.0.1", port)
        local data, was_host, was_port = a:recv()
        assert.same({ "hello", host, from }, { data, was_host, was_port })
        a:send("back " .. i, was_host, was_port)
        assert.equal("back " .. i, (b:recv()))
      end
    end
    for _, b in ipairs(all) do b:close() end
  end))

  it("iterates over what comes, until it is closed", run(function()
    local a <close>, port = udp()
    local got = {}
    local t = async.spawn(function()
      for data, host, from in a:incoming() do
        got[#got + 1] = data
        a:send(data:upper(), host, from)
      end
      return "over"
    end)
    local b <close> = udp()
    for _, word in ipairs { "a", "", "b" } do
      b:send(word, "127.0.0.1", port)
      assert.equal(word:upper(), (b:recv()))
    end
    a:close()
    assert.equal("over", t:await())
    assert.same({ "a", "", "b" }, got)
  end))
end)

describe("a connected UDP socket", function()
  it("sends to its peer and hears only that", run(function()
    local a <close>, port = udp()
    local b <close>, other = udp()
    local c <close> = udp()
    local none, err = a:send("x")
    assert.is_nil(none)
    assert.equal("EDESTADDRREQ", err.code)
    assert.equal("ENOTCONN", select(2, a:peer()).code)
    assert.equal(a, a:connect("127.0.0.1", other))
    assert.same({ "127.0.0.1", other }, { a:peer() })
    c:send("from a stranger", "127.0.0.1", port)
    b:send("from the peer", "127.0.0.1", port)
    assert.equal("from the peer", (a:recv()))
    assert.equal(a, a:send("answer"))
    assert.equal("answer", (b:recv()))
    assert.is_true(a:disconnect())
    assert.same({ "127.0.0.1", port }, { a:address() }) -- its port is still its own
    c:send("again", "127.0.0.1", port)
    assert.equal("again", (a:recv()))
  end))

  it("on all addresses is bound to all of them again", run(function()
    local a <close> = assert(net.udp(nil, 0))
    local host, port = a:address()
    assert(a:connect("127.0.0.1", nobody()))
    assert(a:disconnect())
    assert.same({ host, port }, { a:address() })
    local b <close> = udp()
    b:send("x", "127.0.0.1", port)
    assert.equal("x", (a:recv()))
  end))

  it("is told that nobody is there, waiting or later, and goes on", run(function()
    local a <close>, own = udp()
    assert(a:connect("127.0.0.1", nobody()))
    local t = async.spawn(function() return a:recv() end)
    async.yield()
    assert.equal(a, a:send("x"))
    local data, err = t:await()
    assert.is_nil(data)
    assert.equal("ECONNREFUSED", err.code)
    assert.equal(a, a:send("y"))
    data, err = a:recv()
    assert.is_nil(data)
    assert.equal("ECONNREFUSED", err.code)
    assert.equal(a, a:send("z"))
    data, err = a:send("or by the next send") -- loopback answers at once
    assert.is_nil(data)
    assert.equal("ECONNREFUSED", err.code)
    a:disconnect()
    a:send("to myself", "127.0.0.1", own)
    assert.equal("to myself", (a:recv()))
  end))
end)

describe("many datagrams at once", function()
  it("come as a list, at least one, at most n", run(function()
    local a <close>, port = udp()
    local b <close>, from = udp()
    for i = 1, 50 do b:send("m" .. i, "127.0.0.1", port) end
    local got = {}
    while #got < 50 do
      local list = a:recv_many(20)
      assert.is_true(#list >= 1 and #list <= 20)
      for _, d in ipairs(list) do
        got[#got + 1] = d.data
        assert.same({ "127.0.0.1", from }, { d.host, d.port })
        assert.is_nil(d.truncated)
      end
    end
    for i = 1, 50 do assert.equal("m" .. i, got[i]) end
    local t = async.spawn(function() return a:recv_many() end)
    async.yield()
    b:send("late", "127.0.0.1", port)
    assert.equal("late", t:await()[1].data)
  end))

  it("go out as a list, back to their senders too", run(function()
    local a <close>, port = udp()
    local b <close> = udp()
    local list = {}
    for i = 1, 200 do list[i] = { data = tostring(i), host = "127.0.0.1", port = port } end
    assert.equal(b, b:send_many(list))
    assert.equal(b, b:send_many {})
    local n = 0
    while n < 200 do
      local some = a:recv_many(64)
      assert.equal(a, a:send_many(some))
      n = n + #some
    end
    for i = 1, 200 do assert.equal(tostring(i), (b:recv())) end
    assert(b:connect("127.0.0.1", port))
    assert.equal(b, b:send_many { { data = "x" }, { data = "" } })
    assert.equal("x", (a:recv()))
    assert.equal("", (a:recv()))
  end))

  it("tell how many were sent before one failed", run(function()
    local a <close>, port = udp()
    local ok = { data = "x", host = "127.0.0.1", port = port }
    local big = { data = ("x"):rep(70000), host = "127.0.0.1", port = port }
    for before = 0, 3 do
      local list = {}
      for i = 1, before do list[i] = ok end
      list[before + 1], list[before + 2] = big, ok
      local none, err = a:send_many(list)
      assert.is_nil(none)
      assert.equal("EMSGSIZE", err.code)
      assert.equal(before, err.partial)
      for _ = 1, before do assert.equal("x", (a:recv())) end
    end
  end))
end)

describe("several tasks at one UDP socket", function()
  it("are served in order", run(function()
    local a <close>, port = udp()
    local order = {}
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = async.spawn(function()
        local data = a:recv()
        order[#order + 1] = i .. ":" .. data
      end)
      async.yield()
    end
    for i = 1, 20 do a:send("d" .. i, "127.0.0.1", port) end
    for i = 1, 20 do tasks[i]:await() end
    for i = 1, 20 do assert.equal(("%d:d%d"):format(i, i), order[i]) end
  end))

  it("lose nothing when one gives up", run(function()
    local a <close>, port = udp()
    local got
    local first = async.spawn(function() got = a:recv() end)
    local second = async.spawn(function() return a:recv_many(1)[1].data end)
    async.yield()
    a:send("one", "127.0.0.1", port)
    first:cancel()
    pcall(first.await, first)
    -- What is cancelled is polled once more: it may be that it had it.
    if got then
      assert.equal("one", got)
      a:send("one", "127.0.0.1", port)
    end
    assert.equal("one", second:await())
    -- What a select's loser had already been given comes next.
    a:send("two", "127.0.0.1", port)
    a:send("three", "127.0.0.1", port)
    local w = support.gate()
    local t = async.spawn(function()
      async.select({ function() w.wait() end, function() return a:recv() end })
    end)
    for _ = 1, 5 do async.yield() end
    t:cancel()
    w.open()
    local rest = {}
    while rest[#rest] ~= "three" do rest[#rest + 1] = a:recv() end
    assert.is_true(#rest <= 2)
  end))

  it("end with the socket; later calls are refused", run(function()
    local a, port = udp()
    local tasks = {}
    for i, f in ipairs { a.recv, a.recv_many, a.incoming(a) } do
      tasks[i] = async.spawn(f, a)
    end
    async.yield()
    assert.is_true(a:close())
    assert.is_true(a:close())
    for _, t in ipairs(tasks) do
      local none, err = t:await()
      assert.is_nil(none)
      assert.equal("ECANCELED", err.code)
    end
    for _, call in ipairs { { "recv" }, { "recv_many" }, { "send", "x", "127.0.0.1", port },
      { "send", "x", "localhost", port },
      { "send_many", {} }, { "connect", "127.0.0.1", port }, { "disconnect" }, { "address" }, { "peer" }, { "fd" },
      { "ttl", 1 }, { "broadcast" }, { "join", "239.0.0.1" }, { "multicast_interface", "lo" } } do
      local none, err = a[call[1]](a, table.unpack(call, 2))
      assert.is_nil(none)
      assert.equal("EBADF", err.code, call[1])
    end
    assert.equal("UDPSocket (closed)", tostring(a))
    assert(net.udp("127.0.0.1", port)):close() -- free at once
  end))

  it("does not starve others", run(function()
    local a <close>, port = udp()
    local stop = false
    local t = async.spawn(function()
      a:send("x", "127.0.0.1", port)
      while not stop do
        a:recv()
        a:send("x", "127.0.0.1", port)
      end
    end)
    for _ = 1, 50 do async.yield() end
    stop = true
    t:await()
  end))
end)

describe("multicast", function()
  it("reaches who has joined, until they leave", run(function()
    local a <close> = assert(net.udp("0.0.0.0", 0, { reuseaddr = true }))
    local _, port = a:address()
    local b <close> = udp("0.0.0.0")
    local other <close> = udp("0.0.0.0")
    assert.is_true(other:join("239.255.7.7", "lo"))
    assert.is_true(b:multicast_interface("127.0.0.1"))
    assert.is_true(b:multicast_loop(true))
    assert.is_true(b:multicast_ttl(0))
    assert.is_true(a:join("239.255.7.7", "lo"))
    b:send("hello", "239.255.7.7", port)
    assert.equal("hello", (a:recv()))
    assert.equal("EADDRINUSE", select(2, a:join("239.255.7.7", "lo")).code)
    assert.is_true(a:leave("239.255.7.7", "lo"))
    assert.equal("EADDRNOTAVAIL", select(2, a:leave("239.255.7.7", "lo")).code)
    b:send("nobody", "239.255.7.7", port)
    b:send("last", "127.0.0.1", port)
    assert.equal("last", (a:recv()))
  end))

  it("of IPv6, on a socket for both", run(function()
    local a <close> = assert(net.udp(nil, 0))
    local _, port = a:address()
    assert.is_true(a:join("ff12::7:7", "lo"))
    assert.is_true(a:join("239.255.7.8", "127.0.0.1"))
    assert.is_true(a:multicast_interface("lo"))
    assert.is_true(a:multicast_ttl(1))
    assert.is_true(a:multicast_loop())
    assert.is_true(a:ttl(9))
    assert.is_true(a:broadcast(true))
    assert.equal(a, a:send("four", "239.255.7.8", port))
    assert.equal("four", (a:recv()))
    assert.is_true(a:leave("ff12::7:7", "lo"))
    assert.equal("ENODEV", select(2, a:join("ff12::7:7", "no-such-interface")).code)
    assert.equal("ENODEV", select(2, a:multicast_interface("203.0.113.9")).code)
    assert.equal("EINVAL", select(2, a:join("127.0.0.1", "lo")).code)
  end))
end)

describe("a full or interrupted system #process", function()
  it("makes senders wait, in order, and loses no datagram", function()
    support.child_ok([[
      async.run(function()
        local a <close> = assert(async.net.udp("127.0.0.1", 0))
        local b <close> = assert(async.net.udp("127.0.0.1", 0))
        local _, port = a:address()
        for i = 1, 50 do assert(b:send("m" .. i, "127.0.0.1", port)) end
        for i = 1, 50 do assert(a:recv() == "m" .. i) end
        local tasks = {}
        for i = 1, 50 do tasks[i] = async.spawn(b.send, b, "t" .. i, "localhost", port) end
        for i = 1, 50 do assert(tasks[i]:await() == b) end
        local seen = {}
        for _ = 1, 50 do seen[a:recv()] = true end
        for i = 1, 50 do assert(seen["t" .. i]) end
        local list = {}
        for i = 1, 100 do list[i] = { data = "l" .. i, host = "127.0.0.1", port = port } end
        assert(b:send_many(list) == b)
        for i = 1, 100 do assert(a:recv() == "l" .. i) end
        list[51].data = ("x"):rep(70000)
        local none, err = b:send_many(list)
        assert(none == nil and err.code == "EMSGSIZE" and err.partial == 50, tostring(err))
        for i = 1, 50 do assert(a:recv() == "l" .. i) end
        -- One that waits is told of the close.
        local waiting = {}
        for i = 1, 3 do waiting[i] = async.spawn(b.send, b, "x", "127.0.0.1", port) end
        async.yield()
        b:close()
        for _, t in ipairs(waiting) do
          local r, e = t:await()
          assert(r == b or e.code == "ECANCELED" or e.code == "EBADF", tostring(e))
        end
      end)
      print "ok"
    ]], { under = 'env LD_PRELOAD="$LD_PRELOAD ./build/spec/slow.so"' })
  end)
end)
