-- A listener that workers close at SIGTERM: clients that have connected by then are served.
local async = require "lua_async"
local internals = require "lua_async.internals"
local support = require "spec.support"
local run, net = support.run, async.net

describe("a listener that is stopped #seldom", function()
  it("hands over who had connected, in their order, and then ends", function()
    local fds = support.fds()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local clients = {}
      for i = 1, 40 do
        clients[i] = assert(net.connect("127.0.0.1", port))
        clients[i]:write(i, "\n")
      end
      internals.close_listeners()
      assert.equal("ECONNREFUSED", select(2, net.connect("127.0.0.1", port)).code)
      local n = 0
      for conn in listener:incoming() do
        n = n + 1
        assert.equal(tostring(n), conn:read("l"))
        conn:write("served\n")
        assert.equal("served", clients[n]:read("l"))
        conn:close()
        clients[n]:close()
      end
      assert.equal(40, n)
      assert.equal("EBADF", select(2, listener:accept()).code)
    end)
    assert.equal(fds, support.fds())
  end)

  it("wakes those that wait for nobody, and closes what nobody accepts", function()
    local fds = support.fds()
    run(function()
      local listener = assert(net.listen("127.0.0.1", 0))
      local other = assert(net.listen("127.0.0.1", 0))
      local waiting = async.spawn(other.accept, other)
      async.yield()
      local client <close> = assert(net.connect("127.0.0.1", (select(2, listener:address()))))
      internals.close_listeners()
      assert.equal("ECANCELED", select(2, waiting:await()).code)
      listener = nil
      collectgarbage()
      collectgarbage()
      assert.is_not.equal("x", client:read(1))
    end)
    assert.equal(fds, support.fds())
  end)

  it("and then closed serves nobody any more", function()
    local fds = support.fds()
    run(function()
      local listener = assert(net.listen("127.0.0.1", 0))
      local clients = {}
      for i = 1, 3 do clients[i] = assert(net.connect("127.0.0.1", (select(2, listener:address())))) end
      internals.close_listeners()
      local first <close> = assert(listener:accept())
      assert.is_truthy(first)
      listener:close()
      assert.equal("EBADF", select(2, listener:accept()).code)
      for i = 2, 3 do assert.is_nil((clients[i]:read(1))) end
      for i = 1, 3 do clients[i]:close() end
    end)
    assert.equal(fds, support.fds())
  end)

  it("leaves descriptors to those who serve", function()
    local fds = support.fds()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local clients, served, before = {}, {}, support.sys.nofile()
      for i = 1, 60 do clients[i] = assert(net.connect("127.0.0.1", (select(2, listener:address())))) end
      local _ <close> = setmetatable({}, { __close = function() support.sys.nofile(before) end })
      support.sys.nofile(fds + 60 + 2 + 40) -- what is open, and 40 more
      internals.close_listeners()
      for conn in listener:incoming() do served[#served + 1] = conn end
      assert.is_true(#served > 0 and #served < 40)
      local own <close> = assert(async.fs.open("/dev/null"))
      assert.is_truthy(own)
      for _, list in ipairs { clients, served } do
        for _, conn in ipairs(list) do conn:close() end
      end
    end)
    assert.equal(fds, support.fds())
  end)
end)

describe("an accept that is given up when it has a connection #seldom", function()
  it("leaves it to the next", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local clients = {}
      for i = 1, 3 do
        clients[i] = assert(net.connect("127.0.0.1", (select(2, listener:address()))))
        clients[i]:write(i, "\n")
      end
      async.time.pause()
      for _ = 1, 3 do
        local arms = { async.future(listener.accept, listener), async.future(listener.accept, listener) }
        local r, err = async.timeout(1, async.join, arms[1], arms[2], function() async.sleep(100) end)
        assert.is_nil(r)
        assert.equal("ETIMEDOUT", err.code)
      end
      async.time.resume()
      for i = 1, 3 do
        local conn <close> = assert(listener:accept())
        assert.equal(tostring(i), conn:read("l"))
        clients[i]:close()
      end
    end)
  end)
end)
