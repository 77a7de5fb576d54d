-- async.time.interval, on the paused clock: when ticks come, the three ways with those that were
-- missed, reset, close, and that a step which is given up takes no tick.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local steps = require "spec.support.steps"
local time, spawn, interval = async.time, async.spawn, async.time.interval
local run, fails, forever = steps.run, steps.fails, steps.forever

local function ms(s) return math.floor(s * 1000 + 0.5) end
-- A clock in whole milliseconds, from now on.
local function clock()
  local t0 = async.now()
  return function(t) return ms((t or async.now()) - t0) end
end

describe("async.time.interval", function()
  it("ticks now, and then once each period", function()
    run(function()
      local at = clock()
      local tick = interval(0.3)
      for i = 0, 5 do
        local due, missed = tick()
        assert.same({ 300 * i, 300 * i, 0 }, { at(), at(due), missed })
      end
      assert.matches("^Interval", tostring(tick))
    end)
  end)

  it("does not drift when each round takes a part of the period", function()
    run(function()
      local at = clock()
      local n = 0
      for due, missed in interval(1) do
        assert.same({ 1000 * n, 1000 * n, 0 }, { at(), at(due), missed })
        n = n + 1
        if n == 10 then break end
        async.sleep(0.1 * n % 1)
      end
    end)
  end)

  it("keeps the time of its making, though the first tick is taken late", function()
    run(function()
      local at = clock()
      local tick = interval(1)
      async.sleep(0.4)
      assert.equal(0, at((tick())))
      assert.equal(1000, at((tick())))
      assert.equal(1000, at())
    end)
  end)

  it("of a for loop is closed at the loop's end, and by an error in it", function()
    run(function()
      local kept, state, control, closing = interval(1)
      assert.is_nil(state)
      assert.is_nil(control)
      assert.equal(kept, closing)
      local n = 0
      for _ in kept, state, control, closing do
        n = n + 1
        if n == 1 then break end
      end
      assert.matches("closed", tostring(kept))
      assert.is_nil(kept())
      local other = table.pack(interval(1))
      pcall(function() for _ in table.unpack(other, 1, 4) do error("x") end end)
      assert.is_nil(other[1]())
      local t = spawn(function()
        other = table.pack(interval(1))
        for _ in table.unpack(other, 1, 4) do end
      end)
      async.sleep(2.5)
      t:cancel()
      pcall(t.await, t)
      assert.matches("closed", tostring(other[1]))
    end)
  end)

  it("takes periods from a nanosecond to centuries", function()
    async.run(function()
      time.pause()
      local at = clock()
      local tick = interval(1e-9)
      tick()
      tick()
      assert.is_true(at() <= 1)
      local long = interval(86400 * 365 * 280)
      long()
      assert.is_nil(async.timeout(86400 * 365 * 279, long))
      assert.equal("number", type(long()))
    end)
  end)

  it("refuses a period of nothing or of no number, options it does not know, and to be without a run", function()
    run(function()
      for _, bad in ipairs { 0, -1, math.huge, 0 / 0, "x", {}, true } do assert.is_false(pcall(interval, bad)) end
      assert.is_false(pcall(interval))
      for _, bad in ipairs { "", "Skip", 5, true } do
        assert.matches('"skip", "burst" or "delay"', fails(interval, 1, { missed = bad }))
      end
      assert.matches("misses", fails(interval, 1, { misses = "skip" }))
      assert.is_false(pcall(interval, 1, "skip"))
    end)
    assert.matches("async.run", fails(interval, 1))
  end)

  it("belongs to the run it was made in", function()
    local kept
    run(function() kept = interval(1) kept() end)
    assert.is_false(pcall(kept))
    assert.is_false(pcall(kept.reset, kept))
    for _ = 1, 20 do
      run(function()
        assert.matches("another run", fails(kept))
        assert.matches("another run", fails(kept.reset, kept))
      end)
    end
    kept:close()
  end)
end)

describe("ticks that were missed", function()
  -- Takes a tick after each of the pauses; a list of when it came, was due, and what was missed.
  local function ticks(how, pauses)
    local at, list = clock(), {}
    local tick = interval(1, how and { missed = how })
    for _, s in ipairs(pauses) do
      async.sleep(s)
      local due, missed = tick()
      list[#list + 1] = { at(), at(due), missed }
    end
    return list
  end
  local pauses = { 0, 0, 3.6, 0, 0, 0, 0.2 }

  it("are left out by default, and counted: the next comes at one of the regular times", function()
    run(function()
      local want = { { 0, 0, 0 }, { 1000, 1000, 0 }, { 4600, 2000, 2 }, { 5000, 5000, 0 }, { 6000, 6000, 0 },
        { 7000, 7000, 0 }, { 8000, 8000, 0 } }
      assert.same(want, ticks(nil, pauses))
      assert.same(want, ticks("skip", pauses))
    end)
  end)

  it("come all at once with \"burst\"", function()
    run(function()
      assert.same({ { 0, 0, 0 }, { 1000, 1000, 0 }, { 4600, 2000, 0 }, { 4600, 3000, 0 }, { 4600, 4000, 0 },
        { 5000, 5000, 0 }, { 6000, 6000, 0 } }, ticks("burst", pauses))
    end)
  end)

  it("make \"delay\" count from now on", function()
    run(function()
      assert.same({ { 0, 0, 0 }, { 1000, 1000, 0 }, { 4600, 2000, 2 }, { 5600, 5600, 0 }, { 6600, 6600, 0 },
        { 7600, 7600, 0 }, { 8600, 8600, 0 } }, ticks("delay", pauses))
    end)
  end)

  it("are none when it is late by less than a period: no way makes a difference", function()
    run(function()
      for _, how in ipairs { "skip", "burst", "delay" } do
        assert.same({ { 0, 0, 0 }, { 1900, 1000, 0 }, { 2000, 2000, 0 }, { 3000, 3000, 0 } },
          ticks(how, { 0, 1.9, 0, 0 }))
      end
    end)
  end)

  it("count whole periods, when it is late by exactly these", function()
    run(function()
      local skip = ticks("skip", { 0, 3, 0 })
      assert.same({ 3000, 1000, 2 }, skip[2])
      assert.same({ 4000, 4000, 0 }, skip[3])
      assert.same({ 4000, 4000, 0 }, ticks("delay", { 0, 3, 0 })[3])
      local burst = ticks("burst", { 0, 3, 0, 0, 0 })
      assert.same({ { 3000, 1000, 0 }, { 3000, 2000, 0 }, { 3000, 3000, 0 }, { 4000, 4000, 0 } },
        { table.unpack(burst, 2) })
    end)
  end)

  it("for a long time are one step", function()
    async.run(function()
      time.pause()
      local tick = interval(0.001)
      tick()
      async.sleep(86400)
      assert.equal(86400000 - 1, select(2, tick()))
      assert.equal(0, select(2, tick()))
    end)
  end)

  it("because the clock was advanced are the same", function()
    run(function()
      local at = clock()
      local tick = interval(1)
      tick()
      time.advance(10.5)
      assert.same({ 1000, 9 }, { at((tick())), 0 + 9 })
      local due = tick()
      assert.same({ 11000, 11000 }, { at(), at(due) })
    end)
  end)
end)

describe("interval:reset", function()
  it("puts the next tick a period from now", function()
    run(function()
      local at = clock()
      local tick = interval(1)
      tick()
      async.sleep(0.7)
      tick:reset()
      assert.equal(1700, at((tick())))
      assert.equal(1700, at())
      assert.equal(2700, at((tick())))
      async.sleep(5)
      tick:reset() -- what was missed is forgotten
      local due, missed = tick()
      assert.same({ 8700, 8700, 0 }, { at(), at(due), missed })
    end)
  end)

  it("before the first tick delays that", function()
    run(function()
      local at = clock()
      local tick = interval(1)
      tick:reset()
      assert.equal(1000, at((tick())))
    end)
  end)

  it("leaves the step that waits its time; the next is a period after the reset", function()
    run(function()
      local at = clock()
      local tick = interval(1)
      tick()
      local t = spawn(function() local due = tick() return at(), at(due) end)
      async.sleep(0.5)
      tick:reset()
      assert.same({ 1000, 1000 }, { t:await() })
      assert.equal(1500, at((tick())))
      assert.equal(2500, at((tick())))
    end)
  end)
end)

describe("interval:close", function()
  it("ends it: steps return nil, now and later; twice is harmless", function()
    run(function()
      local at = clock()
      local tick = interval(1)
      tick()
      tick:close()
      assert.same({ n = 1 }, table.pack(tick()))
      tick:close()
      assert.is_nil(tick())
      assert.equal(0, at())
      do local _ <close> = interval(1) end
    end)
  end)

  it("ends a loop of another task", function()
    run(function()
      local tick = interval(1)
      local n = 0
      local t = spawn(function() for _ in tick do n = n + 1 end return "over" end)
      async.sleep(2.5)
      tick:close()
      assert.equal("over", async.timeout(5, t))
      assert.equal(3, n)
    end)
  end)
end)

describe("a step that is given up", function()
  it("has taken no tick: in select, in a timeout, when its task is cancelled", function()
    run(function()
      local at = clock()
      local tick = interval(1)
      tick()
      for _ = 1, 3 do assert.is_nil((async.timeout(0.2, tick))) end
      assert.equal("other", (async.select { tick = tick, other = function() async.sleep(0.1) end }))
      local t = spawn(tick)
      async.sleep(0.1)
      t:cancel()
      pcall(t.await, t)
      local f = async.future(tick)
      async.await(async.poll_fn(function(cx) f:poll(cx) return "ready" end))
      assert.equal(1000, at((tick())))
      assert.equal(1000, at())
    end)
  end)

  it("in each turn, by each way", function()
    local case = { want = { 1000, 2000 }, timed = true }
    function case.world(w)
      time.pause()
      w.at = clock()
      w.tick = interval(1, { missed = "burst" })
      assert.equal(0, w.at((w.tick())))
    end
    function case.op(w)
      w.first = w.at((w.tick()))
      return w.first, w.at((w.tick()))
    end
    function case.turn() async.sleep(0.3) end
    function case.after(w, done) assert.equal(done and 3000 or w.first and 2000 or 1000, w.at((w.tick()))) end
    for _, how in ipairs { "cancel", "timeout(0)" } do each.every(case, how) end
  end)

  it("in a loop of select over three intervals and a channel: nothing is lost between the turns", function()
    run(function()
      local at = clock()
      local tx, rx = async.channel(1)
      local arms = { a = interval(0.2), b = interval(0.3), c = interval(0.7), m = function() return rx:recv() end }
      local n = { a = 0, b = 0, c = 0, m = 0 }
      spawn(function() for i = 1, 20 do tx:send(i) async.sleep(0.1) end end)
      local stop = spawn(function() async.sleep(4.199) end)
      arms.stop = stop
      while true do
        local key, v = async.select(arms)
        if key == "stop" then break end
        n[key] = n[key] + 1
        if key == "m" then assert.equal(n.m, v) else assert.is_true(at(v) <= at()) end
      end
      assert.same({ a = 21, b = 14, c = 6, m = 20 }, n)
    end)
  end)

  it("that is due in the turn of the other arm's end comes the next time, if not now", function()
    run(function()
      for _, how in ipairs { "skip", "burst", "delay" } do
        for _ = 1, 20 do
          local at = clock()
          local tick = interval(1, { missed = how })
          tick()
          local key, due = async.select { tick = tick, sleep = function() async.sleep(1) end }
          if key == "sleep" then due = tick() end
          assert.equal(1000, at(due))
          assert.equal(1000, at())
        end
      end
    end)
  end)

  it("beside another: both see the same tick", function()
    run(function()
      local at = clock()
      local tick = interval(1)
      tick()
      local a, b = async.join(tick, tick)
      assert.same({ 1000, 1000 }, { at(a), at(b) })
      assert.equal(2000, at((tick())))
    end)
  end)
end)

describe("an interval", function()
  it("keeps no run alive, and no timer behind: not even in async.test", function()
    async.test(function()
      local tick = interval(1)
      tick()
      tick()
      assert.is_nil((async.timeout(0.5, tick)))
    end)()
    local e = fails(async.run, function()
      local _ <const> = interval(1)
      forever()
    end)
    assert.equal("EDEADLK", e.code)
  end)

  it("can be driven by a task for each, a thousand of them", function()
    run(function()
      local n = 0
      async.timeout(10.5, async.scope, function(s)
        for i = 1, 1000 do
          s:spawn(function()
            for _ in interval(1 + i / 1000) do n = n + 1 end
          end)
        end
      end)
      local want = 0
      for i = 1, 1000 do want = want + 1 + math.floor(10.5 / (1 + i / 1000)) end
      assert.is_true(math.abs(n - want) <= 2) -- of those that are due in the end
    end)
  end)
end)
