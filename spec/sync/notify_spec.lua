-- Notify, barrier, once.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local run, spawn, sync = support.run, async.spawn, async.sync
local code, spin, begun = steps.code, steps.spin, steps.begun

describe("notify", function()
  it("keeps one notification for who comes later, however many there were", function()
    run(function()
      local n = sync.notify()
      n:notify_one()
      n:notify_one()
      assert.is_true(n:wait())
      local t = spawn(function() return n:wait() end)
      spin()
      assert.equal("waiting", t:status())
      n:notify_one()
      assert.is_true(t:await())
    end)
  end)

  it("keeps it from outside of a run, and from one run to the next", function()
    local n = sync.notify()
    n:notify_one()
    run(function() n:wait() end)
    run(function() n:notify_one() end)
    run(function() n:wait() end)
  end)

  it("wakes one after the other, in order", function()
    support.in_order(function()
      local n = sync.notify()
      local order = {}
      for i = 1, 3 do
        spawn(function()
          n:wait()
          order[#order + 1] = i
        end)
      end
      spin()
      n:notify_one()
      spin()
      assert.same({ 1 }, order)
      n:notify_one()
      n:notify_one()
      spin()
      assert.same({ 1, 2, 3 }, order)
    end)
  end)

  it("wakes all who wait, and keeps nothing for who comes later", function()
    run(function()
      local n = sync.notify()
      local woken = 0
      for _ = 1, 3 do
        spawn(function()
          n:wait()
          woken = woken + 1
        end)
      end
      spin()
      n:notify_all()
      local t = spawn(function() n:wait() end)
      spin()
      assert.equal(3, woken)
      assert.equal("waiting", t:status())
      n:notify_one()
      t:await()
    end)
  end)

  it("passes a notification on when the one who was chosen gives up", function()
    run(function()
      local n = sync.notify()
      local a = begun(n.wait, n)
      local b = spawn(function() return n:wait() end)
      spin()
      n:notify_one()
      assert.equal("waiting", b:status())
      a = nil
      collectgarbage()
      assert.is_true(b:await())
      local c = begun(n.wait, n)
      n:notify_one()
      c = nil
      collectgarbage()
      assert.is_nil(a or c)
      assert.is_true(n:wait()) -- kept, since nobody waited
    end)
  end)

  it("passes nothing on when the one who gives up was woken with all", function()
    run(function()
      local n = sync.notify()
      local a = begun(n.wait, n)
      n:notify_all()
      a = nil
      collectgarbage()
      assert.is_nil(a)
      assert.is_nil((async.timeout(0, n.wait, n)))
    end)
  end)

  it("loses no notification to a cancelled task", function()
    run(function()
      local n = sync.notify()
      local a, b = spawn(function() n:wait() end), spawn(function() n:wait() end)
      spin()
      a:cancel()
      spin()
      n:notify_one()
      b:await()
      assert.equal("cancelled", a:status())
    end)
  end)

  it("closed, fails who waits and who comes", function()
    run(function()
      local n = sync.notify()
      local t = spawn(function() return n:wait() end)
      spin()
      n:close()
      code("ECANCELED", t:await())
      code("EBADF", n:wait())
      code("EBADF", n:notify_one())
      code("EBADF", n:notify_all())
      n:close()
    end)
  end)
end)

describe("a barrier", function()
  it("lets all go when the last has come, who leads; again and again", function()
    run(function()
      local b = sync.barrier(3)
      for _ = 1, 3 do
        local leaders, tasks = 0, {}
        for i = 1, 3 do
          tasks[i] = spawn(function()
            if b:wait() then leaders = leaders + 1 end
            return i
          end)
          spin()
          assert.equal(i == 3 and "done" or "waiting", tasks[i]:status())
        end
        for i = 1, 3 do assert.equal(i, tasks[i]:await()) end
        assert.equal(1, leaders)
      end
    end)
  end)

  it("of one never waits", function()
    run(function()
      local b = sync.barrier(1)
      assert.is_true(b:wait())
      assert.is_true(b:wait())
    end)
  end)

  it("has one fewer to wait with when one gives up", function()
    run(function()
      local b = sync.barrier(2)
      local a = spawn(function() return b:wait() end)
      spin()
      a:cancel()
      spin()
      local c = spawn(function() return b:wait() end)
      spin()
      assert.equal("waiting", c:status())
      assert.is_true(b:wait())
      assert.is_false(c:await())
    end)
  end)

  it("makes who comes after the last wait for the next round", function()
    run(function()
      local b = sync.barrier(2)
      local first = spawn(function() return b:wait() end)
      spin()
      assert.is_true(b:wait())
      local next_round = spawn(function() return b:wait() end)
      spin()
      assert.is_false(first:await())
      assert.equal("waiting", next_round:status())
      next_round:cancel()
    end)
  end)

  it("closed, fails who waits and who comes; it needs a sensible count", function()
    run(function()
      local b = sync.barrier(2)
      local t = spawn(function() return b:wait() end)
      spin()
      b:close()
      code("ECANCELED", t:await())
      code("EBADF", b:wait())
      assert.has_error(function() sync.barrier(0) end)
      assert.has_error(function() sync.barrier() end)
    end)
  end)
end)

describe("once", function()
  it("runs a function once, and all get its results", function()
    run(function()
      local calls = 0
      local f = sync.once(function(a)
        calls = calls + 1
        async.yield()
        return a, nil, "z", nil
      end)
      local tasks = {}
      for i = 1, 4 do
        tasks[i] = spawn(function() return table.pack(f(i)) end)
        if i == 1 then async.yield() end
      end
      for i = 1, 4 do assert.same({ 1, nil, "z", nil, n = 4 }, tasks[i]:await()) end
      assert.same({ 1, nil, "z", nil, n = 4 }, table.pack(f(9)))
      assert.equal(1, calls)
      assert.matches("^Once: 0x", tostring(f))
    end)
  end)

  it("gives its results outside of a run, too, once it has them", function()
    local f = sync.once(function() return "x" end)
    assert.has_error(function() f() end)
    run(function() assert.equal("x", f()) end)
    assert.equal("x", f())
  end)

  it("raises an error to whom it ran for; the next tries again", function()
    support.in_order(function()
      local calls = 0
      local f = sync.once(function()
        calls = calls + 1
        async.yield()
        if calls < 3 then error({ calls }) end
        return calls
      end)
      local tasks = {}
      for i = 1, 4 do tasks[i] = spawn(function() return pcall(f) end) end
      for i = 1, 2 do
        local ok, e = tasks[i]:await()
        assert.is_false(ok)
        assert.same({ i }, e)
      end
      for i = 3, 4 do assert.same({ true, 3 }, { tasks[i]:await() }) end
      assert.equal(3, calls)
    end)
  end)

  it("lets the next try when the one who ran it is cancelled", function()
    run(function()
      local calls = 0
      local f = sync.once(function()
        calls = calls + 1
        if calls == 1 then async.sleep(1000) end
        return "ready"
      end)
      local a = spawn(f)
      spin()
      local b = spawn(f)
      spin()
      a:cancel()
      assert.equal("ready", b:await())
      assert.equal(2, calls)
    end)
  end)

  it("reports the deadlock of a function that calls itself through it", function()
    run(function()
      local f
      f = sync.once(function() return f() end)
      local ok, e = pcall(f)
      assert.is_false(ok)
      assert.matches("deadlock", e)
    end)
  end)

  it("closed before it ran, fails; closed afterwards, has its results", function()
    run(function()
      local f = sync.once(function() return 1 end)
      f:close()
      code("EBADF", f())
      f = sync.once(function() return 1 end)
      f()
      f:close()
      assert.equal(1, f())
      local g = sync.once(function() async.sleep(100) end)
      local t = spawn(g)
      spin()
      local u = spawn(function() return g() end)
      spin()
      g:close()
      code("ECANCELED", u:await())
      t:cancel()
      assert.has_error(function() sync.once(1) end)
    end)
  end)
end)
