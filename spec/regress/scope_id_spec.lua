-- The scope of an IPv6 address is the name of an interface or a number, as getaddrinfo has it; what is
-- neither is no address.
local async = require "lua_async"
local support = require "spec.support"

local function unknown(value, err)
  assert.is_nil(value)
  assert.equal("EAI_NONAME", err.code, tostring(err))
end

local wrong = { "fe80::1%nosuch", "::1%nosuch", "::1%lo", "fe80::1%", "fe80::1%1x", "fe80::1%4294967296", "fe80::1%-1" }

describe("the scope of an IPv6 address", function()
  it("is a name or a number", function()
    support.run(function()
      assert.same({ "fe80::1%lo" }, async.net.resolve("fe80::1%lo"))
      assert.same({ "fe80::1%lo" }, async.net.resolve("fe80::1%1"))
      assert.same({ "ff02::1%lo" }, async.net.resolve("ff02::1%1"))
      assert.same({ "fe80::1%987654" }, async.net.resolve("fe80::1%987654"))
      assert.same({ "::1%1" }, async.net.resolve("::1%1"))
    end)
  end)

  it("that there is not is refused wherever an address is given", function()
    support.run(function()
      local socket <close> = async.net.udp("::", 0)
      for _, host in ipairs(wrong) do
        unknown(async.net.resolve(host))
        unknown(async.net.connect(host, 9))
        unknown(async.net.listen(host, 0))
        unknown(async.net.udp(host, 0))
        unknown(async.net.reverse(host))
        unknown(socket:send("x", host, 9))
        unknown(socket:connect(host, 9))
        unknown(async.net.connect("::1", 9, { bind = host }))
        assert.is_false(pcall(socket.send_many, socket, { { data = "x", host = host, port = 9 } }))
      end
      unknown(socket:join("ff02::5%nosuch"))
    end)
  end)
end)

describe("a host that is none", function()
  it("fails with what to pass instead", function()
    support.run(function()
      for host, hint in pairs { ["http://example.org"] = "URL", ["a/b"] = "URL", ["localhost:80"] = "port",
                                ["127.0.0.1:80"] = "port", ["[::1]"] = "brackets" } do
        for _, f in ipairs { async.net.connect, async.net.listen } do
          local conn, err = f(host, 80)
          assert.is_nil(conn)
          assert.matches("^EAI_", err.code)
          assert.is_truthy(err.message:find(("'%s' is not the name of a host"):format(host), 1, true), err.message)
          assert.is_truthy(err.message:find(hint, 1, true), err.message)
        end
      end
    end)
  end)
end)
