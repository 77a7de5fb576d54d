-- async.scope({ supervise = true }, …): tasks that fail are reported and cancel nobody.
local async = require "lua_async"
local support = require "spec.support"

-- What on_error is told, in order.
local function reports(f)
  local list = {}
  local before = async.on_error(function(err, _, task) list[#list + 1] = { err = err, task = task } end)
  local ok, err = pcall(support.run, f)
  async.on_error(before)
  assert(ok, err)
  return list
end

local supervised = { supervise = true }

describe("a scope that supervises", function()
  it("reports each failure, and lets the others and the body go on", function()
    local log = {}
    local told = reports(function()
      local result = async.scope(supervised, function(scope, word)
        scope:spawn(error, "first", 0)
        scope:spawn(function()
          async.yield()
          async.yield()
          log[#log + 1] = "other"
        end)
        async.yield()
        scope:spawn(error, "second", 0)
        async.yield()
        log[#log + 1] = "body"
        return word
      end, "result")
      assert.equal("result", result)
    end)
    table.sort(log)
    assert.same({ "body", "other" }, log)
    assert.equal("first", told[1].err:match("^%a+"))
    assert.equal("second", told[2].err:match("^%a+"))
    assert.equal(2, #told)
    assert.equal("failed", told[1].task:status())
  end)

  it("does not report a failure that a task awaits", function()
    local told = reports(function()
      async.scope(supervised, function(scope)
        local task = scope:spawn(error, "awaited", 0)
        assert.is_false((pcall(task.await, task)))
      end)
    end)
    assert.same({}, told)
  end)

  it("cancels everything, and raises, for an error of the body", function()
    local child
    local told = reports(function()
      local ok, err = pcall(async.scope, supervised, function(scope)
        child = scope:spawn(async.sleep, math.huge)
        async.yield()
        error("of the body", 0)
      end)
      assert.is_false(ok)
      assert.equal("of the body", err)
      assert.equal("cancelled", child:status())
    end)
    assert.same({}, told)
  end)

  it("waits for its tasks, and is cancelled with them", function()
    reports(function()
      local child
      local t = async.spawn(async.scope, supervised, function(scope)
        child = scope:spawn(async.sleep, math.huge)
      end)
      async.yield()
      async.yield()
      assert.equal("waiting", t:status())
      t:cancel()
      pcall(t.await, t)
      assert.same({ "cancelled", "cancelled" }, { t:status(), child:status() })
    end)
  end)

  it("takes its options first, and knows no others", function()
    support.run(function()
      assert.equal(1, async.scope({}, function() return 1 end))
      assert.equal(1, async.scope({ supervise = false }, function() return 1 end))
      assert.has_error(function() async.scope({ supervises = true }, print) end)
      assert.has_error(function() async.scope({ supervise = 1 }, print) end)
      assert.has_error(function() async.scope(supervised) end)
      local ok = pcall(async.scope, { supervise = false }, function(scope)
        scope:spawn(error, "x", 0)
        async.sleep(math.huge)
      end)
      assert.is_false(ok)
    end)
  end)
end)
