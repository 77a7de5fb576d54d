-- Sleeping and clocks. How long things take is not asserted, only what comes first and that
-- nothing comes early.
local async = require "lua_async"
local support = require "spec.support"
local run, time = support.run, async.time

describe("sleep #nogc", function()
  it("wakes in the order of the deadlines, whatever that of the calls", function()
    run(function()
      time.pause()
      local order, tasks = {}, {}
      for _, ms in ipairs { 30, 10, 20, 0, 40, 15 } do
        tasks[#tasks + 1] = async.spawn(function()
          async.sleep(ms / 1000)
          order[#order + 1] = ms
        end)
      end
      for _, t in ipairs(tasks) do t:await() end
      assert.same({ 0, 10, 15, 20, 30, 40 }, order)
    end)
  end)

  it("wakes those of one deadline in the order in which they began", function()
    support.in_order(function()
      time.pause()
      local order, tasks, at = {}, {}, async.now() + 0.2
      for i = 1, 50 do
        tasks[i] = async.spawn(function()
          time.sleep_until(at)
          order[#order + 1] = i
        end)
      end
      for _, t in ipairs(tasks) do t:await() end
      for i = 1, 50 do assert.equal(i, order[i]) end
    end)
  end)

  it("is never early", function()
    run(function()
      for _, s in ipairs { 0, 1e-9, 0.0001, 0.001, 0.0015, 0.01, 0.0201 } do
        local t0 = async.now()
        async.sleep(s)
        assert.is_true(async.now() - t0 > s - 1e-9, tostring(s)) -- seconds are rounded
        local at = async.now() + s
        time.sleep_until(at)
        assert.is_true(async.now() >= at)
      end
    end)
  end)

  it("of zero, of less, and until what has passed returns, and nothing is returned", function()
    run(function()
      for _, s in ipairs { 0, -1, -0.0, -math.huge, math.mininteger } do
        assert.equal(0, select("#", async.sleep(s)))
        assert.equal(0, select("#", time.sleep_until(s)))
      end
      assert.equal(0, select("#", time.sleep_until(async.now() - 1)))
    end)
  end)

  it("of no time lets a loop be cancelled", function()
    run(function()
      local t = async.spawn(function() while true do async.sleep(0) end end)
      async.yield()
      t:cancel()
      assert.is_false(pcall(t.await, t))
    end)
  end)

  it("for ever, and nearly, can be cancelled", function()
    run(function()
      local tasks = {}
      for i, s in ipairs { math.huge, 1e300, 1e18, math.maxinteger, 9.3e9, 3e9, 2 ^ 31, 86400 * 365 } do
        tasks[i] = async.spawn(async.sleep, s)
        tasks[i + 100] = async.spawn(time.sleep_until, s)
      end
      async.sleep(0.01)
      for _, t in pairs(tasks) do
        assert.equal("waiting", t:status())
        t:cancel()
      end
      for _, t in pairs(tasks) do assert.is_false(pcall(t.await, t)) end
    end)
  end)

  it("refuses what is no time", function()
    run(function()
      for _, f in ipairs { async.sleep, time.sleep_until } do
        local ok, e = pcall(f, 0 / 0)
        assert.is_false(ok)
        assert.matches("nan", e)
        assert.matches("number expected", select(2, pcall(f)))
        assert.matches("number expected", select(2, pcall(f, "soon")))
        assert.matches("number expected", select(2, pcall(f, {})))
      end
      async.sleep("0") -- as Lua's own functions take a numeral
    end)
  end)

  it("works through Futures, and a Future that was begun keeps its deadline", function()
    run(function()
      time.pause()
      local t0 = async.now()
      local fut = async.future(async.sleep, 0.02)
      assert.is_nil((async.timeout(0.001, fut)))
      fut = async.future(time.sleep_until, t0 + 0.01)
      async.sleep(0.02)
      fut:await()
      async.await(async.fn(async.sleep)(0.001))
    end)
  end)

  it("that was cancelled leaves no timer behind", function()
    run(function()
      for _ = 1, 1000 do
        local t = async.spawn(async.sleep, 1000)
        if _ % 2 == 0 then async.yield() end
        t:cancel()
      end
    end)
    local ok, e = pcall(async.run, function() -- one left would keep this from being a deadlock
      local t = async.spawn(async.sleep, 1000)
      async.yield()
      t:cancel()
      async.await(async.poll_fn(function() return "pending" end))
    end)
    assert.is_false(ok)
    assert.equal("EDEADLK", e.code)
  end)
end)

describe("now #nogc", function()
  it("never goes back, in a run and outside, and is the same clock", function()
    local last = async.now()
    local function look()
      local t = async.now()
      assert.equal("float", math.type(t))
      assert.is_true(t >= last)
      last = t
    end
    for _ = 1, 1000 do look() end
    run(function()
      for _ = 1, 1000 do look() end
      async.sleep(0.002)
      look()
    end)
    look()
    assert.equal(async.now, time.now)
    assert.equal(async.sleep, time.sleep)
    assert.equal(async.timeout, time.timeout)
  end)
end)

describe("a wall clock that jumps by years #process", function()
  it("moves no timer, in either direction", function()
    support.child_ok([[
      local a, b = os.time(), os.time()
      assert(math.abs(a - b) > 86400 * 300, "the clock does not jump: the test tests nothing")
      async.run(function()
        local order = {}
        local function note(name, f, ...)
          local args = table.pack(...)
          return async.spawn(function()
            f(table.unpack(args, 1, args.n))
            order[#order + 1] = name
          end)
        end
        local t0 = async.now()
        local all = {
          note("c", async.sleep, 0.06), note("a", async.sleep, 0.02),
          note("b", async.time.sleep_until, t0 + 0.04),
          note("d", async.timeout, 0.08, async.sleep, 3600),
        }
        local forever = async.spawn(async.sleep, 86400 * 200)
        for i = 1, 20 do
          os.time()
          async.sleep(0.005)
        end
        for _, t in ipairs(all) do t:await() end
        assert(table.concat(order) == "abcd", table.concat(order))
        assert(async.now() - t0 >= 0.08)
        assert(forever:status() == "waiting")
      end)
      print "ok"
    ]], { seconds = 30, under = 'env LD_PRELOAD="$LD_PRELOAD ./build/spec/clock.so"' })
  end)
end)
