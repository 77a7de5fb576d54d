-- An await that raised its output (a failed task) leaves nothing that a later
-- coroutine.yield, or a later error, could be taken for.
local async = require "lua_async"

describe("after an await that raised", function()
  local function failed() return async.spawn(function() error("first", 0) end) end
  setup(function() async.on_error(function() end) end)
  teardown(function() async.on_error(nil) end)

  it("a generator's yield is its own", function()
    async.run(function()
      local gen = async.coroutine.wrap(function()
        local t = failed()
        pcall(t.await, t)
        coroutine.yield("mine")
        return "end"
      end)
      assert.equal("mine", gen())
      assert.equal("end", gen())
    end)
  end)

  it("a stray yield is still refused", function()
    async.run(function()
      local t = async.spawn(function()
        local f = failed()
        pcall(f.await, f)
        coroutine.yield()
      end)
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches("async.yield", e)
    end)
  end)

  it("another error has a traceback of its own", function()
    local ok, e = pcall(async.run, function()
      local f = failed()
      pcall(f.await, f)
      local function elsewhere() error("second", 0) end
      elsewhere()
    end)
    assert.is_false(ok)
    assert.matches("^second\n", e)
    assert.matches("elsewhere", e)
    assert.is_nil(e:find("awaited at", 1, true))
  end)
end)
