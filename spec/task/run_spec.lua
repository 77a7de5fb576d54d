-- async.run: results, errors, what it leaves behind, where it refuses.
local async = require "lua_async"

describe("async.run", function()
  it("passes arguments in and all results out, nils among them", function()
    local r = table.pack(async.run(function(...)
      async.sleep(0)
      return select("#", ...), nil, ..., nil
    end, "a", nil))
    assert.same({ n = 4, 2, nil, "a", nil }, r)
  end)

  it("takes a Future as its root", function()
    assert.equal(7, async.run(async.future(function(x) return x end, 7)))
  end)

  it("may run again, after success and after failure", function()
    assert.equal(1, async.run(function() return 1 end))
    assert.is_false(pcall(async.run, function() error "x" end))
    assert.equal(2, async.run(function() async.sleep(0.001) return 2 end))
  end)

  it("raises the root's error: a table by identity, a string with its traceback", function()
    local e = setmetatable({}, { __tostring = function() return "mine" end })
    local ok, got = pcall(async.run, function() error(e) end)
    assert.is_false(ok)
    assert.equal(e, got)
    local _, text = pcall(async.run, function()
      async.yield()
      error("boom")
    end)
    assert.matches("run_spec.lua:%d+: boom\n", text)
    assert.matches("spawned at .*run_spec.lua:%d+", text)
  end)

  it("runs inside a plain coroutine", function()
    local co = coroutine.wrap(function()
      local v = async.run(function() async.sleep(0.001) return "in" end)
      coroutine.yield(v)
      return "end"
    end)
    assert.equal("in", co())
    assert.equal("end", co())
  end)

  it("refuses to nest, and the task goes on", function()
    async.run(function()
      local ok, e = pcall(async.run, function() end)
      assert.is_false(ok)
      assert.matches("async.run cannot be called inside async.run", e)
      async.sleep(0)
    end)
  end)

  it("cancels what it leaves, and returns when that has unwound", function()
    local log = {}
    async.run(function()
      for i = 1, 3 do
        async.spawn(function()
          local _ <close> = setmetatable({}, { __close = function()
            async.shield(async.sleep, 0.001)
            log[#log + 1] = i
          end })
          async.sleep(1000)
        end)
      end
      async.yield()
    end)
    table.sort(log)
    assert.same({ 1, 2, 3 }, log)
  end)

  it("cancels what it leaves when the root fails, too", function()
    local closed = false
    assert.is_false(pcall(async.run, function()
      async.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        async.sleep(1000)
      end)
      async.yield()
      error "root"
    end))
    assert.is_true(closed)
  end)

  it("never begins a task that was spawned and not reached", function()
    local began = false
    async.run(function() async.spawn(function() began = true end) end)
    assert.is_false(began)
  end)

  it("reports a deadlock with the dump of every task", function()
    local ok, e = pcall(async.run, function()
      async.spawn(function() async.await(async.poll_fn(function() return "pending" end)) end)
        :name("stuck")
      async.await(async.poll_fn(function() return "pending" end))
    end)
    assert.is_false(ok)
    assert.equal("EDEADLK", e.code)
    assert.matches("deadlock", tostring(e))
    assert.matches("task 1", tostring(e))
    assert.matches("task 2 'stuck'", tostring(e))
    assert.matches("run_spec.lua:%d+", tostring(e))
  end)

  it("names the mend when used outside a runtime", function()
    for _, f in ipairs { async.sleep, async.yield } do
      local ok, e = pcall(f, 0)
      assert.is_false(ok)
      assert.matches("async.run", e)
    end
    assert.matches("async.run", select(2, pcall(async.spawn, print)))
  end)
end)
