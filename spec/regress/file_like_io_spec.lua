-- Where files differed from io's for no reason.
local async = require "lua_async"
local support = require "spec.support"

describe("a file #seldom", function()
  local path
  before_each(function()
    path = os.tmpname()
    local f <close> = assert(io.open(path, "w"))
    f:write(("0123456789"):rep(20000))
  end)
  after_each(function() os.remove(path) end)

  it("opened to append is at the place that io says", function()
    support.run(function()
      for _, mode in ipairs { "a", "a+", "ab", "r", "r+" } do
        local f <close> = assert(async.fs.open(path, mode))
        local p <close> = assert(io.open(path, mode))
        assert.equal(p:seek(), f:seek(), mode)
        if mode:find "a" then
          f:write("+")
          f:flush()
          assert.equal(async.fs.stat(path).size, f:seek(), mode)
        end
      end
    end)
  end)

  it("gives read_at what there is, however much is asked for", function()
    support.run(function()
      local f <close> = assert(async.fs.open(path))
      for _, n in ipairs { 200000, 200001, 1 << 20, 1 << 40, 1 << 50 } do
        assert.equal(200000, #f:read_at(0, n))
        assert.equal("789", f:read_at(199997, n))
        assert.is_nil(f:read_at(200000, n))
        assert.is_nil(f:read_at(1 << 40, n))
      end
      assert.equal("01", f:read_at(0, 2))
      local proc <close> = assert(async.fs.open("/proc/self/maps")) -- has no size
      assert.is_true(#proc:read_at(0, 1 << 40) > 4096)
      local zero <close> = assert(async.fs.open("/dev/zero"))
      assert.equal(("\0"):rep(300000), zero:read_at(0, 300000))
    end)
  end)
end)
