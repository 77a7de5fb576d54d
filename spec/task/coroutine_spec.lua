-- async.coroutine: an await passes through; and where one cannot wait.
local async = require "lua_async"
local support = require "spec.support"
local run, sleep = async.run, async.sleep

describe("async.coroutine", function()
  it("wrap makes generators that wait", function()
    run(function()
      local gen = async.coroutine.wrap(function(a)
        for i = 1, 3 do
          sleep(0.001)
          a = a + coroutine.yield(a * i)
        end
        return "end"
      end)
      assert.equal(1, gen(1))
      assert.equal(4, gen(1))
      assert.equal(9, gen(1))
      assert.equal("end", gen(1))
      assert.is_false(pcall(gen))
    end)
  end)

  it("nests", function()
    run(function()
      local wrap = async.coroutine.wrap
      local function level(n)
        if n == 0 then sleep(0.001) return "bottom" end
        return wrap(function() return level(n - 1) end)()
      end
      assert.equal("bottom", level(20))
    end)
  end)

  it("resume returns the error, status tells", function()
    run(function()
      local c = async.coroutine
      local co = c.create(function() async.yield() error({ 1 }) end)
      local ok, e = c.resume(co)
      assert.is_false(ok)
      assert.same({ 1 }, e)
      assert.equal("dead", c.status(co))
      assert.same({ false, "cannot resume dead coroutine" }, { c.resume(co) })
    end)
  end)

  it("is unwound by cancellation", function()
    run(function()
      local closed = 0
      local function guard() return setmetatable({}, { __close = function() closed = closed + 1 end }) end
      local t = async.spawn(function()
        local _ <close> = guard()
        async.coroutine.wrap(function()
          local _ <close> = guard()
          sleep(1000)
        end)()
      end)
      async.yield()
      t:cancel()
      pcall(t.await, t)
      assert.equal(2, closed)
    end)
  end)

  it("refuses a yield out of a timeout", function()
    run(function()
      local co = async.coroutine.create(function() async.timeout(1, coroutine.yield, 1) end)
      local ok, e = async.coroutine.resume(co)
      assert.is_false(ok)
      assert.matches("async.timeout", e)
      sleep(0.001)
    end)
  end)

  it("resumed by a stranger while it waits, waits on", function()
    run(function()
      local co
      local gate = support.gate()
      local t = async.spawn(function()
        co = async.coroutine.create(function() gate.wait() return "waited" end)
        return select(2, async.coroutine.resume(co))
      end)
      local mine
      local u = async.spawn(function() mine = coroutine.running() gate.wait() return "own" end)
      async.yield()
      assert.is_true(coroutine.resume(co))
      assert.same({ false, "cannot resume a coroutine that waits in another task" }, { async.coroutine.resume(co) })
      assert.is_true(coroutine.resume(mine))
      gate.open()
      assert.equal("waited", t:await())
      assert.equal("own", u:await())
    end)
  end)
end)

describe("an await where none can be", function()
  local function refused(f, ...)
    local ok, e = pcall(f, ...)
    assert.is_false(ok)
    assert.matches("cannot wait", tostring(e))
    return tostring(e)
  end

  it("is refused with the mend, and the task goes on", function()
    run(function()
      local wait = function() sleep(0.001) end
      assert.matches("async.coroutine.wrap", refused(coroutine.wrap(wait)))
      refused(table.sort, { 3, 2, 1 }, wait)
      refused(string.gsub, "a", "a", wait)
      refused(tostring, setmetatable({}, { __tostring = wait }))
      assert.matches("cannot wait", select(2, load(wait)))
      package.preload["lua_async.spec.waits"] = wait
      refused(require, "lua_async.spec.waits")
      package.preload["lua_async.spec.waits"] = nil
      sleep(0.001)
    end)
  end)

  it("passes through pcall, metamethods, iterators and <close>", function()
    run(function()
      local obj = setmetatable({}, {
        __index = function(_, k) sleep(0.001) return k end,
        __add = function() sleep(0.001) return "sum" end,
        __close = function() sleep(0.001) end,
      })
      assert.equal("key", obj.key)
      assert.equal("sum", obj + 1)
      assert.is_true(pcall(sleep, 0.001))
      assert.is_true(xpcall(sleep, debug.traceback, 0.001))
      do local _ <close> = obj end
      local n = 0
      for v in function() sleep(0.001) n = n + 1 return n < 3 and n or nil end do assert.equal(n, v) end
    end)
  end)
end)
