-- An ICMP message about a datagram of the past is told to those whom it concerns, not to a send to
-- somebody else.
local async = require "lua_async"
local support = require "spec.support"

-- A socket that has sent to a port where nobody listens, and been told so by the system; that port; a
-- live one.
local function scene(f)
  support.run(function()
    local dead = async.net.udp("127.0.0.1", 0)
    local host, port = dead:address()
    dead:close()
    local live <close> = async.net.udp("127.0.0.1", 0)
    local socket <close> = async.net.udp("127.0.0.1", 0)
    assert(socket:connect(host, port))
    assert(socket:send("x"))
    async.poll_fd(socket:fd(), "r") -- the error has come
    f(socket, live, port)
  end)
end

local function arrives(live, what)
  local data = async.timeout(5, live.recv, live)
  assert.equal(what, data)
end

local function refused(value, err)
  assert.is_nil(value)
  assert.equal("ECONNREFUSED", err.code)
end

describe("an error of a UDP socket's past", function()
  it("is forgotten as it disconnects", function()
    scene(function(socket, live)
      assert(socket:disconnect())
      local host, port = live:address()
      assert(socket:send("1", host, port))
      arrives(live, "1")
      assert(socket:send_many { { data = "2", host = host, port = port } })
      arrives(live, "2")
      assert.equal("ETIMEDOUT", select(2, async.timeout(0.02, socket.recv, socket)).code)
    end)
  end)

  it("is forgotten as it connects to somebody else", function()
    scene(function(socket, live)
      assert(socket:connect(live:address()))
      assert(socket:send("1"))
      arrives(live, "1")
      local _, port = socket:address()
      live:send("back", "127.0.0.1", port)
      assert.equal("back", socket:recv())
    end)
  end)

  it("is told to a receive, not to a send to another address", function()
    scene(function(socket, live)
      local host, port = live:address()
      assert(socket:send("1", host, port))
      arrives(live, "1")
      refused(async.timeout(5, socket.recv, socket))
      assert.equal("ETIMEDOUT", select(2, async.timeout(0.02, socket.recv, socket)).code)
    end)
  end)

  it("is told to the next send to the peer, not to send_many to another address", function()
    scene(function(socket, live)
      local host, port = live:address()
      assert(socket:send_many { { data = "1", host = host, port = port }, { data = "2", host = host, port = port } })
      arrives(live, "1")
      arrives(live, "2")
      refused(socket:send("x"))
    end)
  end)

  it("is told to a receive that waits", function()
    support.run(function()
      local dead = async.net.udp("127.0.0.1", 0)
      local host, port = dead:address()
      dead:close()
      local socket <close> = async.net.udp("127.0.0.1", 0)
      assert(socket:connect(host, port))
      local t = async.spawn(socket.recv, socket)
      async.yield()
      assert(socket:send("x"))
      refused(t:await())
    end)
  end)
end)
