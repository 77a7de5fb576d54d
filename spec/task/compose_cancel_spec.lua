-- Joins and selects that are cancelled.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local steps = require "spec.support.steps"
local join, select_first, spawn, time = async.join, async.select, async.spawn, async.time
local guard = each.guard
local forever, value, later, spin = steps.forever, steps.value, steps.later, steps.spin
local run, fails, told, tasks = steps.run, steps.fails, steps.told, steps.tasks

describe("a join or select that is cancelled", function()
  for name, combine in pairs { join = join, select = select_first } do
    it("has unwound its arms before itself: " .. name, function()
      run(function()
        local log = {}
        local function arm(n)
          return function()
            local _ <close> = guard(function(_, e)
              assert(async.is_cancelled(e))
              async.shield(async.sleep, n)
              log[#log + 1] = n
            end)
            forever()
          end
        end
        local t = spawn(function()
          local _ <close> = guard(function() log[#log + 1] = "self" end)
          combine { arm(2), arm(1), async.poll_fn(steps.never, function() log[#log + 1] = "dropped" end) }
        end)
        spin()
        t:cancel()
        assert.is_true(support.was_cancelled(fails(t.await, t)))
        assert.same({ "dropped", 1, 2, "self" }, log)
        assert.equal(1, tasks())
      end)
    end)

    it("by a timeout around it, leaves Tasks running: " .. name, function()
      run(function()
        local t = spawn(function() async.sleep(5) return "on" end)
        local none, err = async.timeout(1, combine, { t })
        assert.is_nil(none)
        assert.equal("ETIMEDOUT", err.code)
        assert.equal("on", t:await())
      end)
    end)

    it("dropped by a collection, and at the end of a run, closes its arms: " .. name, function()
      local closed = 0
      local function arm()
        local _ <close> = guard(function() closed = closed + 1 end)
        forever()
      end
      local weak = setmetatable({}, { __mode = "v" })
      run(function()
        local f = async.future(combine, { arm, arm })
        weak.f = f
        async.poll_fn(function(cx) f:poll(cx) return "ready" end):await()
        async.yield() -- the arms have begun
        assert.equal(0, closed)
        f = nil
        collectgarbage()
        collectgarbage()
        async.yield()
        assert.is_nil(weak.f)
        assert.equal(2, closed)
        spawn(combine, { arm, arm, arm })
        spin(2)
      end)
      assert.equal(5, closed)
    end)

    it("is shown by dump, and in a deadlock: " .. name, function()
      local e = fails(async.run, function()
        local t = spawn(function() combine { forever, later(1000000) and forever } end)
        spin()
        local text = async.dump()
        assert.matches("task 2: waiting, waits for " .. name, text)
        assert.matches("arm 1 of " .. name, text)
        assert.matches("arm 2 of " .. name, text)
        t:await()
      end)
      assert.equal("EDEADLK", e.code)
      assert.matches("waits for " .. name, tostring(e))
    end)

    it("lets a timer in the same turn win or lose, and loses no value: " .. name, function()
      run(function()
        local function first(...) if name == "join" then return (...)[1] end return select(2, ...) end
        for _, before in ipairs { true, false } do
          local taken
          local function op() async.sleep(1) taken = true return "value" end
          local arms = before and { op } or { function() return async.timeout(1, op) end }
          taken = false
          local r = table.pack(async.timeout(1, function() return first(combine(arms)) end))
          if r[1] == "value" then
            assert.is_true(taken)
          else
            assert.is_nil(r[1])
            if r[2] then assert.equal("ETIMEDOUT", r[2].code) end
            assert.is_false(taken)
          end
        end
      end)
    end)
  end

  it("with a winner in the same turn: its result is kept, and the next await raises", function()
    run(function()
      local gate, got, went_on = support.gate(), nil, false
      local t = spawn(function()
        got = table.pack(select_first { function() gate.wait() return "v" end, forever })
        async.yield()
        went_on = true
      end)
      spin()
      gate.open()
      async.yield()
      local was = got
      t:cancel()
      local e = fails(t.await, t)
      assert.is_true(support.was_cancelled(e))
      assert.is_false(went_on)
      if was then assert.same({ n = 2, 1, "v" }, was) end
    end)
  end)
end)

-- Lua's longjmps leave libtsan with frames that never return: it dies of this many.
if os.getenv("LUA_ASYNC_FLAVOUR") == "tsan" then return end

describe("cancelled in each turn", function()
  local function balanced(w) -- every arm that began was closed, once
    w.began, w.closed = 0, 0
    function w.arm(f)
      return function()
        w.began = w.began + 1
        local _ <close> = guard(function() w.closed = w.closed + 1 end)
        return f()
      end
    end
    w.task = spawn(later(3, "t"))
  end
  local function after(w)
    assert.equal(w.began, w.closed)
    assert.equal("t", w.task:await())
  end
  local cases = {
    { "join", want = { 1, "t", 2 }, op = function(w) return join(w.arm(later(4, 1)), w.task, w.arm(later(2, 2))) end },
    { "join that fails", want = { false, "x" }, op = function(w)
        local r = table.pack(pcall(join, w.arm(forever), w.arm(function() spin(3) error("x", 0) end), w.task))
        if async.is_cancelled(r[2]) then error(r[2], 0) end
        return table.unpack(r, 1, r.n)
      end },
    { "select", want = { "b", 7 }, op = function(w)
        return select_first { a = w.arm(forever), b = w.arm(later(3, 7)), c = async.future(forever) }
      end },
    { "select whose losers unwind", want = { "b", 7 }, op = function(w)
        return select_first { b = w.arm(later(2, 7)), a = w.arm(function()
          local _ <close> = guard(function() async.shield(spin, 3) end)
          forever()
        end) }
      end },
    { "join in select in join", want = { 5 }, op = function(w)
        return (join(w.arm(function()
          return select(2, select_first { w.arm(function() return (join(w.arm(later(3, 5)), w.arm(later(1)))) end),
            w.arm(forever) })
        end), w.arm(later(2))))
      end },
  }
  for _, case in ipairs(cases) do
    case.world, case.after = balanced, after
    for _, how in ipairs(each.ways) do
      it(case[1] .. ", by " .. how, function() each.every(case, how) end)
    end
  end
end)
