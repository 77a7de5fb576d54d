-- What a shield waits for as the run, or the Loop, ends: it goes on as it does when its task is cancelled.
local async = require "lua_async"
local steps = require "spec.support.steps"
local each = require "spec.support.cancel_each"

-- Runs `clean` in a shield, in a <close> handler of a task that the end of the run cuts off.
local function at_end(clean, also)
  local result
  steps.run(function()
    async.spawn(function()
      local _ <close> = each.guard(function()
        result = table.pack(pcall(async.shield, clean))
      end)
      steps.forever()
    end)
    if also then also() end
    async.yield()
  end)
  assert.is_truthy(result, "the clean-up did not end")
  return table.unpack(result, 1, result.n)
end

local function work(x)
  async.sleep(1)
  return x
end

describe("a shield at the end of a run", function()
  it("has its maps, scopes, joins and tasks", function()
    local ok, map, scope, join, task = at_end(function()
      local done = 0
      local map = async.map({ 1, 2, 3 }, work)
      async.scope(function(s)
        for _ = 1, 3 do
          s:spawn(function()
            work()
            done = done + 1
          end)
        end
      end)
      return #map, done, (async.join(function() return work("joined") end)), async.spawn(work, "spawned"):await()
    end)
    assert.is_true(ok)
    assert.same({ 3, 3, "joined", "spawned" }, { map, scope, join, task })
  end)

  it("has work on other threads", function()
    local ok, n = at_end(function()
      async.time.resume()
      return async.thread.spawn_blocking(function() return 5 end):await()
    end)
    assert.is_true(ok)
    assert.equal(5, n)
  end)

  it("polls its Futures on", function()
    local ok, x = at_end(function()
      local fut = async.future(work, "x")
      return async.await(async.poll_fn(function(cx) return fut:poll(cx) end))
    end)
    assert.is_true(ok)
    assert.equal("x", x)
  end)

  it("has their failures reported, of the first one as well", function()
    steps.told(function(list)
      assert.is_true(at_end(function()
        for i = 1, 3 do async.spawn(error, i, 0) end
        async.sleep(1)
      end))
      assert.equal(3, #list)
    end)
  end)

  it("is what its tasks live for, and no longer", function()
    local left
    assert.is_true(at_end(function()
      async.spawn(function()
        local _ <close> = each.guard(function() left = true end)
        steps.forever()
      end)
      async.sleep(1)
    end))
    assert.is_true(left)
  end)
end)

describe("the end of a run", function()
  it("ends what was begun and is nobody's, whatever that holds", function()
    local closed, m = 0, async.sync.mutex()
    local kept = {}
    assert.is_true(at_end(function() m:lock():unlock() end, function()
      kept[1] = steps.begin(async.future(function()
        local _ <close> = m:lock()
        steps.forever()
      end))
      kept[2] = steps.begin(async.future(function()
        local _ <close> = each.guard(function() closed = closed + 1 end)
        async.join(steps.forever, function() async.sleep(1000) end)
      end))
    end))
    assert.same({ 1, 2 }, { closed, #kept })
  end)

  it("is the same for a Loop", function()
    local loop, result = async.loop()
    loop:spawn(function()
      local _ <close> = each.guard(function()
        local function add_one(x) return x + async.spawn(steps.value(1)):await() end
        result = async.shield(async.map, { 1, 2 }, add_one)
      end)
      steps.forever()
    end)
    loop:turn()
    loop:close()
    assert.same({ 2, 3 }, result)
  end)
end)
