-- lua_async.socket beside LuaSocket itself, where the two differed.
local async = require "lua_async"
local support = require "spec.support"
local luasocket = require "spec.support.luasocket"
local socket, blocking = luasocket.socket, luasocket.blocking

teardown(luasocket.remove)

describe("connecting #seldom", function()
  local resolve = async.net.resolve
  after_each(function() async.net.resolve = resolve end)

  local function listening()
    local listener = assert(blocking.bind("127.0.0.1", 0))
    return listener, (select(2, listener:getsockname()))
  end

  it("goes on with the other family where the first address refuses", function()
    support.run(function()
      local listener, port = listening()
      async.net.resolve = function() return { "::1", "127.0.0.1" } end
      local client = assert(socket.connect("some.name", port))
      assert.equal("127.0.0.1", (client:getpeername()))
      client:close()
      client = socket.tcp()
      assert(client:connect("some.name", port))
      assert.equal("inet4", client:getfamily())
      client:close()
      listener:close()
      local ok, err = socket.connect("some.name", port)
      assert.is_nil(ok)
      assert.equal("connection refused", err)
    end)
  end)

  it("keeps to the family that a socket has", function()
    support.run(function()
      local listener, port = listening()
      for _, make in ipairs { function() return socket.tcp4() end, function()
        local bound = socket.tcp()
        assert(bound:bind("127.0.0.1", 0))
        return bound
      end } do
        async.net.resolve = function() return { "::1", "127.0.0.1" } end
        local client = make()
        local place = client:getfd()
        assert(client:connect("some.name", port))
        assert.equal(place, client:getfd())
        client:close()
        async.net.resolve = function() return { "::1" } end
        client = make()
        assert.same({ nil, "host or service not provided, or not known" }, { client:connect("some.name", port) })
        client:close()
      end
      local client = assert(socket.connect4("127.0.0.1", port))
      assert.equal("inet4", client:getfamily())
      client:close()
      listener:close()
    end)
  end)
end)

describe("a timeout of each wait #seldom", function()
  it("is over for a receive to which byte after byte comes", function()
    support.run(function()
      async.time.pause()
      local listener <close> = assert(async.net.listen("127.0.0.1", 0))
      local client = assert(socket.connect(listener:address()))
      local peer = assert(listener:accept())
      local writer = async.spawn(function()
        local _ <close> = peer
        for _ = 1, 40 do
          peer:write("x")
          async.sleep(1)
        end
      end)
      client:settimeout(10)
      local data, err, partial = client:receive("*a")
      assert.same({ nil, "timeout" }, { data, err })
      assert.is_true(#partial < 40)
      writer:await()
      client:close()
    end)
  end)
end)

describe("socket.select #seldom", function()
  it("does not spin when no descriptor is left #process", function()
    support.child_ok([[
      local core = require "socket.core"
      local select, looks = core.select, 0
      function core.select(...)
        looks = looks + 1
        assert(looks < 1000, "it spins")
        return select(...)
      end
      local socket = require "lua_async.socket"
      async.run(function()
        async.time.pause()
        local u = socket.udp()
        u:setsockname("127.0.0.1", 0)
        local hog, f = {}, nil
        repeat
          f = io.open("/dev/null")
          hog[#hog + 1] = f
        until not f
        local r, w, err = socket.select({ u }, nil, 1)
        assert(not r[1] and not w[1] and err == "timeout")
        async.spawn(function()
          async.sleep(0.5)
          u:sendto("x", u:getsockname())
        end)
        r = socket.select({ u }, nil, 100)
        assert(r[1] == u)
      end)
      print "ok"
    ]], { before = "ulimit -n 64;" })
  end)
end)
