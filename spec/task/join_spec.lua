-- async.join: results, errors, who is polled, who unwinds, and when.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local steps = require "spec.support.steps"
local join, select_first, spawn, time = async.join, async.select, async.spawn, async.time
local guard = each.guard
local forever, value, later, spin = steps.forever, steps.value, steps.later, steps.spin
local run, fails, told, tasks = steps.run, steps.fails, steps.told, steps.tasks

describe("async.join #nogc", function()
  it("returns the first value of each, in the order of the arms and not of their ends", function()
    run(function()
      local order = {}
      local function arm(n, v) return function() spin(n) order[#order + 1] = v return v, "second" end end
      assert.same({ n = 3, "a", "b", "c" }, table.pack(join(arm(3, "a"), arm(1, "b"), arm(2, "c"))))
      assert.same({ "b", "c", "a" }, order)
    end)
  end)

  it("counts nil results, and results there are none of", function()
    run(function()
      assert.same({ n = 4, nil, 1, nil, nil }, table.pack(join(value(nil), value(1), value(), later(2))))
      assert.same({ n = 1, false }, table.pack(join(value(false))))
    end)
  end)

  it("of a table is a table of the same keys, whatever they are", function()
    run(function()
      local key = {}
      local t = { value(1), later(1, 2), x = value("x"), [key] = later(2, "key"), [true] = value(false),
        [0.5] = value(nil), [-1] = value() }
      local r = join(t)
      assert.same({ 1, 2, x = "x", [true] = false }, { r[1], r[2], x = r.x, [true] = r[true] })
      assert.equal("key", r[key])
      assert.is_nil(r[0.5])
      assert.is_nil(r[-1])
      assert.are_not.equal(t, r)
    end)
  end)

  it("of nothing returns nothing; of an empty table one", function()
    run(function()
      assert.equal(0, select("#", join()))
      assert.same({ n = 1, {} }, table.pack(join {}))
    end)
  end)

  it("takes functions, what can be called, Futures, poll functions, Tasks, running and ended", function()
    run(function()
      local callable = setmetatable({}, { __call = function(...) return select("#", ...) end })
      local ended = spawn(value("ended"))
      ended:await()
      assert.same({ n = 6, 1, 0, "future", "poll", "task", "ended" }, table.pack(join(callable,
        function(...) return select("#", ...) end, async.future(later(1), 1) and async.future(value("future")),
        async.poll_fn(value("ready", "poll")), spawn(later(2, "task")), ended)))
      assert.same({ n = 1, 1 }, table.pack(join(callable)))
    end)
  end)

  it("runs them side by side, before it returns", function()
    run(function()
      local now = async.now()
      join(function() async.sleep(3) end, function() async.sleep(2) end, function() async.sleep(1) end)
      assert.equal(3, math.floor(async.now() - now + 0.5))
    end)
  end)

  it("refuses what cannot be awaited, having started nothing", function()
    run(function()
      local began = 0
      local function f() began = began + 1 end
      for _, bad in ipairs { 5, "x", true, {} } do
        assert.matches("function, Future or Task expected", fails(join, f, bad))
        assert.matches("function, Future or Task expected", fails(join, { f, bad }))
      end
      assert.matches("got nil", fails(join, f, nil))
      local spent = async.future(f)
      spent:await()
      assert.matches("finished", tostring(fails(join, f, spent)))
      spin()
      assert.equal(1, began)
      assert.equal(1, tasks())
    end)
    assert.is_false(pcall(join, value(1)))
    assert.is_false(pcall(join))
  end)

  it("raises what an arm raises: that very value, with the way that it took", function()
    run(function()
      local e = setmetatable({}, { __tostring = function() return "mine" end })
      assert.equal(e, fails(join, forever, function() error(e) end))
      assert.equal(e, fails(join, forever, function() async.yield() error(e) end))
      assert.equal(e, fails(join, { x = forever, y = async.future(function() async.yield() error(e) end) }))
      assert.is_nil(fails(join, function() error(nil) end))
      local traces = {}
      local old = async.on_error(function(_, t) traces[#traces + 1] = t end)
      local function raiser() async.yield() error("from here", 0) end
      local t = spawn(function() join(forever, function() raiser() return 1 end) end)
      while t:status() ~= "failed" do async.yield() end
      async.on_error(old)
      assert.equal("from here", fails(t.await, t))
      assert.matches("'raiser'", traces[1])
      assert.matches("join_spec.lua", traces[1]:match("awaited at.*"))
    end)
  end)

  it("has cancelled and unwound the others before it raises, those that wait under shield too", function()
    run(function()
      local log = {}
      local function arm(name, n)
        return function()
          local _ <close> = guard(function(_, e)
            assert(async.is_cancelled(e))
            async.shield(function() for _ = 1, n do async.sleep(1) end end)
            log[#log + 1] = name
          end)
          forever()
        end
      end
      local now = async.now()
      assert.equal("x", fails(join, arm("slow", 3), arm("fast", 1),
        function() spin(2) log[#log + 1] = "raised" error("x", 0) end, arm("mid", 2)))
      assert.same({ "raised", "fast", "mid", "slow" }, log)
      assert.equal(3, math.floor(async.now() - now + 0.5))
      assert.equal(1, tasks())
    end)
  end)

  it("with a Task that has failed already, begins none behind it", function()
    run(function()
      local began = false
      local done = spawn(error, "y")
      pcall(done.await, done)
      assert.equal("y", fails(join, done, function() began = true end))
      spin()
      assert.is_false(began)
    end)
  end)

  it("raises the first of two errors; one in unwinding is told to on_error", function()
    run(function()
      local list = told(function()
        assert.equal("first", fails(join, function()
          local _ <close> = guard(function() error("second", 0) end)
          forever()
        end, function() async.yield() error("first", 0) end))
      end)
      assert.same({ "second" }, list)
    end)
  end)

  it("leaves Tasks running when another arm fails; awaits them again", function()
    run(function()
      local gate = support.gate()
      local t = spawn(function() gate.wait() return "went on" end)
      assert.equal("x", fails(join, t, function() async.yield() error("x", 0) end))
      assert.equal("waiting", t:status())
      gate.open()
      assert.equal("went on", t:await())
      assert.equal("went on", (join(t)))
    end)
  end)

  it("raises the cancellation of a Task that is cancelled", function()
    run(function()
      local t = spawn(forever)
      local closed = 0
      spawn(function() spin(2) t:cancel() end)
      local e = fails(join, t, function()
        local _ <close> = guard(function() closed = closed + 1 end)
        forever()
      end)
      assert.is_true(support.was_cancelled(e))
      assert.equal(1, closed)
      async.yield() -- but the joining task goes on
    end)
  end)

  it("takes a Task twice, and a Future once", function()
    run(function()
      local t = spawn(later(3, "t"))
      assert.same({ "t", "t" }, { join(t, t) })
      local f = async.future(later(3, "f"))
      assert.matches("await", tostring(fails(join, f, f)))
      local g = async.future(later(3, "g"))
      local other = spawn(function() return join(g) end)
      async.yield()
      async.yield()
      assert.matches("one task at a time", tostring(fails(join, forever, g)))
      assert.equal("g", other:await())
      assert.matches("finished", tostring(fails(join, g)))
      spin()
      assert.equal(1, tasks())
    end)
  end)

  it("of the task itself raises, directly and in an arm", function()
    run(function()
      local t
      t = spawn(function() return join(t, forever) end)
      assert.matches("itself", tostring(fails(t.await, t)))
      t = spawn(function() return join(function() return t:await() end) end)
      assert.matches("itself", tostring(fails(t.await, t)))
      spin()
      assert.equal(1, tasks())
    end)
  end)

  it("polls each arm for its own wakes only", function()
    run(function()
      local N <const> = 100
      local polls, wakers, arms = {}, {}, {}
      for i = 1, N do
        polls[i] = 0
        arms[i] = async.poll_fn(function(cx)
          polls[i] = polls[i] + 1
          wakers[i] = cx:waker()
          if polls[i] == 3 then return "ready", i end
          return "pending"
        end)
      end
      local t = spawn(join, arms)
      spin()
      local function sum() local s = 0 for i = 1, N do s = s + polls[i] end return s end
      assert.equal(N, sum())
      for i = N, 1, -1 do
        wakers[i]:wake_by_ref()
        wakers[i]:wake_by_ref()
        spin(2)
        assert.equal(2, polls[i])
      end
      assert.equal(2 * N, sum())
      for i = 1, N do wakers[i]:wake() end
      local r = t:await()
      assert.equal(3 * N, sum())
      for i = 1, N do assert.equal(i, r[i]) end
    end)
  end)

  it("of 10,000 polls each twice, and so do a thousand one after another", function()
    run(function()
      local polls, wakers, arms = 0, {}, {}
      for i = 1, 10000 do
        local mine = 0
        arms[i] = async.poll_fn(function(cx)
          polls, mine = polls + 1, mine + 1
          if mine == 2 then return "ready", i end
          wakers[i] = cx:waker()
          return "pending"
        end)
      end
      local t = spawn(join, arms)
      while polls < 10000 do async.yield() end
      for i = 10000, 1, -1 do wakers[i]:wake() end
      local r = t:await()
      assert.equal(20000, polls)
      for i = 1, 10000 do assert(r[i] == i) end
    end)
  end)

  it("passes many arguments, and says when there are too many results", function()
    run(function()
      local arms = {}
      for i = 1, 200 do arms[i] = later(i % 3, i) end
      local r = table.pack(join(table.unpack(arms)))
      assert.equal(200, r.n)
      for i = 1, 200 do assert(r[i] == i) end
    end)
  end)

  it("nests 50 deep, with results, errors, and cancellation through all of them", function()
    run(function()
      local closed = 0
      local function nest(n, inmost)
        if n == 0 then return inmost end
        return function()
          local _ <close> = guard(function() closed = closed + 1 end)
          return (join(nest(n - 1, inmost), later(n % 3)))
        end
      end
      assert.equal("deep", nest(50, later(2, "deep"))())
      assert.equal(50, closed)
      local e = {}
      closed = 0
      assert.equal(e, fails(nest(50, function() async.yield() error(e) end)))
      assert.equal(50, closed)
      closed = 0
      local t = spawn(nest(50, forever))
      spin(60)
      t:cancel()
      assert.is_true(support.was_cancelled(fails(t.await, t)))
      assert.equal(50, closed)
      assert.equal(1, tasks())
    end)
  end)

  it("sees async.current() in its arms as the task that joins", function()
    run(function()
      local here = async.current()
      assert.same({ true, true }, { join(function() return async.current() == here end,
        function() async.yield() return async.current() == here end) })
      assert.equal(here, async.current())
    end)
  end)
end)
