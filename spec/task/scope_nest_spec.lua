-- Scopes in timeouts, shields, scopes, arms, Futures and coroutines, and these in scopes; scopes that
-- are dropped without having unwound.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local steps = require "spec.support.steps"
local scope, spawn, time = async.scope, async.spawn, async.time
local guard = each.guard
local forever, spin, run = steps.forever, steps.spin, steps.run
local fails, took, tasks, slow = steps.fails, steps.took, steps.tasks, steps.slow

describe("timeouts and scopes", function()
  it("around a scope: the children have unwound when it returns", function()
    run(function()
      local log = {}
      local t, r, e = took(async.timeout, 1, scope, function(s)
        s:spawn(slow(log, "a", 2))
        slow(log, "body", 1)()
      end)
      assert.equal(3, t)
      assert.is_nil(r)
      assert.equal("ETIMEDOUT", e.code)
      assert.equal("a over", log[4])
      t, r, e = took(async.deadline, async.now() + 1, scope, function(s) s:spawn(slow(log, "b", 2)) return "lost" end)
      assert.same({ 3, "ETIMEDOUT" }, { t, e.code })
      assert.is_nil(r)
      assert.equal("r", async.timeout(2, scope, function(s) s:spawn(async.sleep, 1) return "r" end))
      async.yield()
    end)
  end)

  it("in a scope: the others go on", function()
    run(function()
      local done
      local t, r = took(scope, function(s)
        s:spawn(function() done = table.pack(async.timeout(1, forever)) end)
        s:spawn(async.sleep, 3)
        return select("#", async.timeout(2, forever))
      end)
      assert.equal(3, t)
      assert.equal(2, r)
      assert.equal("ETIMEDOUT", done[2].code)
    end)
  end)

  it("nested: the outer one wins when both have passed, the inner one when it alone has", function()
    run(function()
      for _, outer in ipairs { 1, 2, 3 } do
        local inner
        local t, r, e = took(async.timeout, outer, scope, function(s)
          s:spawn(function()
            inner = table.pack(async.timeout(2, scope, function(x) x:spawn(forever) end))
          end)
          inner = table.pack(async.timeout(2, scope, function(x) x:spawn(forever) end))
          return "r"
        end)
        assert.equal(math.min(outer, 2), t)
        if outer == 3 then
          assert.equal("r", r)
          assert.equal("ETIMEDOUT", inner[2].code)
        elseif outer == 1 then
          assert.same({ "ETIMEDOUT" }, { e.code })
          assert.is_nil(inner)
        else
          assert.equal("ETIMEDOUT", e.code)
        end
      end
    end)
  end)

  it("an inner one that passes while the children unwind changes nothing, nor does an outer one", function()
    run(function()
      local t, _, e = took(async.timeout, 2, function()
        return async.timeout(1, scope, function(s) s:spawn(slow({}, "a", 4)) end)
      end)
      assert.equal(5, t)
      assert.equal("ETIMEDOUT", e.code)
    end)
  end)

  it("a child's error passes through the timeout, a timeout does not hide it", function()
    run(function()
      assert.equal("x", fails(async.timeout, 2, scope, function(s)
        s:spawn(function() async.sleep(1) error("x", 0) end)
        forever()
      end))
      assert.equal("x", fails(async.timeout, 1, scope, function(s)
        s:spawn(function()
          local _ <close> = guard(function() error("x", 0) end)
          forever()
        end)
      end))
    end)
  end)

  it("under a shield in a child of it: the timeout waits", function()
    run(function()
      local done
      local t, _, e = took(async.timeout, 1, scope, function(s)
        s:spawn(async.shield, function() async.sleep(3) done = true end)
        forever()
      end)
      assert.equal(3, t)
      assert.is_true(done)
      assert.equal("ETIMEDOUT", e.code)
    end)
  end)

  it("the cancellation of the task beats them all", function()
    run(function()
      local t = spawn(function()
        async.timeout(1, scope, function(s)
          s:spawn(slow({}, "a", 5))
          forever()
        end)
        error("no")
      end)
      async.sleep(2)
      t:cancel()
      assert.is_true(support.was_cancelled(fails(t.await, t)))
    end)
  end)
end)

describe("a scope", function()
  it("in arms of join and select: side by side, and unwound before they return", function()
    run(function()
      local log = {}
      local function arm(s, v)
        return function() return scope(function(x) x:spawn(async.sleep, s) return v end) end
      end
      local t, a, b = took(async.join, arm(2, "a"), arm(1, "b"))
      assert.same({ 2, "a", "b" }, { t, a, b })
      local k, v
      t, k, v = took(async.select, { x = arm(1, "x"), y = function()
        scope(function(x) x:spawn(slow(log, "y", 2)) return "no" end)
      end, z = function() scope(function(x) slow(log, "z", 1)(x) end) end })
      assert.same({ 3, "x", "x" }, { t, k, v })
      assert.equal("y over", log[4])
      assert.equal("e", fails(async.join, forever, function()
        scope(function(x) x:spawn(function() async.sleep(1) error("e", 0) end) end)
      end))
      t = took(scope, function(x)
        x:spawn(async.join, arm(1), arm(2))
        x:spawn(async.select, { arm(3), arm(5) })
      end)
      assert.equal(3, t)
      assert.equal(1, tasks())
    end)
  end)

  it("in an arm that loses as it waits for its children: they unwind first", function()
    run(function()
      local log = {}
      assert.equal("won", (async.select { won = function() async.sleep(1) end, lost = function()
        scope(function(s) s:spawn(slow(log, "child", 2)) s:spawn(slow(log, "other", 3)) end)
      end }))
      assert.equal(4, #log)
      assert.equal(1, tasks())
    end)
  end)

  it("in a Future: begun when it is polled, and cancelled with it", function()
    run(function()
      local began, log = false, {}
      local f = async.future(scope, function(s) began = true s:spawn(async.sleep, 1) return "r", "s" end)
      async.yield()
      assert.is_false(began)
      assert.same({ "r", "s" }, { f:await() })
      f = async.future(scope, function(s) s:spawn(slow(log, "a", 2)) return "r" end)
      local t, _, e = took(async.timeout, 1, f)
      assert.same({ 3, "ETIMEDOUT" }, { t, e.code })
      assert.same({ "a cancelled", "a over" }, log)
      assert.equal(1, tasks())
    end)
  end)

  it("in an async.coroutine: its results, errors and cancellation pass", function()
    run(function()
      local co = async.coroutine.wrap(function(...)
        local r = scope(function(s, x) s:spawn(async.sleep, 1) return x end, ...)
        coroutine.yield(r)
        scope(function(s) s:spawn(function() async.sleep(1) error("x", 0) end) forever() end)
      end)
      local t, r = took(co, 5)
      assert.same({ 1, 5 }, { t, r })
      assert.equal("x", fails(co))
      local log = {}
      local task = spawn(async.coroutine.wrap(function()
        scope(function(s) s:spawn(slow(log, "a", 1)) forever() end)
      end))
      spin()
      task:cancel()
      assert.is_true(support.was_cancelled(fails(task.await, task)))
      assert.same({ "a cancelled", "a over" }, log)
      assert.is_false(pcall(coroutine.wrap(scope), spin)) -- a plain one cannot wait
    end)
  end)

  it("is not yielded out of", function()
    run(function()
      local co = async.coroutine.wrap(function()
        scope(function(s) s:spawn(forever) coroutine.yield() end)
      end)
      local e = fails(co)
      assert.matches("yield", tostring(e))
      spin()
      assert.equal(1, tasks())
    end)
  end)

  it("in a scope, 50 deep: returns, raises and is cancelled", function()
    run(function()
      local log = {}
      local function deep(n, leaf)
        return scope(function(s)
          s:spawn(async.sleep, 1)
          if n == 0 then return leaf(s) end
          return deep(n - 1, leaf)
        end)
      end
      assert.equal("leaf", deep(50, function() return "leaf" end))
      assert.equal("x", fails(deep, 50, function(s) s:spawn(function() async.yield() error("x", 0) end) end))
      local _, e = async.timeout(0.5, deep, 50, function(s) s:spawn(slow(log, "a", 1)) forever() end)
      assert.equal("ETIMEDOUT", e.code)
      assert.same({ "a cancelled", "a over" }, log)
      local function chain(s, n) -- each child has a scope in a child
        if n == 0 then return slow(log, "b", 1)() end
        s:spawn(scope, chain, n - 1)
      end
      assert.equal("ETIMEDOUT", select(2, async.timeout(1, scope, chain, 50)).code)
      assert.same({ "b cancelled", "b over" }, { table.unpack(log, 3) })
      assert.equal(1, tasks())
    end)
  end)

  it("is one of a <close> handler's means, under shield, when it was cancelled outside", function()
    run(function()
      local done = 0
      local t = spawn(function()
        local _ <close> = guard(function()
          async.shield(scope, function(s)
            for i = 1, 3 do s:spawn(function() async.sleep(i) done = done + 1 end) end
          end)
        end)
        forever()
      end)
      spin()
      t:cancel()
      assert.is_true(support.was_cancelled(fails(t.await, t)))
      assert.equal(3, done)
    end)
  end)
end)

describe("a scope that is dropped without unwinding", function()
  local function begin(f) -- polls the Future once
    async.await(async.poll_fn(function(cx) f:poll(cx) return "ready" end))
    return f
  end

  it("with its Future, as garbage: the children are cancelled, and unwind by themselves", function()
    run(function()
      for _, body in ipairs {
        function(s, log) s:spawn(slow(log, "a", 1)) forever() end, -- the body waits
        function(s, log) s:spawn(slow(log, "a", 1)) end, -- or the end does
      } do
        local log, kept = {}, nil
        do
          local f = begin(async.future(scope, function(s) kept = s return body(s, log) end))
          spin()
          f = nil
        end
        collectgarbage()
        collectgarbage()
        assert.matches("over", tostring(kept))
        assert.is_false(pcall(kept.spawn, kept, spin))
        async.sleep(2)
        assert.same({ "a cancelled", "a over" }, log)
        assert.equal(1, tasks())
      end
    end)
  end)

  it("at the end of the run", function()
    local log, kept, futures = {}, {}, {}
    run(function()
      for i = 1, 10 do
        futures[i] = begin(async.future(scope, function(s)
          kept[i] = s
          s:spawn(slow(log, i, 1))
          if i % 2 == 0 then forever() end
        end))
      end
      spin()
    end)
    assert.equal(20, #log)
    for i = 1, 10 do
      assert.equal("Scope (over)", tostring(kept[i]))
      assert.is_false(kept[i]:cancel())
    end
    local polled
    run(function()
      polled = pcall(begin, futures[1])
    end)
    assert.is_false(polled)
  end)

  it("when its coroutine is closed, or collected", function()
    run(function()
      for _, close in ipairs { async.coroutine.close, function() end } do
        local log, kept = {}, nil
        do
          local co = async.coroutine.create(function()
            scope(function(s) kept = s s:spawn(slow(log, "a", 1)) forever() end)
          end)
          local t = spawn(async.coroutine.resume, co)
          spin()
          t:cancel()
          pcall(t.await, t)
          close(co)
        end
        collectgarbage()
        async.sleep(2)
        assert.equal("Scope (over)", tostring(kept))
        assert.same({ "a cancelled", "a over" }, log)
        assert.equal(1, tasks())
      end
    end)
  end)

  it("and then a child fails: it is told", function()
    run(function()
      local list = {}
      local old = async.on_error(function(e) list[#list + 1] = e end)
      local _ <close> = guard(function() async.on_error(old) end)
      do
        local f = begin(async.future(scope, function(s)
          s:spawn(function()
            local _ <close> = guard(function() error("x", 0) end)
            forever()
          end)
        end))
        spin()
        f = nil
      end
      collectgarbage()
      collectgarbage()
      spin()
      assert.same({ "x" }, list)
    end)
  end)
end)
