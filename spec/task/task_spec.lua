-- Tasks: order, results, errors, awaiting, names, reports.
local async = require "lua_async"
local support = require "spec.support"
local run = async.run

describe("a task", function()
  it("starts at the next turn, in the order of spawning, never inside the caller", function()
    support.in_order(function()
      local log = {}
      for i = 1, 3 do async.spawn(function() log[#log + 1] = i end) end
      assert.same({}, log)
      async.yield()
      assert.same({ 1, 2, 3 }, log)
    end)
  end)

  it("gives all its results to any number of awaiters, before and after its end", function()
    run(function()
      local t = async.spawn(function(a, b) async.sleep(0.001) return a, nil, b end, 1, 2)
      local seen = 0
      local waiting = {}
      for i = 1, 100 do
        waiting[i] = async.spawn(function()
          assert.same({ n = 3, 1, nil, 2 }, table.pack(t:await()))
          seen = seen + 1
        end)
      end
      for i = 1, 100 do waiting[i]:await() end
      assert.equal(100, seen)
      assert.same({ n = 3, 1, nil, 2 }, table.pack(t:await()))
      assert.same({ n = 0 }, table.pack(async.spawn(function() end):await()))
    end)
  end)

  it("wakes its awaiters in the order in which they came", function()
    support.in_order(function()
      local log = {}
      local t = async.spawn(function() async.sleep(0.001) end)
      local w = {}
      for i = 1, 5 do w[i] = async.spawn(function() t:await() log[#log + 1] = i end) end
      for i = 1, 5 do w[i]:await() end
      assert.same({ 1, 2, 3, 4, 5 }, log)
    end)
  end)

  it("raises what it raised, by identity, in each awaiter", function()
    run(function()
      local e = {}
      local t = async.spawn(function() async.yield() error(e) end)
      local ok, got = pcall(t.await, t)
      assert.is_false(ok)
      assert.equal(e, got)
      ok, got = pcall(t.await, t)
      assert.is_false(ok)
      assert.equal(e, got)
      assert.equal("failed", t:status())
    end)
  end)

  it("shows the raise, every await and every spawn in the traceback", function()
    local _, text = pcall(run, function()
      local inner = async.spawn(function()
        async.yield()
        local function deepest() error("deep") end
        deepest()
      end)
      local middle = async.spawn(function() return (inner:await()) end)
      middle:await()
    end)
    assert.matches("deep", text)
    assert.matches("in local 'deepest'", text)
    local spawned = select(2, text:gsub("spawned at [^\n]*task_spec.lua:%d+", ""))
    local awaited = select(2, text:gsub("awaited at", ""))
    assert.equal(3, spawned)
    assert.equal(2, awaited)
  end)

  it("has an id, a name and a status that follow its life", function()
    run(function()
      local t
      local gate = support.gate()
      t = async.spawn(function()
        assert.equal("running", t:status())
        gate.wait()
      end)
      assert.equal("ready", t:status())
      assert.equal(t.id + 1, async.spawn(function() end).id)
      assert.is_nil(t:name())
      assert.equal(t, t:name("worker"))
      assert.equal("worker", t:name())
      assert.matches("worker", tostring(t))
      async.yield()
      assert.equal("waiting", t:status())
      gate.open()
      assert.equal("ready", t:status())
      t:await()
      assert.equal("done", t:status())
    end)
  end)

  it("is async.current() inside of it, and there is none outside", function()
    assert.is_nil(async.current())
    run(function()
      local t = async.spawn(function() return async.current() end)
      assert.equal(t, t:await())
    end)
  end)

  it("cannot await itself", function()
    run(function()
      local t
      t = async.spawn(function() return pcall(t.await, t) end)
      local ok, e = t:await()
      assert.is_false(ok)
      assert.matches("await itself", e)
    end)
  end)

  it("tells on_error of a failure that nobody awaits, once, with its traceback", function()
    local got = {}
    local before = async.on_error(function(e, traceback, task)
      got[#got + 1] = { e, traceback, task:name() }
    end)
    run(function()
      local e = {}
      async.spawn(function() error(e) end):name("lost")
      while #got == 0 do async.yield() end
      assert.equal(1, #got)
      assert.equal(e, got[1][1])
      assert.matches("task_spec.lua", got[1][2])
      assert.equal("lost", got[1][3])
      local t = async.spawn(function() error "awaited" end)
      pcall(t.await, t)
      assert.equal(1, #got)
      async.spawn(function() async.sleep(1000) end):cancel()
      async.yield()
      assert.equal(1, #got)
    end)
    async.on_error(before)
  end)

  it("writes the traceback to stderr without a handler #process", function()
    local script = [[
      local async = require "lua_async"
      async.run(function() async.spawn(function() error("nobody cares") end) async.sleep(0.01) end)]]
    local p = assert(io.popen("lua5.4 -e '" .. script .. "' 2>&1"))
    local out = p:read("a")
    assert.is_true(p:close())
    assert.matches("task 2 failed: .*nobody cares", out)
    assert.matches("spawned at", out)
  end)

  it("is listed by async.dump with its state, what it waits for, and where it stands", function()
    run(function()
      local t = async.spawn(function() async.sleep(1000) end):name("sleeper")
      local j = async.spawn(function() t:await() end)
      async.yield()
      local d = async.dump()
      assert.matches("task 1: running", d)
      assert.matches("'sleeper': waiting, waits for sleep, spawned at [^\n]*task_spec.lua:%d+", d)
      assert.matches("waits for task " .. t.id, d)
      t:cancel()
      j:cancel()
    end)
  end)

  it("leaves nothing when a million have run #large", function()
    run(function()
      collectgarbage()
      local count, before = 0, collectgarbage("count")
      local function work() count = count + 1 end
      for _ = 1, 1000 do
        for _ = 1, 1000 do async.spawn(work) end
        async.yield()
      end
      async.yield()
      assert.equal(1000000, count)
      collectgarbage()
      assert.is_true(collectgarbage("count") - before < 10000)
    end)
  end)

  it("refuses a plain coroutine.yield, and unwinds", function()
    run(function()
      local closed = false
      local t = async.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        coroutine.yield()
        return "not reached"
      end)
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches("async.yield", e)
      assert.is_true(closed)
    end)
  end)
end)
