-- What is over, or fails, as it begins lets others have their turn; and what need not wait can be had
-- when the deadline has passed.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local each = require "spec.support.cancel_each"
local timeout = async.timeout

-- `f` again and again, until another task has had its turn.
local function yields_to_others(f)
  local others = false
  async.spawn(function() others = true end)
  for _ = 1, 10000 do
    f()
    if others then return true end
  end
end

describe("a loop around", function()
  it("what fails at once starves nobody", function()
    support.run(function()
      local listener = assert(async.net.listen("127.0.0.1", 0))
      listener:close()
      local once = async.sync.once(function() return "done" end)
      local m = async.sync.mutex()
      m:close()
      once()
      assert.is_true(yields_to_others(function()
        local r, err = listener:accept()
        assert.is_nil(r)
        assert.equal("EBADF", err.code)
      end))
      assert.is_true(yields_to_others(function() assert.equal("done", once()) end))
      assert.is_true(yields_to_others(function() assert.is_nil((m:lock())) end))
      local failed = async.spawn(error, "failed", 0)
      pcall(failed.await, failed)
      assert.is_true(yields_to_others(function() assert.is_false(pcall(failed.await, failed)) end))
    end)
    assert.equal(7, async.run(async.sync.once(function() return 7 end)))
  end)

  it("a poll by a timeout of 0 starves nobody #large", function()
    support.run(function()
      local _, rx = async.channel(1)
      for _, wait in ipairs {
        function() return rx:recv() end,
        function() async.sleep(1) end,
        async.yield,
        function() async.join(steps.forever) end,
        function() async.scope(steps.forever) end,
        function() async.map({ 1 }, steps.forever) end,
        function() async.await(async.poll_fn(steps.never)) end,
        function() async.await(async.future(steps.forever)) end,
      } do
        assert.is_true(yields_to_others(function()
          local _, err = timeout(0, wait)
          assert.equal("ETIMEDOUT", err.code)
        end))
      end
    end)
  end)

  it("cancellation that is caught starves nobody", function()
    support.run(function()
      local turns = 0
      local t = async.spawn(function()
        pcall(steps.forever)
        turns = yields_to_others(function()
          local ok, e = pcall(async.sleep, 1)
          assert.is_true(not ok and async.is_cancelled(e))
        end)
      end)
      async.yield()
      t:cancel()
      t:await()
      assert.is_true(turns)
    end)
  end)
end)

describe("a deadline that has passed", function()
  it("leaves what need not wait", function()
    support.run(function()
      local tx, rx = async.channel(1)
      tx:send("there")
      assert.equal("there", timeout(0, rx.recv, rx))
      assert.is_true(timeout(0, tx.send, tx, "again"))
      assert.equal("again", async.deadline(async.now() - 1, rx.recv, rx))
      local t = async.spawn(steps.value("ended"))
      async.yield()
      assert.equal("ended", timeout(0, t))
      assert.equal(5, timeout(0, async.poll_fn(function() return "ready", 5 end)))
      assert.equal(6, timeout(0, async.future(steps.value(6))))
      assert.equal(7, timeout(0, async.await, steps.value(7)))
      local m <close> = async.sync.mutex()
      local guard <close> = assert(timeout(0, m.lock, m))
      assert.is_truthy(guard)
    end)
  end)

  it("does not begin what it would have to wait for", function()
    support.run(function()
      local folder = support.folder()
      local _ <close> = each.guard(support.clean)
      local _, err = timeout(0, async.fs.mkdir, folder .. "/d")
      assert.equal("ETIMEDOUT", err.code)
      assert.equal("at once", timeout(0, async.join, steps.value("at once")))
      _, err = timeout(0, async.join, steps.forever)
      assert.equal("ETIMEDOUT", err.code)
      async.sleep(0)
      assert.is_nil((async.fs.stat(folder .. "/d")))
    end)
  end)

  it("ends a loop of what need not wait", function()
    support.run(function()
      local tx, rx = async.channel(1)
      local n = 0
      local _, err = timeout(0, function()
        while n < 10000 do
          tx:send(n)
          n = rx:recv() + 1
        end
      end)
      assert.equal("ETIMEDOUT", err.code)
    end)
  end)

  it("ends a loop of what fails, or is ready, as it begins", function()
    support.run(function()
      local tx, rx = async.channel(1)
      rx:close()
      local m = async.sync.mutex()
      m:close()
      local over = async.spawn(steps.value(1))
      async.yield()
      for _, step in ipairs {
        function() tx:send(1) end,
        function() m:lock() end,
        function() over:await() end,
        function() async.await(async.poll_fn(function() return "ready" end)) end,
      } do
        local n = 0
        local _, err = timeout(0, function()
          for _ = 1, 100000 do
            step()
            n = n + 1
          end
        end)
        assert.equal("ETIMEDOUT", err.code)
        assert.is_true(n > 0 and n <= 1000)
      end
    end)
  end)

  it("is no excuse for a task that is cancelled", function()
    steps.run(function()
      local tx, rx = async.channel(1)
      tx:send("kept")
      local t = async.spawn(function()
        pcall(async.sleep, 5)
        return timeout(0, rx.recv, rx)
      end)
      async.yield()
      t:cancel()
      assert.is_true(support.was_cancelled(steps.fails(t.await, t)))
      assert.equal("kept", rx:try_recv())
    end)
  end)
end)
