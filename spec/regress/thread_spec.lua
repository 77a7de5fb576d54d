-- Lua threads that the runtime uses are in the program's reach, too: coroutine.running().
local async = require "lua_async"
local support = require "spec.support"
local run, co = support.run, async.coroutine

-- The thread of a task that has ended.
local function ended()
  local thread
  async.spawn(function() thread = coroutine.running() end):await()
  return thread
end

-- Polls a Future once, by hand.
local function poll(f)
  async.poll_fn(function(cx)
    f:poll(cx)
    return "ready"
  end):await()
end

describe("the thread of a task that has ended #seldom", function()
  it("may be closed or resumed, and serves nobody after", function()
    run(function()
      for _ = 1, 5 do
        assert.is_true(coroutine.close(ended()))
        assert.equal("r", async.spawn(function() return "r" end):await())
        coroutine.resume(ended())
        assert.equal("r", async.spawn(function() return "r" end):await())
        local thread
        async.poll_fn(function() thread = coroutine.running() return "ready" end):await()
        coroutine.close(thread)
        assert.equal("v", async.poll_fn(function() return "ready", "v" end):await())
      end
    end)
  end)

  it("has no hook of it left for the next", function()
    run(function()
      async.spawn(function() debug.sethook(function() error("limit") end, "", 1000) end):await()
      local sum = async.spawn(function()
        local n = 0
        for i = 1, 1e5 do n = n + i end
        return n
      end):await()
      assert.equal(5000050000, sum)
    end)
  end)

  it("keeps its own hook over a stray yield", function()
    run(function()
      debug.sethook(function() end, "l")
      pcall(function()
        coroutine.yield()
        local _ = 1
      end)
      assert.is_truthy(debug.gethook())
      debug.sethook()
    end)
  end)
end)

describe("the thread of a poll function #seldom", function()
  it("that is closed while it is pending ends it with an error", function()
    run(function()
      for _, touch in ipairs { coroutine.close, coroutine.resume } do
        local thread, waker, drops = nil, nil, 0
        local t = async.spawn(function()
          async.poll_fn(function(cx)
            thread, waker = coroutine.running(), cx:waker()
            return "pending"
          end, function() drops = drops + 1 end):await()
        end)
        async.yield()
        touch(thread)
        waker:wake()
        local ok, err = pcall(t.await, t)
        assert.is_false(ok)
        assert.matches("the coroutine of a poll function was closed or resumed", err)
        assert.equal(0, drops)
      end
    end)
  end)
end)

describe("a coroutine #seldom", function()
  local function waiting()
    local thread = co.create(function()
      async.join(function() async.sleep(0.002) end, function() async.sleep(0.003) end)
    end)
    local t = async.spawn(function() return co.resume(thread) end)
    async.yield()
    return thread, t
  end

  it("may be closed by what runs while the runtime closes another", function()
    run(function()
      local thread, t = waiting()
      local f = async.future(function()
        local _ <close> = setmetatable({}, { __close = function() coroutine.close(thread) end })
        async.sleep(10)
      end)
      poll(f)
      f = nil
      for _ = 1, 3 do collectgarbage() end
      async.sleep(0.01)
      assert.is_false((t:await()))
    end)
  end)

  it("that waits in one task is not resumed by another", function()
    support.in_order(function()
      local thread, t = waiting()
      local ok, err = co.resume(thread)
      assert.is_false(ok)
      assert.equal("cannot resume a coroutine that waits in another task", err)
      assert.is_true(t:await())

      local function source() for i = 1, 3 do async.sleep(0.001) co.yield(i) end end
      local generator = co.wrap(function()
        for v in co.wrap(source) do co.yield(v * 10) end
      end)
      local first, failed
      async.join(function() first = async.timeout(10, generator) end,
        function() failed = select(2, pcall(generator)) end)
      assert.equal(10, first)
      assert.matches("waits in another task", failed)
      assert.equal(20, generator())
    end)
  end)

  it("of the library's is refused, with what to do", function()
    run(function()
      for _, thread in ipairs { coroutine.create(print), (coroutine.wrap(coroutine.running)()) } do
        local ok, err = co.resume(thread)
        assert.is_false(ok)
        assert.matches(coroutine.status(thread) == "dead" and "dead" or "async.coroutine.create", err)
      end
      local begun = coroutine.create(function() coroutine.yield() end)
      coroutine.resume(begun)
      assert.matches("async.coroutine.create", select(2, co.resume(begun)))
      assert.matches("non%-suspended", select(2, co.resume((coroutine.running()))))
    end)
  end)

  it("that has ended is dead", function()
    local function all()
      local thread, values = co.create(function(...) for i = 1, 3 do co.yield(i) end return ... end), {}
      local first = true
      while co.status(thread) ~= "dead" do
        values[#values + 1] = select(2, co.resume(thread, first and "end" or nil))
        first = false
      end
      assert.same({ 1, 2, 3, "end" }, values)
      assert.same({ false, "cannot resume dead coroutine" }, { co.resume(thread) })
      assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(thread) })
      local once = co.wrap(function() return 1 end)
      assert.equal(1, once())
      assert.error_matches(once, "cannot resume dead coroutine")
    end
    all()
    run(all)
  end)

  it("that fails tells where", function()
    run(function()
      local function raises() error("deep") end
      local t = async.spawn(function()
        co.wrap(function() async.spawn(raises):await() end)()
      end)
      local report
      local old = async.on_error(function(_, traceback) report = traceback end)
      while t:status() ~= "failed" do async.yield() end
      async.on_error(old)
      assert.matches("'raises'.*awaited at.*awaited at", (report:gsub("in function <[^>]*>", "'raises'", 1)))
    end)
  end)
end)
