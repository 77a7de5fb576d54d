-- What an arm of a join was given, or was about to be given, is not lost when the join fails, is
-- cancelled, or times out.
local async = require "lua_async"
local steps = require "spec.support.steps"
local future, join = async.future, async.join

-- Each gives up a join with `arm` in it, after its arm had what it waited for.
local ways = {
  fails = function(arm)
    assert.is_false(pcall(join, arm, function() error("another arm", 0) end))
  end,
  ["fails later"] = function(arm)
    assert.is_false(pcall(join, arm, function()
      steps.spin(3)
      error("another arm", 0)
    end))
  end,
  ["times out"] = function(arm)
    local r, err = async.timeout(1, join, arm, steps.forever)
    assert.is_nil(r)
    assert.equal("ETIMEDOUT", err.code)
  end,
  ["is cancelled"] = function(arm)
    local t = async.spawn(join, arm, steps.forever)
    steps.spin(3)
    t:cancel()
    assert.is_false(pcall(t.await, t))
  end,
  ["loses a select"] = function(arm)
    assert.equal("other", (async.select {
      join = function() return join(arm, steps.forever) end,
      other = steps.later(5),
    }))
  end,
}

local function connected()
  local l <close> = assert(async.net.listen("127.0.0.1", 0))
  local a = assert(async.net.connect("127.0.0.1", select(2, l:address())))
  return a, assert(l:accept())
end

for name, give_up in pairs(ways) do
  describe("a join that " .. name, function()
    it("gives back a message that was there, or came", function()
      steps.run(function()
        local tx, rx = async.channel(5)
        tx:send("m")
        give_up(future(rx.recv, rx))
        assert.equal("m", rx:try_recv())
        async.spawn(tx.send, tx, "n")
        give_up(future(rx.recv, rx))
        assert.equal("n", rx:recv())
        local b = async.sync.broadcast(4)
        local r = b:subscribe()
        b:send("m")
        give_up(future(r.recv, r))
        assert.equal("m", r:try_recv())
      end)
    end)

    it("has sent nothing", function()
      steps.run(function()
        local tx, rx = async.channel(5)
        give_up(future(tx.send, tx, "x"))
        assert.equal(0, #rx)
      end)
    end)

    it("holds no lock, permit or notice", function()
      steps.run(function()
        local m, s, n = async.sync.mutex(), async.sync.semaphore(1), async.sync.notify()
        give_up(future(m.lock, m))
        assert(m:try_lock()):unlock()
        give_up(future(s.acquire, s))
        assert.equal(1, s:available())
        n:notify_one()
        give_up(future(n.wait, n))
        assert.is_true(async.timeout(1, n.wait, n))
      end)
    end)

    it("leaves lines where they were, and nobody reading", function()
      async.run(function()
        local here, there = connected()
        local a <close> = here
        local b <close> = there
        a:write("one\ntwo\nthree\n")
        assert.equal("one", b:read("l"))
        async.time.pause()
        give_up(future(b.read, b, "l"))
        assert.equal("two", b:read("l"))
        give_up(future(b.read_exact, b, 3))
        assert.equal("three", b:read("l"))
      end)
    end)
  end)
end

describe("a combination that was begun by hand and is left to the collector", function()
  it("gives back what its arms had", function()
    steps.run(function()
      for _, combine in ipairs { async.select, join } do
        local tx, rx = async.channel(1)
        local begun = steps.begin(future(combine, { a = future(rx.recv, rx) }))
        tx:send("m")
        steps.spin()
        begun = nil
        collectgarbage()
        collectgarbage()
        assert.same({ nil, "m" }, { begun, (rx:try_recv()) })
      end
    end)
  end)
end)

describe("a Future that is ready in one join", function()
  it("is refused to another", function()
    steps.run(function()
      local fut = future(steps.value("x"))
      local t = async.spawn(join, fut, steps.forever)
      steps.spin()
      local e = steps.fails(join, fut)
      assert.matches("this future is already being awaited", tostring(e))
      t:cancel()
      pcall(t.await, t)
    end)
  end)
end)
