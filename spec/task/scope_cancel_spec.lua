-- Scopes that are cancelled: by scope:cancel, from outside in each phase of their life (the body
-- waits, the children are waited for, they unwind), by timeouts around and in them.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local steps = require "spec.support.steps"
local scope, spawn, time = async.scope, async.spawn, async.time
local guard = each.guard
local forever, spin, run = steps.forever, steps.spin, steps.run
local fails, took, tasks, slow = steps.fails, steps.took, steps.tasks, steps.slow

describe("scope:cancel", function()
  it("cancels the children and the body, and the call returns nothing", function()
    run(function()
      local log = {}
      local t, n = took(function()
        return select("#", scope(function(s)
          s:spawn(slow(log, "a", 2))
          s:spawn(function()
            async.sleep(1)
            assert.is_true(s:cancel())
            assert.matches("cancelled", tostring(s))
            assert.is_false(s:cancel())
            assert.is_true(async.is_cancelled(fails(async.yield))) -- it is one of them
          end)
          slow(log, "body", 1)()
          return "lost"
        end))
      end)
      assert.equal(3, t)
      assert.equal(0, n)
      table.sort(log)
      assert.same({ "a cancelled", "a over", "body cancelled", "body over" }, log)
      async.yield()
    end)
  end)

  it("leaves a body its results when it waits no more, and its error", function()
    run(function()
      assert.equal("r", scope(function(s) s:spawn(forever) s:cancel() return "r" end))
      assert.equal("r", scope(function(s)
        s:cancel()
        assert.is_true(async.is_cancelled(fails(async.yield)))
        return "r"
      end))
      assert.equal("x", fails(scope, function(s) s:cancel() error("x", 0) end))
      assert.equal(0, select("#", scope(function(s) s:cancel() async.yield() end)))
    end)
  end)

  it("after the body has returned leaves its results", function()
    run(function()
      local gate = support.gate()
      assert.equal("r", scope(function(s)
        s:spawn(forever)
        spawn(function() gate.wait() s:cancel() end)
        s:spawn(function() async.sleep(1) gate.open() end)
        return "r"
      end))
    end)
  end)

  it("lets none begin any more", function()
    run(function()
      local began = 0
      local function begin() began = began + 1 end
      scope(function(s)
        s:spawn(begin)
        s:cancel()
        local t = s:spawn(begin)
        assert.is_true(support.was_cancelled(fails(async.shield, t.await, t)))
        assert.equal("cancelled", t:status())
      end)
      scope(function(s) -- children that spawn as they unwind
        s:spawn(function()
          local _ <close> = guard(function() for _ = 1, 3 do s:spawn(begin) end end)
          forever()
        end)
        async.yield()
        s:cancel()
      end)
      assert.equal(0, began)
      assert.equal(1, tasks())
    end)
  end)

  it("reaches scopes inside of it, in the body and in children, and none outside", function()
    run(function()
      local log = {}
      assert.equal("outer", scope(function(outer)
        scope(function(s)
          s:spawn(function() scope(function(inner) inner:spawn(slow(log, "a", 1)) end) log[#log + 1] = "no" end)
          s:spawn(function() async.sleep(1) s:cancel() end)
          scope(function(inner) inner:spawn(slow(log, "b", 1)) forever() end)
          log[#log + 1] = "no"
        end)
        outer:spawn(async.yield):await()
        return "outer"
      end))
      table.sort(log)
      assert.same({ "a cancelled", "a over", "b cancelled", "b over" }, log)
    end)
  end)

  it("is not what happens when one child is cancelled, or cancels itself", function()
    run(function()
      local ended = 0
      assert.equal("r", scope(function(s)
        local t = s:spawn(forever)
        s:spawn(function() async.current():cancel() forever() end)
        s:spawn(function() async.sleep(1) ended = ended + 1 end)
        async.yield()
        t:cancel()
        assert.is_true(support.was_cancelled(fails(t.await, t)))
        async.sleep(2)
        return "r"
      end))
      assert.equal(1, ended)
      local log = {}
      local e = fails(scope, function(s) -- but awaiting it is an error in the body
        s:spawn(slow(log, "sibling"))
        local t = s:spawn(forever)
        async.yield()
        t:cancel()
        t:await()
      end)
      assert.is_true(support.was_cancelled(e))
      assert.same({ "sibling cancelled", "sibling over" }, log)
      async.yield()
    end)
  end)
end)

describe("a scope cancelled from outside", function()
  -- Cancels the task that is in the scope once reached(log) is true.
  local function cut(body, ready)
    local log, task = {}, nil
    local t = took(function()
      task = spawn(function()
        local _ <close> = guard(function(_, e) log[#log + 1] = async.is_cancelled(e) and "left" or "returned" end)
        return scope(body, log)
      end)
      ready(log)
      task:cancel()
      local ok, e = pcall(task.await, task)
      log.ok, log.result = ok, e
    end)
    assert.equal(1, tasks())
    log.took = t
    return log, task
  end

  it("while the body waits: all unwind, side by side, and then the call", function()
    run(function()
      local log, task = cut(function(s, log)
        s:spawn(slow(log, "a", 3))
        slow(log, "body", 1)()
      end, function() spin() end)
      assert.equal("cancelled", task:status())
      assert.is_true(support.was_cancelled(log.result))
      assert.equal(3, log.took)
      assert.equal("left", table.remove(log))
      assert.equal("a over", table.remove(log))
      table.sort(log)
      assert.same({ "a cancelled", "body cancelled", "body over" }, { table.unpack(log) })
    end)
  end)

  it("is not held up by a body that waits for a child as it unwinds: they are cancelled at once", function()
    run(function()
      local function body(s)
        local child = s:spawn(forever)
        local _ <close> = guard(function() pcall(async.shield, child.await, child) end)
        forever()
      end
      assert.equal("ETIMEDOUT", select(2, async.timeout(5, async.timeout, 1, scope, body)).code)
      assert.equal(0, select("#", scope(function(s)
        spawn(function() async.sleep(1) s:cancel() end)
        return body(s)
      end)))
    end)
  end)

  it("before its first wait: children never begin", function()
    run(function()
      local log = cut(function(s, log)
        async.current():cancel()
        s:spawn(function() log[#log + 1] = "began" end)
        async.yield()
        log[#log + 1] = "no"
      end, function() async.yield() end)
      assert.same({ "left" }, { table.unpack(log) })
    end)
  end)

  it("while it waits for its children: they unwind, results are lost", function()
    run(function()
      local log, task = cut(function(s, log)
        s:spawn(slow(log, "a", 2))
        s:spawn(slow(log, "b", 1))
        log[#log + 1] = "body"
        return "lost"
      end, function() async.sleep(1) end)
      assert.equal(3, log.took)
      assert.equal("cancelled", task:status())
      assert.equal("body", table.remove(log, 1))
      assert.same({ "b over", "a over", "left" }, { table.unpack(log, 3) })
    end)
  end)

  it("after the body was cancelled already and returned: its children unwind all the same", function()
    run(function()
      local log = cut(function(s, log)
        s:spawn(slow(log, "a", 2))
        pcall(forever)
        return "lost"
      end, function() async.sleep(1) end)
      assert.is_false(log.ok)
      assert.equal(3, log.took)
      assert.same({ "a cancelled", "a over", "left" }, { table.unpack(log) })
    end)
  end)

  it("while the children unwind under shield: they are left to it; an error that was there wins", function()
    run(function()
      local e = {}
      local log, task = cut(function(s, log)
        s:spawn(slow(log, "a", 5))
        s:spawn(slow(log, "b", 2))
        async.sleep(1)
        error(e)
      end, function() async.sleep(2) end)
      assert.equal(e, log.result)
      assert.equal("failed", task:status())
      assert.equal(6, log.took)
      assert.equal("returned", log[5])
      log = cut(function(s, log)
        s:spawn(slow(log, "a", 5))
        async.sleep(1)
        s:cancel()
      end, function() async.sleep(2) end)
      assert.is_true(support.was_cancelled(log.result))
      assert.equal(6, log.took)
    end)
  end)

  it("in the turn in which its last child ends: returned or cancelled, and never both or neither", function()
    run(function()
      for turns = 0, 8 do
        local returned = false
        local task = spawn(function()
          local r = scope(function(s) s:spawn(spin, 3) return "r" end)
          returned = r == "r"
          async.yield()
        end)
        spin(turns)
        local news = task:cancel()
        local ok, e = pcall(task.await, task)
        if not news then assert.is_true(ok) end
        assert.is_true(ok and returned or not ok and support.was_cancelled(e))
        assert.equal(1, tasks())
      end
    end)
  end)

  it("never runs when the task was cancelled before it began", function()
    run(function()
      local t = spawn(scope, function() error("no") end)
      t:cancel()
      assert.is_true(support.was_cancelled(fails(t.await, t)))
    end)
  end)

  it("is left alone under shield, with its children", function()
    run(function()
      local done = 0
      local t = spawn(function()
        return async.shield(scope, function(s)
          for i = 1, 3 do s:spawn(function() async.sleep(i) done = done + 1 end) end
          async.sleep(2)
          return "r"
        end)
      end)
      async.sleep(1)
      t:cancel()
      assert.equal("r", t:await())
      assert.equal(3, done)
    end)
  end)

  it("cancels also the children that others started in it", function()
    run(function()
      local s, child
      local t = spawn(function() scope(function(x) s = x forever() end) end)
      spin()
      child = s:spawn(forever)
      spin()
      t:cancel()
      assert.is_true(support.was_cancelled(fails(t.await, t)))
      assert.equal("cancelled", child:status())
    end)
  end)
end)
