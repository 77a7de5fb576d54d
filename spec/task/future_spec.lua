-- Futures: lazy, polled, awaited once; poll_fn, contexts, wakers.
local async = require "lua_async"
local support = require "spec.support"
local run, sys = async.run, support.sys

describe("async.future", function()
  it("runs nothing before it is awaited, and only once", function()
    run(function()
      local ran = 0
      local f = async.future(function(x) ran = ran + 1 return x end, "v")
      async.sleep(0.001)
      assert.equal(0, ran)
      assert.equal("v", f:await())
      assert.equal(1, ran)
      local ok, e = pcall(f.await, f)
      assert.is_false(ok)
      assert.matches("finished", e)
    end)
  end)

  it("of an operation is that operation", function()
    run(function()
      async.await(async.future(async.sleep, 0.001))
      local f = async.future(async.sleep, 0.001)
      local states = {}
      async.await(async.poll_fn(function(cx)
        states[#states + 1] = f:poll(cx)
        return states[#states]
      end))
      assert.same({ "pending", "ready" }, states)
      assert.is_false(pcall(function() async.future(async.sleep, "x"):await() end))
    end)
  end)

  it("raises the error of its function by identity, awaited or polled", function()
    run(function()
      local e = {}
      local f = async.future(function() error(e) end)
      assert.equal(e, select(2, pcall(f.await, f)))
      f = async.future(function() async.yield() error(e) end)
      local _, got = pcall(async.await, async.poll_fn(function(cx) return f:poll(cx) end))
      assert.equal(e, got)
    end)
  end)

  it("async.fn makes a function whose calls are futures", function()
    run(function()
      local double = async.fn(function(x) async.yield() return 2 * x end)
      local a, b = double(1), double(2)
      assert.equal(4, b:await())
      assert.equal(2, a:await())
    end)
  end)

  it("async.await takes a future, a task, a function, or what can be called", function()
    run(function()
      assert.equal(1, async.await(async.future(function() return 1 end)))
      assert.equal(2, async.await(async.spawn(function() return 2 end)))
      assert.equal(3, async.await(function() async.yield() return 3 end))
      assert.equal(4, async.await(setmetatable({}, { __call = function() return 4 end })))
      assert.is_false(pcall(async.await, 5))
    end)
  end)

  it("dropped in the middle, closes its <close> variables", function()
    run(function()
      local closed = false
      local f = async.future(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        async.sleep(1000)
      end)
      async.await(async.poll_fn(function(cx) f:poll(cx) return "ready" end))
      assert.is_false(closed)
      f = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      assert.is_true(closed)
    end)
  end)

  it("dropped with the run, too", function()
    local closed, f = false, nil
    run(function()
      f = async.future(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        async.sleep(1000)
      end)
      async.await(async.poll_fn(function(cx) f:poll(cx) return "ready" end))
    end)
    assert.is_true(closed)
    assert.is_false(pcall(run, function() f:await() end))
  end)
end)

describe("async.poll_fn", function()
  it("is polled once, and then once for each wake", function()
    run(function()
      local polls, waker = 0, nil
      local t = async.spawn(function()
        return async.await(async.poll_fn(function(cx)
          polls = polls + 1
          waker = cx:waker()
          if polls < 3 then return "pending" end
          return "ready", "a", nil, "b"
        end))
      end)
      async.yield()
      assert.equal(1, polls)
      async.yield()
      async.yield()
      assert.equal(1, polls)
      waker:wake_by_ref()
      waker:wake_by_ref()
      async.yield()
      assert.equal(2, polls)
      waker:wake()
      assert.same({ n = 3, "a", nil, "b" }, table.pack(t:await()))
      assert.equal(3, polls)
    end)
  end)

  it("woken while it is being polled, is polled again", function()
    run(function()
      local polls = 0
      async.await(async.poll_fn(function(cx)
        polls = polls + 1
        if polls == 1000 then return "ready" end
        cx:waker():wake()
        return "pending"
      end))
      assert.equal(1000, polls)
    end)
  end)

  it("calls drop when given up before it was ready, and not after", function()
    run(function()
      local dropped = 0
      local function drop() dropped = dropped + 1 end
      local never = function() return "pending" end
      async.timeout(0.001, async.poll_fn(never, drop))
      assert.equal(1, dropped)
      async.await(async.poll_fn(function() return "ready" end, drop))
      assert.equal(1, dropped)
    end)
  end)

  it("refuses another answer, and an error in poll is raised at the await", function()
    run(function()
      local ok, e = pcall(async.await, async.poll_fn(function() return "maybe" end))
      assert.is_false(ok)
      assert.matches('"pending"', e)
      local mine = {}
      ok, e = pcall(async.await, async.poll_fn(function() error(mine) end))
      assert.is_false(ok)
      assert.equal(mine, e)
    end)
  end)

  it("cannot wait in poll or drop", function()
    run(function()
      local ok, e = pcall(async.await, async.poll_fn(function() async.sleep(0) return "ready" end))
      assert.is_false(ok)
      assert.matches("cannot wait", e)
      async.yield()
    end)
  end)

  it("has a context that is of no use after the poll", function()
    run(function()
      local kept
      async.await(async.poll_fn(function(cx) kept = cx return "ready" end))
      local ok, e = pcall(kept.waker, kept)
      assert.is_false(ok)
      assert.matches("waker", e)
    end)
  end)
end)

describe("a waker", function()
  it("tells whether it wakes the same task", function()
    run(function()
      local function waker()
        local w
        async.await(async.poll_fn(function(cx) w = cx:waker() return "ready" end))
        return w
      end
      local a, b = waker(), waker()
      local c = async.spawn(waker):await()
      assert.is_true(a:will_wake(b))
      assert.is_true(a:will_wake(a:clone()))
      assert.is_false(a:will_wake(c))
    end)
  end)

  it("does nothing once its task has ended, also after the run", function()
    local kept
    run(function()
      kept = async.spawn(function()
        local w
        async.await(async.poll_fn(function(cx) w = cx:waker() return "ready" end))
        return w
      end):await()
      kept:wake_by_ref()
      async.yield()
    end)
    kept:clone():wake()
    kept:wake()
    local ok, e = pcall(kept.wake, kept)
    assert.is_false(ok)
    assert.matches("consumed", e)
  end)
end)

describe("a future written in C", function()
  local counter, delay = require "counter_future", require "delay_future"

  it("is awaited like any other", function()
    run(function()
      assert.equal(1000, counter.count(1000))
      local f = counter.future(3)
      assert.equal(3, f:await())
      assert.equal(2, async.timeout(100, counter.future(2)))
    end)
  end)

  it("may be woken by another thread, and is no deadlock meanwhile", function()
    run(function()
      assert.equal("Timer Complete!", delay.wait(0.01))
      local ready = false
      async.await(async.poll_fn(function(cx)
        if ready then return "ready" end
        ready = true
        delay.wake_after(0.01, cx:waker())
        return "pending"
      end))
    end)
  end)

  -- Until the threads that f leaves have ended: they wake what is gone, in code that is
  -- unloaded when the process ends.
  local function and_its_threads(f)
    local before = sys.threads()
    run(f)
    run(function()
      while sys.threads() > before do async.sleep(0.001) end
    end)
  end

  it("is dropped when it is given up, with its thread still to come", function()
    and_its_threads(function()
      async.time.pause() -- which the thread does not see
      for _ = 1, 20 do assert.is_nil((async.timeout(0.001, delay.wait, 0.2))) end
    end)
  end)

  it("outlives the run with its waker, harmlessly", function()
    and_its_threads(function() async.spawn(delay.wait, 0.02) async.yield() end)
  end)

  it("cannot be awaited where no task can be suspended", function()
    assert.is_false(pcall(counter.count, 3))
    run(function() assert.is_false(pcall(coroutine.wrap(counter.count), 3)) end)
  end)
end)
