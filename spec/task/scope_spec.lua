-- async.scope: no task outlives it, its first error is the one that is raised, and a
-- cancellation goes through it as through any call. Spec names the phases of its life: the body
-- runs, the children are waited for, the children unwind.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local steps = require "spec.support.steps"
local scope, spawn, time = async.scope, async.spawn, async.time
local guard = each.guard
local forever, spin, run, fails = steps.forever, steps.spin, steps.run, steps.fails
local took, told, tasks, slow = steps.took, steps.told, steps.tasks, steps.slow

describe("async.scope #notsan", function()
  it("calls the function with the scope and its arguments, and returns all its results", function()
    run(function()
      local function f(s, ...)
        assert.matches("^Scope %(0 tasks%)", tostring(s))
        return ...
      end
      assert.same({ n = 3, 1, nil, nil }, table.pack(scope(f, 1, nil, nil)))
      assert.equal(0, select("#", scope(f)))
      assert.equal(7, scope(setmetatable({}, { __call = function(_, s, x) s:spawn(spin) return x end }), 7))
      -- A Future could not take the scope.
      for _, bad in ipairs { 5, "x", true, {}, (async.future(function() return 8 end)) } do
        assert.matches("function", tostring(fails(scope, bad)))
      end
      assert.is_false(pcall(scope))
      assert.equal(1, tasks())
    end)
    assert.is_false(pcall(scope, function() end))
  end)

  it("returns when all children have ended, in no other order than theirs", function()
    run(function()
      local log = {}
      local t, r = took(scope, function(s)
        for i = 3, 1, -1 do s:spawn(function(x) async.sleep(x) log[#log + 1] = x end, i) end
        log[#log + 1] = "body"
        assert.matches("^Scope %(3 tasks%)", tostring(s))
        return "r"
      end)
      assert.equal("r", r)
      assert.equal(3, t)
      assert.same({ "body", 1, 2, 3 }, log)
      assert.equal(1, tasks())
    end)
  end)

  it("gives a Task for each, whose results can be awaited inside and after", function()
    run(function()
      local later
      local sum = scope(function(s)
        local a = s:spawn(function(...) async.yield() return ... end, 1, 2)
        later = s:spawn(function() async.sleep(1) return "later" end)
        return select(2, a:await()) + a:await()
      end)
      assert.equal(3, sum)
      assert.equal("done", later:status())
      assert.equal("later", later:await())
    end)
  end)

  it("lets children start others, also while it waits for them", function()
    run(function()
      local n = 0
      scope(function(s)
        local function child(depth)
          n = n + 1
          if depth == 0 then return end
          async.sleep(1)
          s:spawn(child, depth - 1)
          s:spawn(child, depth - 1)
        end
        s:spawn(child, 6)
      end)
      assert.equal(127, n)
      assert.equal(1, tasks())
    end)
  end)

  it("holds ten thousand children #large", function()
    run(function()
      local n = 0
      scope(function(s) for _ = 1, 10000 do s:spawn(function() async.yield() n = n + 1 end) end end)
      assert.equal(10000, n)
      assert.is_true(pcall(scope, function(s)
        for _ = 1, 10000 do s:spawn(forever) end
        async.yield()
        s:cancel()
      end))
      assert.equal(1, tasks())
    end)
  end)

  it("is over when it has returned: spawn raises, cancel is of no use", function()
    run(function()
      local s, in_close
      scope(function(x)
        s = x
        local _ <close> = guard(function() in_close = x:spawn(function() return "ran" end) end)
      end)
      assert.equal("ran", in_close:await()) -- the body was not over
      assert.equal("Scope (over)", tostring(s))
      assert.matches("this scope has ended", fails(s.spawn, s, spin))
      assert.is_false(s:cancel())
      pcall(scope, function(x) s = x error("x") end)
      assert.matches("this scope has ended", fails(s.spawn, s, spin))
      assert.is_false(pcall(s.spawn, 5, spin))
      scope(function(x)
        assert.matches("function, Future or Task expected", fails(x.spawn, x, 5))
        assert.is_false(pcall(x.spawn, x))
        assert.is_false(pcall(x.spawn, spin))
      end)
    end)
    local kept
    run(function() scope(function(s) kept = s end) end)
    run(function() assert.is_false(pcall(kept.spawn, kept, spin)) end)
    assert.is_false(pcall(kept.spawn, kept, spin))
    assert.is_false(kept:cancel())
  end)

  it("may be used from another task, whose children it awaits, and from no other run", function()
    run(function()
      local s
      local gate, other = support.gate(), nil
      local t = took(scope, function(x)
        s = x
        other = spawn(function()
          gate.wait()
          x:spawn(async.sleep, 5)
          return "other"
        end)
        gate.open()
        other:await()
      end)
      assert.equal(5, t)
      assert.is_false(pcall(s.spawn, s, spin))
    end)
  end)
end)

describe("an error in a scope #notsan", function()
  it("of a child cancels its siblings and the body, and is raised, itself, when they have unwound", function()
    run(function()
      local e, log = setmetatable({}, { __tostring = function() return "mine" end }), {}
      local t, got = took(fails, scope, function(s)
        s:spawn(slow(log, "a", 2))
        s:spawn(function() async.sleep(1) log[#log + 1] = "raises" error(e) end)
        slow(log, "body", 1)()
      end)
      assert.equal(e, got)
      assert.equal(3, t)
      assert.equal("raises", log[1])
      table.sort(log)
      assert.same({ "a cancelled", "a over", "body cancelled", "body over", "raises" }, log)
      assert.equal(1, tasks())
      async.yield() -- the caller goes on
    end)
  end)

  it("of a child is raised when the body has returned, and when it caught the cancellation", function()
    run(function()
      assert.equal("x", fails(scope, function(s)
        s:spawn(function() async.sleep(1) error("x", 0) end)
        return "lost"
      end))
      assert.equal("x", fails(scope, function(s)
        s:spawn(function() error("x", 0) end)
        assert.is_true(async.is_cancelled(fails(forever)))
        assert.is_true(async.is_cancelled(fails(async.yield))) -- level-triggered
        return "lost"
      end))
      assert.is_nil(fails(scope, function(s) s:spawn(function() error(nil) end) end))
    end)
  end)

  it("of the body cancels the children, and is raised when they have unwound", function()
    run(function()
      local e, log = {}, {}
      local t, got = took(fails, scope, function(s)
        s:spawn(slow(log, "a", 2))
        s:spawn(slow(log, "b", 1))
        s:spawn(function() log[#log + 1] = "began" end)
        async.yield()
        s:spawn(function() log[#log + 1] = "never" end)
        error(e)
      end)
      assert.equal(e, got)
      assert.equal(2, t)
      table.sort(log)
      assert.same({ "a cancelled", "a over", "b cancelled", "b over", "began" }, log)
    end)
  end)

  it("shows the way it took: the child, where it was spawned, and the scope's caller", function()
    run(function()
      local traces = {}
      local old = async.on_error(function(_, t) traces[#traces + 1] = t end)
      local _ <close> = guard(function() async.on_error(old) end)
      local function raiser() async.yield() error("from here", 0) end
      local function caller(f) scope(f) return 1 end
      local t = spawn(function() caller(function(s) s:spawn(function() raiser() return 1 end) forever() end) end)
      while t:status() ~= "failed" do async.yield() end
      assert.matches("'raiser'", traces[1])
      assert.matches("spawned at spec/task/scope_spec.lua", traces[1])
      assert.matches("'caller'", traces[1])
      t = spawn(function() caller(function(s) s:spawn(forever) raiser() end) end)
      while t:status() ~= "failed" do async.yield() end
      assert.matches("'raiser'", traces[2])
      assert.matches("'caller'", traces[2])
      assert.equal(2, #traces)
    end)
  end)

  it("is raised by who awaits the child, too; nobody else is told", function()
    run(function()
      local e = {}
      assert.same({}, told(function()
        local child, got
        local gate = support.gate()
        assert.equal(e, fails(scope, function(s)
          child = s:spawn(function() gate.wait() error(e) end)
          spawn(function() got = fails(child.await, child) end)
          async.yield()
          gate.open()
        end))
        spin()
        assert.equal(e, got)
        assert.equal(e, fails(child.await, child))
        assert.equal(e, fails(scope, function(s) -- the body awaits it
          s:spawn(function() async.yield() error(e) end):await()
        end))
      end))
    end)
  end)

  it("after the first is told to on_error: of siblings, and of those who unwind", function()
    run(function()
      local first
      local list = told(function()
        first = fails(scope, function(s)
          for i = 1, 3 do s:spawn(function() async.sleep(1) error("e" .. i, 0) end) end
          s:spawn(function()
            local _ <close> = guard(function() error("e4", 0) end)
            forever()
          end)
        end)
      end)
      local all = { first, table.unpack(list) }
      assert.not_equal("e4", first)
      table.sort(all)
      assert.same({ "e1", "e2", "e3", "e4" }, all)
    end)
  end)

  it("of the body after the first is told, too: in the same turn, and as it unwinds", function()
    run(function()
      for _, wait in ipairs { function() async.sleep(1) end, forever } do
        local first
        local list = told(function()
          first = fails(scope, function(s)
            s:spawn(function() async.sleep(1) error("child", 0) end)
            local _ <close> = guard(function() error("body", 0) end)
            wait()
          end)
        end)
        local all = { first, table.unpack(list) }
        if wait == forever then assert.equal("child", first) end
        table.sort(all)
        assert.same({ "body", "child" }, all)
      end
    end)
  end)

  it("of a child that unwinds is the first when there was a mere cancellation", function()
    run(function()
      assert.equal("x", fails(scope, function(s)
        s:spawn(function()
          local _ <close> = guard(function() error("x", 0) end)
          forever()
        end)
        async.yield()
        s:cancel()
      end))
    end)
  end)
end)
