-- A listener that workers close at SIGTERM: clients that have connected by then are served.
local async = require "lua_async"
local internals = require "lua_async.internals"
local support = require "spec.support"
local run, net = support.run, async.net

describe("a listener that is stopped", function()
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
end)
