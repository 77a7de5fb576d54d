-- The virtual clock: it stands still, jumps to the next timer when every task waits, and
-- moves when it is told to.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local run, time = async.run, async.time

local function near(expected, actual)
  assert.is_true(math.abs(expected - actual) < 1e-6, ("%.9f, not %.9f"):format(actual, expected))
end

describe("a paused clock", function()
  it("stands still while tasks are busy", function()
    run(function()
      assert.is_true(time.pause())
      assert.is_false(time.pause())
      local t0 = async.now()
      local deadline = os.clock() + 0.01
      while os.clock() < deadline do async.yield() end
      assert.equal(t0, async.now())
    end)
  end)

  it("jumps to the next timer when every task waits, and a century takes no time", function()
    run(function()
      time.pause()
      local t0, seen = async.now(), {}
      local function sleeper(s)
        return async.spawn(function()
          async.sleep(s)
          seen[#seen + 1] = { s, async.now() - t0 }
        end)
      end
      local tasks = {}
      for _, s in ipairs { 3600, 0.001, 86400 * 36525, 1.1, 0.3, 5 } do tasks[#tasks + 1] = sleeper(s) end
      for _, t in ipairs(tasks) do t:await() end
      local last = 0
      for _, pair in ipairs(seen) do
        near(pair[1], pair[2])
        assert.is_true(pair[1] > last)
        last = pair[1]
      end
      assert.equal(6, #seen)
    end)
  end)

  it("is the clock of timeouts, too: the shorter wins, each time", function()
    run(function()
      time.pause()
      for _ = 1, 100 do
        local ok, e = async.timeout(0.002, async.sleep, 0.003)
        assert.is_nil(ok)
        assert.equal("ETIMEDOUT", e.code)
        assert.equal("slept", async.timeout(0.003, function()
          async.sleep(0.002)
          return "slept"
        end))
      end
    end)
  end)

  it("does not jump over what is on its way: files and sockets come first", function()
    run(function()
      time.pause()
      local listener <close> = assert(async.net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local server = async.spawn(function()
        local conn <close> = assert(listener:accept())
        for line in conn:lines("L") do assert(conn:write(line)) end
      end)
      for _ = 1, 20 do
        assert(async.timeout(0.001, async.fs.read_file, "README.md"))
        assert(async.timeout(0.001, async.fs.stat, "README.md"))
      end
      local conn <close> = assert(async.net.connect("127.0.0.1", port))
      for i = 1, 20 do
        assert(conn:write(i .. "\n"))
        assert.equal(tostring(i), async.timeout(1, conn.read, conn, "l"))
      end
      conn:close()
      server:await()
    end)
  end)

  it("knows a deadlock when it sees one", function()
    local ok, e = pcall(async.run, function()
      time.pause()
      async.sleep(10)
      async.await(async.poll_fn(function() return "pending" end))
    end)
    assert.is_false(ok)
    assert.equal("EDEADLK", e.code)
  end)

  it("is the run's own: the next one begins with the real clock", function()
    run(function() time.pause() end)
    run(function()
      assert.is_true(time.pause())
      assert.is_true(time.resume())
    end)
  end)
end)

describe("advance", function()
  it("moves the clock, and those who were due have run when it returns", function()
    support.in_order(function()
      time.pause()
      local t0, order = async.now(), {}
      for _, s in ipairs { 3, 1, 2, 4 } do
        async.spawn(function()
          async.sleep(s)
          order[#order + 1] = s
        end)
      end
      async.yield()
      time.advance(0.5)
      assert.same({}, order)
      time.advance(2.5)
      assert.same({ 1, 2, 3 }, order)
      near(3, async.now() - t0)
      time.advance(0)
      near(3, async.now() - t0)
    end)
  end)

  it("is refused while the clock runs, and for what is no number of seconds", function()
    run(function()
      assert.matches("call async.time.pause%(%) before", select(2, pcall(time.advance, 1)))
      time.pause()
      assert.matches("number expected", select(2, pcall(time.advance)))
      assert.matches("too large for the clock", select(2, pcall(time.advance, math.huge)))
      assert.matches("too large for the clock", select(2, pcall(time.advance, 1e300)))
    end)
    assert.matches("async.run", select(2, pcall(time.advance, 1)))
    assert.matches("async.run", select(2, pcall(time.pause)))
  end)
end)

describe("resume", function()
  it("lets time go on from where it stood", function()
    run(function()
      assert.is_false(time.resume())
      local t0 = async.now()
      time.pause()
      time.advance(100)
      local t1 = async.now()
      assert.is_true(time.resume())
      assert.is_true(async.now() >= t1 and t1 > t0 + 99.9)
      async.sleep(0.001)
      assert.is_true(async.now() > t1 + 0.0009)
      assert.is_nil((async.timeout(0.001, async.sleep, 1000)))
    end)
  end)
end)

describe("a sleep without end", function()
  it("is a deadlock when there is nothing else, whatever the clock", function()
    for _, paused in ipairs { true, false } do
      for _, seconds in ipairs { math.huge, 1e12 } do
        local ok, err = pcall(async.run, function()
          if paused then async.time.pause() end
          async.join(function() async.sleep(seconds) end, function() async.sleep(math.huge) end)
        end)
        assert.is_false(ok)
        assert.equal("EDEADLK", err.code)
      end
    end
  end)

  it("ends with a timeout around it", function()
    steps.run(function()
      assert.equal(3, (steps.took(async.timeout, 3, async.sleep, math.huge)))
    end)
  end)
end)
