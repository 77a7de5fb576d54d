-- The cases of LuaSocket's own test of client and server, with both ends on lua_async.socket, in tasks.
-- (The test itself passes, too; Debian does not ship it.)
local async = require "lua_async"
local support = require "spec.support"
local luasocket = require "spec.support.luasocket"
local socket = luasocket.socket

teardown(luasocket.remove)

-- Runs client(data) and server(data), the two ends of a connection, in two tasks.
local function ends(client, server)
  support.run(function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    async.join(function()
      local data <close> = assert(listener:accept())
      data:setoption("tcp-nodelay", true)
      server(data)
    end, function()
      local data <close> = assert(socket.connect("127.0.0.1", port))
      data:setoption("tcp-nodelay", true)
      client(data)
    end)
    listener:close()
  end)
end

-- Sends back what comes, by a pattern.
local function echo(pattern, tail)
  return function(data) assert(data:send(assert(data:receive(pattern)) .. (tail or ""))) end
end

local SIZES <const> = { 1, 17, 200, 4091, 80199, 800000 }

describe("a connection of LuaSocket's shape", function()
  it("carries lines of characters and of bytes", function()
    for _, set in ipairs { "aZb.c#dAe?", string.char(120, 21, 77, 4, 5, 0, 7, 36, 44, 100) } do
      for _, size in ipairs(SIZES) do
        local line = set:rep(size // 10) .. ("x"):rep(size % 10)
        ends(function(data)
          assert(data:send(line .. "\n"))
          assert.is_true(line == data:receive())
        end, echo("*l", "\n"))
      end
    end
  end)

  it("carries blocks", function()
    for _, size in ipairs(SIZES) do
      local a, b = ("x"):rep(size // 2), ("y"):rep(size - size // 2)
      ends(function(data)
        assert(data:send(a))
        assert(data:send(b))
        assert.is_true(a .. b == data:receive(size))
      end, echo(size))
    end
  end)

  it("has patterns mixed in one stream", function()
    for _, size in ipairs(SIZES) do
      local n = (size + 3) // 4
      local unix, dos = "unix " .. ("x"):rep(n) .. "line", "dos " .. ("y"):rep(n) .. "line"
      local raw, rest = "raw " .. ("z"):rep(n) .. "bytes", "end" .. ("w"):rep(n) .. "bytes"
      local text = unix .. "\n" .. dos .. "\r\n" .. raw .. rest
      ends(function(data)
        assert(data:send(text))
        assert.is_true(unix == data:receive())
        assert.is_true(dos == data:receive())
        assert.is_true(raw == data:receive(#raw))
        assert.is_true(rest == data:receive("*a"))
      end, echo(#text))
    end
  end)

  it("is asked again and again without blocking, for either direction", function()
    local size = 800000
    local a, b = ("a"):rep(size), ("b"):rep(size)
    ends(function(data)
      data:settimeout(0)
      local line, err, part
      repeat line, err, part = data:receive("*l", part) until err ~= "timeout"
      assert.is_true(line == a .. b)
      local last, sent = nil, 0
      repeat last, err, sent = data:send(line, sent + 1) until err ~= "timeout"
      assert.equal(2 * size, last)
      data:settimeout(-1)
      assert.is_true(a .. b == data:receive(2 * size))
    end, function(data)
      assert(data:send(a))
      async.yield()
      assert(data:send(b .. "\n"))
      local half = assert(data:receive(size))
      assert(data:send(assert(data:receive(2 * size, half))))
    end)
  end)

  it("counts the prefix of a receive", function()
    ends(function(data)
      assert.equal("1234567890", data:receive(10, "123456"))
      assert.equal("87654321", data:receive(8, "87654321"))
      assert.equal("87654321", data:receive(4, "87654321"))
    end, function(data) data:send("7890") end)
  end)

  it("counts what it sent and received", function()
    ends(function(data)
      local total = 0
      for n = 1, 25 do
        data:send(("a"):rep(n))
        data:receive(n)
        total = total + n
        local received, sent = data:getstats()
        assert.same({ total, total }, { received, sent })
      end
    end, function(data)
      for n = 1, 25 do echo(n)(data) end
    end)
  end)
end)

describe("the end of a connection of LuaSocket's shape", function()
  it("is told with what came before it", function()
    ends(function(data)
      assert.same({ nil, "closed", "little string" }, { data:receive() })
    end, function(data) data:send("little string") end)
  end)

  it("is told once more after all was read", function()
    ends(function(data)
      assert.equal("little string", data:receive("*a"))
      assert.same({ nil, "closed", "" }, { data:receive("*a") })
    end, function(data) data:send("little string") end)
  end)

  it("is told to who closed it", function()
    for _, pattern in ipairs { "*a", "*l", 1, 0 } do
      ends(function(data)
        data:close()
        assert.same({ nil, "closed", "" }, { data:receive(pattern) }, pattern)
      end, function() end)
    end
  end)

  it("is told to who writes", function()
    ends(function(data)
      local err
      repeat
        local _
        _, err = data:send("little string")
      until err
      assert.equal("closed", err)
    end, function() end)
  end)
end)

describe("a timeout of LuaSocket's shape", function()
  -- A server that sends n bytes, pauses, and sends n more, or receives so.
  local function paused(n, pause, sends)
    return function(data)
      local text = ("a"):rep(n)
      local function half() if sends then data:send(text) else data:receive(n) end end
      half()
      async.sleep(pause)
      half()
    end
  end

  for _, case in ipairs { { 1, 3 }, { 2, 3 }, { 3, 2 }, { 3, 1 } } do
    local timeout, pause = case[1], case[2]
    for _, mode in ipairs { "t", "b" } do
      it(("of %d s (%s) holds for a pause of %d s"):format(timeout, mode, pause), function()
        ends(function(data)
          async.time.pause()
          data:settimeout(timeout, mode)
          local text, err, partial = data:receive(2000)
          if timeout < pause then
            assert.same({ nil, "timeout", 1000 }, { text, err, #partial })
          else
            assert.equal(2000, #text)
          end
        end, paused(1000, pause, true))
      end)
    end
  end
end)

describe("a socket of LuaSocket's shape", function()
  it("does not accept without listening, or as a datagram's", function()
    support.run(function()
      local server = assert(socket.bind("*", 0))
      local own = server:getfd()
      for _, make in ipairs { socket.tcp, socket.tcp4, socket.udp, socket.udp4 } do
        local other = make()
        server:setfd(other:getfd())
        server:settimeout(2)
        local conn, err = server:accept()
        assert.is_nil(conn)
        assert.is_string(err)
        server:setfd(own)
        other:close()
      end
      server:close()
    end)
  end)

  it("cannot be bound where another one is", function()
    support.run(function()
      local first = assert(socket.bind("127.0.0.1", 0))
      local second = socket.tcp()
      local ok, err = second:bind(first:getsockname())
      assert.is_nil(ok)
      assert.equal("address already in use", err)
      first:close()
      second:close()
    end)
  end)

  it("times out where nobody connects", function()
    support.run(function()
      async.time.pause()
      local server = assert(socket.bind("*", 0, 0))
      server:settimeout(1)
      assert.same({ nil, "timeout" }, { server:accept() })
      server:close()
    end)
  end)

  it("says whether it is open", function()
    for _, name in ipairs { "tcp", "udp" } do
      local object = socket[name .. "4"]()
      assert.is_true(object:getfd() >= 0)
      object:close()
      assert.equal(-1, object:getfd())
      assert.equal(-1, socket[name]():getfd())
    end
  end)
end)
