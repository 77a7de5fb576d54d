-- Cancellation: raised at the await, level-triggered, unwinding; timeouts, deadlines, shields.
local async = require "lua_async"
local support = require "spec.support"
local run, sleep, spawn = async.run, async.sleep, async.spawn

local function guard(f) return setmetatable({}, { __close = f }) end

describe("cancellation", function()
  it("raises at the await; is_cancelled tells it; <close> has run when await returns", function()
    run(function()
      local closed, seen = false, nil
      local t = spawn(function()
        local _ <close> = guard(function(_, e) closed, seen = true, e end)
        sleep(1000)
      end)
      async.yield()
      assert.is_true(t:cancel())
      assert.is_false(t:cancel())
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.is_true(support.was_cancelled(e))
      assert.is_true(closed)
      assert.is_true(async.is_cancelled(seen))
      assert.equal("cancelled", t:status())
      assert.is_false(async.is_cancelled("x"))
    end)
  end)

  it("never begins what was cancelled before it began", function()
    run(function()
      local began = false
      local t = spawn(function() began = true end)
      t:cancel()
      assert.is_false(pcall(t.await, t))
      assert.is_false(began)
      assert.equal("cancelled", t:status())
    end)
  end)

  it("is raised again at the next await when it was caught", function()
    run(function()
      local raised = 0
      local t = spawn(function()
        for _ = 1, 3 do
          local ok, e = pcall(sleep, 1000)
          if not ok and async.is_cancelled(e) then raised = raised + 1 end
        end
        return "went on"
      end)
      async.yield()
      t:cancel()
      assert.equal("went on", t:await())
      assert.equal(3, raised)
      assert.equal("done", t:status())
    end)
  end)

  it("does not lose what became ready in the same turn", function()
    run(function()
      local inner = spawn(function() return "value" end)
      local got
      local t = spawn(function()
        async.yield()
        got = inner:await()
        sleep(1000)
      end)
      local gate = spawn(function() async.yield() end)
      gate:await()
      t:cancel()
      pcall(t.await, t)
      assert.equal("value", got)
    end)
  end)

  it("lets <close> wait inside of a shield, and only there", function()
    run(function()
      local log = {}
      local t = spawn(function()
        local _ <close> = guard(function()
          log[#log + 1] = pcall(sleep, 0.001)
          async.shield(function()
            sleep(0.001)
            log[#log + 1] = "shielded"
          end)
        end)
        sleep(1000)
      end)
      async.yield()
      t:cancel()
      pcall(t.await, t)
      assert.same({ false, "shielded" }, log)
    end)
  end)

  it("takes effect after the shield", function()
    run(function()
      local log = {}
      local t = spawn(function()
        log[1] = async.shield(function() sleep(0.002) return "whole" end)
        sleep(1000)
        log[2] = "too far"
      end)
      async.yield()
      t:cancel()
      assert.is_false(pcall(t.await, t))
      assert.same({ "whole" }, log)
    end)
  end)

  it("passes through an awaited future's coroutine, which unwinds first", function()
    run(function()
      local log = {}
      local fut = async.future(function()
        local _ <close> = guard(function()
          async.shield(sleep, 0.001)
          log[#log + 1] = "inner"
        end)
        sleep(1000)
      end)
      local t = spawn(function()
        local _ <close> = guard(function() log[#log + 1] = "outer" end)
        async.await(async.poll_fn(function(cx) return fut:poll(cx) end))
      end)
      async.yield()
      async.yield()
      t:cancel()
      pcall(t.await, t)
      local told
      async.on_error(function(e) told = e end)
      fut = nil
      collectgarbage()
      async.on_error()
      assert.equal("outer", log[1])
      assert.matches("cannot wait here", told) -- its guard could not sleep: nobody polls it
    end)
  end)
end)

describe("timeout", function()
  it("returns the results when they come in time", function()
    run(function()
      assert.same({ n = 3, 1, nil, 3 }, table.pack(async.timeout(100, function(...) return ... end, 1, nil, 3)))
      assert.equal(5, async.timeout(100, async.future(function() sleep(0.001) return 5 end)))
      assert.equal(6, async.timeout(100, spawn(function() return 6 end)))
    end)
  end)

  it("returns nil and ETIMEDOUT, after it has unwound", function()
    run(function()
      local closed = false
      local v, e = async.timeout(0.001, function()
        local _ <close> = guard(function() async.shield(sleep, 0.002) closed = true end)
        sleep(1000)
      end)
      assert.is_nil(v)
      assert.equal("ETIMEDOUT", e.code)
      assert.is_true(closed)
      sleep(0.001) -- the task itself is not cancelled
    end)
  end)

  it("lets an error through by identity", function()
    run(function()
      local e = {}
      local ok, got = pcall(async.timeout, 100, function() sleep(0.001) error(e) end)
      assert.is_false(ok)
      assert.equal(e, got)
    end)
  end)

  it("nests: the outer one wins when both have passed", function()
    run(function()
      local inner_returned = false
      local _, e = async.timeout(0.002, function()
        async.timeout(0.001, function()
          local _ <close> = guard(function() async.shield(sleep, 0.005) end)
          sleep(1000)
        end)
        inner_returned = true
      end)
      assert.equal("ETIMEDOUT", e.code)
      assert.is_false(inner_returned)
    end)
  end)

  it("nests: the inner one ends alone when only it has passed", function()
    run(function()
      local r = table.pack(async.timeout(10, function()
        local _, e = async.timeout(0.001, sleep, 1000)
        return e.code, "outer went on"
      end))
      assert.same({ n = 2, "ETIMEDOUT", "outer went on" }, r)
    end)
  end)

  it("gives way to the cancellation of the task", function()
    run(function()
      async.time.pause()
      local after = false
      local t = spawn(function()
        async.timeout(1, function() pcall(sleep, 1000) sleep(1000) end)
        after = true
      end)
      async.yield()
      t:cancel()
      async.time.advance(2) -- both in one turn
      assert.is_false(pcall(t.await, t))
      assert.is_false(after)
    end)
  end)

  it("of no time at all still runs what never waits", function()
    run(function()
      assert.equal("done", async.timeout(0, function() return "done" end))
      assert.is_nil((async.timeout(0, sleep, 1)))
    end)
  end)

  it("leaves no timer behind", function()
    run(function()
      for _ = 1, 1000 do async.timeout(1000, function() end) end
      for _ = 1, 10 do pcall(async.timeout, 1000, function() error "x" end) end
    end) -- a timer left would keep the run from ending
    assert.is_false(pcall(run, function()
      async.timeout(1000, function() end)
      async.await(async.poll_fn(function() return "pending" end)) -- only a deadlock if none is left
    end))
  end)

  it("refuses nonsense", function()
    run(function()
      assert.is_false(pcall(async.timeout, "x", function() end))
      assert.is_false(pcall(async.timeout, 0 / 0, function() end))
      assert.is_false(pcall(async.timeout, 1))
      assert.is_false(pcall(async.timeout, 1, 5))
    end)
  end)
end)

describe("deadline", function()
  it("is a timeout at a time of async.now", function()
    run(function()
      local _, e = async.deadline(async.now() + 0.001, sleep, 1000)
      assert.equal("ETIMEDOUT", e.code)
      assert.equal(1, async.deadline(async.now() + 100, function() return 1 end))
      assert.equal(1, async.deadline(math.huge, function() return 1 end))
    end)
  end)
end)
