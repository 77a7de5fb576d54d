-- An empty host is a mistake: getaddrinfo would take it for all addresses, or none.
local async = require "lua_async"

describe("an empty host #seldom", function()
  it("raises, in connect and in listen", function()
    async.run(function()
      for _, f in ipairs { async.net.connect, async.net.listen } do
        local ok, e = pcall(f, "", 80)
        assert.is_false(ok)
        assert.matches("bad argument #1", e)
        assert.matches("empty", e)
      end
      local l <close> = assert(async.net.listen(nil, 0))
      local m <close> = assert(async.net.listen("*", 0))
      assert.is_true(l ~= m)
    end)
  end)
end)
