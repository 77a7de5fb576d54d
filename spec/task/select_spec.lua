-- async.select: who wins, and what becomes of the others.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local steps = require "spec.support.steps"
local join, select_first, spawn, time = async.join, async.select, async.spawn, async.time
local guard = each.guard
local forever, value, later, spin = steps.forever, steps.value, steps.later, steps.spin
local run, fails, told, tasks = steps.run, steps.fails, steps.told, steps.tasks

describe("async.select", function()
  it("returns the key of the first, then all its values", function()
    run(function()
      assert.same({ n = 4, "b", 1, nil, 3 }, table.pack(select_first { a = forever, b = later(2, 1, nil, 3) }))
      local key = {}
      assert.same({ n = 1, key }, table.pack(select_first { forever, [key] = later(1) }))
      assert.same({ n = 2, 2, false }, table.pack(select_first { forever, value(false) }))
    end)
  end)

  it("takes what join takes, and refuses what join does; an empty one raises", function()
    run(function()
      local began = 0
      local function f() began = began + 1 forever() end
      assert.matches("empty", fails(select_first, {}))
      for _, bad in ipairs { 5, "x", value(1) } do assert.is_false(pcall(select_first, bad)) end
      assert.is_false(pcall(select_first))
      assert.is_false(pcall(select_first, { f, 5 }))
      local spent = async.future(value(1))
      spent:await()
      for _ = 1, 10 do assert.matches("finished", tostring(fails(select_first, { spent }))) end
      spin()
      assert.equal(0, began)
      assert.same({ "t", 1 }, { select_first { t = spawn(value(1)), f = forever } })
      assert.same({ 1, "c" }, { select_first { setmetatable({}, { __call = value("c") }) } })
      assert.same({ 1, "p" }, { select_first { async.poll_fn(value("ready", "p")) } })
      assert.equal(1, tasks())
    end)
  end)

  it("raises what the first raises, by identity; what others hold has been unwound", function()
    run(function()
      local e, log = {}, {}
      assert.equal(e, fails(select_first, {
        function()
          local _ <close> = guard(function() async.shield(async.sleep, 1) log[1] = "unwound" end)
          forever()
        end,
        function() async.yield() error(e) end,
      }))
      assert.same({ "unwound" }, log)
    end)
  end)

  it("has unwound the losers when it returns, <close> under shield too", function()
    run(function()
      local log = {}
      local k, v = select_first {
        win = function() spin(2) return "v" end,
        lose = function()
          local _ <close> = guard(function() async.shield(async.sleep, 5) log[#log + 1] = "closed" end)
          forever()
        end,
      }
      assert.same({ "win", "v", { "closed" } }, { k, v, log })
      assert.equal(1, tasks())
    end)
  end)

  it("lets a Task that loses run on; gives up a Future that loses", function()
    run(function()
      local gate, dropped = support.gate(), 0
      local t = spawn(function() gate.wait() return "task" end)
      local f = async.poll_fn(steps.never, function() dropped = dropped + 1 end)
      local g = async.future(forever)
      assert.equal("w", (select_first { t = t, f = f, g = g, w = later(2) }))
      assert.equal(1, dropped)
      assert.equal("waiting", t:status())
      assert.matches("was dropped", tostring(fails(f.await, f)))
      assert.matches("was dropped", tostring(fails(g.await, g)))
      gate.open()
      assert.same({ "t", "task" }, { select_first { t = t } })
      assert.equal(1, dropped)
    end)
  end)

  it("gives ties to every arm at some time, and begins none behind one that is ready at once", function()
    run(function()
      local won, ready = { 0, 0, 0, 0 }, spawn(value(1))
      ready:await()
      for _ = 1, 400 do
        local k = select_first { ready, ready, ready, ready }
        won[k] = won[k] + 1
      end
      for i = 1, 4 do assert.is_true(won[i] > 0) end
      local began, drops = 0, 0
      for _ = 1, 50 do
        assert.equal("r", (select_first { r = ready, f = function() began = began + 1 forever() end,
          p = async.poll_fn(steps.never, function() drops = drops + 1 end) }))
      end
      spin()
      assert.equal(0, began)
      assert.equal(1, tasks())
    end)
  end)

  it("polls for its own wakes only", function()
    run(function()
      local polls, wakers = { 0, 0, 0 }, {}
      local function arm(i)
        return async.poll_fn(function(cx)
          polls[i] = polls[i] + 1
          wakers[i] = cx:waker()
          if polls[i] == 3 then return "ready", "v" .. i end
          return "pending"
        end)
      end
      local t = spawn(select_first, { arm(1), arm(2), arm(3) })
      spin()
      wakers[2]:wake_by_ref()
      spin()
      assert.same({ 1, 2, 1 }, polls)
      wakers[2]:wake()
      assert.equal(2, t:await())
      assert.same({ 1, 3, 1 }, polls)
    end)
  end)

  it("tells on_error of a loser that fails as it unwinds", function()
    run(function()
      local list = told(function()
        assert.same({ "w", 1 }, { select_first { w = later(1, 1), l = function()
          local _ <close> = guard(function() error("unwinding", 0) end)
          forever()
        end } })
      end)
      assert.same({ "unwinding" }, list)
    end)
  end)

  it("in a loop over a Task that lasts, and over steps, loses nothing", function()
    run(function()
      local queue, waker = {}, nil
      local function recv()
        return async.poll_fn(function(cx)
          if #queue > 0 then return "ready", table.remove(queue, 1) end
          waker = cx:waker()
          return "pending"
        end):await()
      end
      local sender = spawn(function()
        for i = 1, 100 do
          queue[#queue + 1] = i
          if waker then waker:wake() waker = nil end
          if i % 3 == 0 then async.sleep(1) end
        end
        return "sent"
      end)
      local got, ticks = {}, 0
      repeat
        local k, v = select_first { m = recv, tick = function() async.sleep(1) end, s = #got == 100 and sender or nil }
        if k == "m" then got[#got + 1] = v elseif k == "tick" then ticks = ticks + 1 end
      until k == "s"
      for i = 1, 100 do assert.equal(i, got[i]) end
      assert.is_true(ticks <= 34)
    end)
  end)

  it("nests in itself, in join, in timeout, and they in it", function()
    run(function()
      local function nest(n)
        if n == 0 then return later(1, "deep") end
        return function() return select(2, select_first { nest(n - 1), forever }) end
      end
      assert.equal("deep", nest(50)())
      assert.same({ "a", "b" }, { join(function() return select(2, select_first { later(1, "a"), forever }) end,
        function() return async.timeout(1, function() return (join(later(2, "b"))) end) end) })
      local _, none, err = select_first { function() return async.timeout(1, join, forever, forever) end, forever }
      assert.is_nil(none)
      assert.equal("ETIMEDOUT", err.code)
      assert.equal(1, tasks())
    end)
  end)
end)
