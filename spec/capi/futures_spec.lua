-- join and select of a C module's own futures: spec/support/combined.c.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local run = support.run

assert(os.execute("sh spec/support/build"))
local c = assert(package.loadlib("build/spec/combined.so", "luaopen_combined"))()

describe("the C face's join", function()
  before_each(function() c.dropped() end)

  it("is ready when all are, each polled by its own wakes, and their outputs are there", function()
    run(function()
      assert.same({ 1, 4, 2 }, { c.join(0, 3, 1) })
      assert.same({}, { c.join() })
      assert.equal(3, c.dropped())
    end)
  end)

  it("drops all when it is cancelled, and when its run ends", function()
    run(function()
      local t = async.spawn(c.join, 0, -1, 2)
      steps.spin()
      t:cancel()
      assert.is_false(pcall(t.await, t))
      assert.equal(3, c.dropped())
      async.spawn(c.join, -1, -1)
      steps.spin()
    end)
    assert.equal(2, c.dropped())
  end)

  it("is shown by a dump, with what each waits for", function()
    run(function()
      async.spawn(c.join, -1, -1)
      steps.spin()
      local text = async.dump()
      assert.matches("waits for join", text)
      assert.matches("task %d+, arm 2 of join: waiting, waits for countdown", text)
    end)
  end)

  it("raises outside of a run, and gives up what it was given", function()
    assert.matches("outside a runtime", select(2, pcall(c.join, 1, 1)))
    assert.equal(2, c.dropped())
  end)
end)

describe("the C face's select", function()
  before_each(function() c.dropped() end)

  it("tells the winner, when the losers are dropped", function()
    run(function()
      assert.same({ 2, 2 }, { c.select(5, 1, -1) })
      assert.equal(3, c.dropped())
      local winners = {}
      for _ = 1, 200 do winners[c.select(0, 0, 0)] = true end
      assert.same({ true, true, true }, winners)
    end)
  end)

  it("of none raises", function()
    run(function() assert.matches("empty select", select(2, pcall(c.select))) end)
  end)

  it("is an arm of Lua's own", function()
    run(function()
      assert.same({ "b", 1, 1 }, { async.select { a = function() c.select(-1, -1) end,
        b = function() return c.select(1, 9) end } })
    end)
    assert.equal(4, c.dropped())
  end)
end)
