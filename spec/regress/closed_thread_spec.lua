-- coroutine.close of threads that wait, from outside; coroutine.yield where nobody resumes.
local async = require "lua_async"
local support = require "spec.support"

local before = [[
  local function guard(f) return setmetatable({}, { __close = f }) end
  local function junk() -- takes the place of what was freed
    collectgarbage()
    collectgarbage()
    local t = {}
    for i = 1, 2000 do t[i] = ("x"):rep(20 + i % 100) .. i end
  end
  local function never() return "pending" end
]]

local function child(program) return support.child_ok(before .. program, { seconds = 60 }) end

describe("a thread that another task closes #process", function()
  it("lets go of what it waited for, and its resumer of it", function()
    child [[
      async.run(function()
        local co
        local dropped = 0
        local t = async.spawn(function()
          co = async.coroutine.create(function()
            async.poll_fn(never, function() dropped = dropped + 1 end):await()
          end)
          local ok, e = async.coroutine.resume(co)
          assert(not ok and e == "cannot resume dead coroutine", e)
          local g = async.coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end)
          assert(g() == 1 and g() == 2)
          return "done"
        end)
        async.yield()
        assert(coroutine.close(co))
        assert(dropped == 1)
        assert(t:await() == "done")
      end)
      print "ok"
    ]]
  end)

  it("leaves its timeouts: they do not end what the resumer does next", function()
    child [[
      async.run(function()
        async.time.pause()
        local co
        local t = async.spawn(function()
          co = async.coroutine.create(function() async.timeout(1, async.sleep, 0.5) end)
          assert(not async.coroutine.resume(co))
          co = nil
          async.sleep(5)
          return "done"
        end)
        async.yield()
        assert(coroutine.close(co))
        co = nil
        junk()
        assert(t:await() == "done")
      end)
      print "ok"
    ]]
  end)

  it("leaves its shields: the resumer can be cancelled", function()
    child [[
      async.run(function()
        local co
        local t = async.spawn(function()
          co = async.coroutine.create(function() async.shield(function() async.poll_fn(never):await() end) end)
          assert(not async.coroutine.resume(co))
          co = nil
          async.poll_fn(never):await()
        end)
        async.yield()
        assert(coroutine.close(co))
        co = nil
        junk()
        async.yield()
        async.yield()
        t:cancel()
        assert(not pcall(t.await, t) and t:status() == "cancelled")
      end)
      print "ok"
    ]]
  end)

  it("the task's own: it fails in the next turn, whatever it waited for", function()
    child [[
      async.run(function()
        async.time.pause()
        local waits = {
          function() async.poll_fn(never):await() end,
          function() async.timeout(1, function() async.poll_fn(never):await() end) end,
          function() async.shield(function() async.timeout(1, function() async.poll_fn(never):await() end) end) end,
        }
        for _, wait in ipairs(waits) do
          local co, closed
          local t = async.spawn(function()
            local _ <close> = guard(function() closed = true end)
            co = coroutine.running()
            wait()
          end)
          async.yield()
          local now = async.now()
          assert(coroutine.close(co))
          assert(closed)
          co = nil
          junk()
          local ok, e = pcall(t.await, t)
          assert(not ok and e == "cannot resume dead coroutine", e)
          assert(async.now() == now, "it waited on")
        end
      end)
      print "ok"
    ]]
  end)

  it("while it writes a string that nobody else holds", function()
    child [[
      async.run(function()
        local l <close> = assert(async.net.listen("127.0.0.1", 0))
        local a <close> = assert(async.net.connect(l:address()))
        local b = assert(l:accept())
        local co
        async.on_error(function() end)
        local t = async.spawn(function()
          co = coroutine.running()
          a:write(("A"):rep(16 << 20))
        end)
        async.yield()
        assert(coroutine.close(co))
        co = nil
        junk()
        assert(not pcall(t.await, t))
        a:close() -- so that the peer sees an end
        local n = 0
        for s in function() return b:read(1 << 16) end do
          assert(not s:find("[^A]"))
          n = n + #s
        end
        assert(n < 16 << 20)
      end)
      print "ok"
    ]]
  end)

  it("of a Future that is polled", function()
    child [[
      async.run(function()
        local co
        local f = async.future(function()
          co = coroutine.running()
          async.timeout(1, function() async.poll_fn(never):await() end)
        end)
        async.poll_fn(function(cx) f:poll(cx) return "ready" end):await()
        assert(coroutine.close(co))
        co = nil
        junk()
        local ok, e = pcall(f.await, f)
        assert(not ok and tostring(e):find("dead coroutine"), e)
      end)
      print "ok"
    ]]
  end)
end)

describe("a stray coroutine.yield #seldom", function()
  local message = "attempt to yield from outside a coroutine"

  it("as the function of a task fails that task, and not the next one on its thread", function()
    support.run(function()
      for _ = 1, 3 do
        local t = async.spawn(coroutine.yield)
        local ok, e = pcall(t.await, t)
        assert.is_false(ok)
        assert.matches(message, tostring(e))
        for i = 1, 3 do
          assert.equal(i, async.spawn(function()
            local x = 0
            for _ = 1, i do x = x + 1 end
            return x
          end):await())
        end
      end
    end)
  end)

  it("as the function of a timeout, likewise", function()
    support.run(function()
      local t = async.spawn(async.timeout, 1, coroutine.yield)
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches(message, tostring(e))
      for _ = 1, 3 do assert.equal(1, async.spawn(function() return 1 end):await()) end
    end)
  end)
end)

describe("the thread of a Future's function that is closed #seldom", function()
  local function forever() return async.poll_fn(function() return "pending" end):await() end
  local function check(wait)
    support.run(function()
      local co
      local t = async.spawn(wait, function()
        co = coroutine.running()
        forever()
      end)
      for _ = 1, 3 do async.yield() end
      assert.is_true(coroutine.close(co))
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches("cannot resume dead coroutine", tostring(e))
    end)
  end

  it("ends the join it is an arm of", function() check(function(f) async.join(f, forever) end) end)
  it("ends the select it is an arm of", function() check(function(f) async.select { f, forever } end) end)
  it("ends who polls it", function()
    check(function(f)
      local fut = async.future(f)
      return async.poll_fn(function(cx) return fut:poll(cx) end):await()
    end)
  end)
end)

describe("async.coroutine.resume #seldom", function()
  it("of what cannot be resumed returns false and why, in this order", function()
    local function check(...)
      assert.equal(2, select("#", ...))
      assert.is_false((...))
      assert.matches("cannot resume", select(2, ...))
    end
    local function both()
      local co = coroutine.running()
      check(async.coroutine.resume(co))
      check(async.coroutine.resume(co, 1, 2))
      local dead = async.coroutine.create(function() end)
      assert.is_true(async.coroutine.resume(dead))
      check(async.coroutine.resume(dead))
      check(async.coroutine.resume(dead, 1, 2, 3))
    end
    both()
    support.run(both)
  end)
end)
