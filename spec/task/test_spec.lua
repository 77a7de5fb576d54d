-- async.test, for the suites of others: each kind of leftover is told, and what a test may do.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local test, spawn = async.test, async.spawn
local forever = steps.forever

local function guard(f) return setmetatable({}, { __close = f }) end
-- What the test raises, as a string.
local function raised(f, ...)
  local ok, e = pcall(test(f), ...)
  assert.is_false(ok)
  return tostring(e)
end

describe("async.test", function()
  it("is the body of a case, here", test(function()
    local t0 = async.now()
    async.sleep(86400)
    assert.is_true(async.now() - t0 > 86399) -- the clock is paused; seconds are rounded
    assert.is_false(async.time.pause())
    assert.equal(1, async.current().id)
  end))

  it("gives a function, which runs nothing before it is called, and each time anew", function()
    local n = 0
    local f = test(function() n = n + 1 async.yield() end)
    assert.equal("function", type(f))
    assert.equal(0, n)
    for i = 1, 3 do
      assert.equal(0, select("#", f()))
      assert.equal(i, n)
    end
  end)

  it("passes arguments, and no results", function()
    local got
    assert.equal(0, select("#", test(function(...)
      got = table.pack(...)
      async.yield()
      return 1, 2
    end)(1, nil, "x", nil)))
    assert.same({ n = 4, 1, nil, "x", nil }, got)
  end)

  it("takes a function, and nothing else", function()
    for _, bad in ipairs { 5, "x", true, {} } do assert.is_false(pcall(test, bad)) end
    assert.is_false(pcall(test))
  end)

  it("raises what the test raises: a string with its traceback, other values themselves", function()
    local function raiser() async.yield() error("from here", 0) end
    local e = raised(function() raiser() return 1 end)
    assert.matches("^from here", e)
    assert.matches("raiser", e)
    local value = setmetatable({}, {})
    for _, f in ipairs { function() error(value) end, function() async.sleep(1) error(value) end } do
      local ok, got = pcall(test(f))
      assert.is_false(ok)
      assert.equal(value, got)
    end
    local ok, got = pcall(test(function() error(nil) end))
    assert.is_false(ok)
    assert.is_nil(got)
  end)

  it("passes a failed assertion of luassert, in a way that busted shows", function()
    local _, e = pcall(test(function() assert.equal(1, 2) end))
    local _, plain = pcall(function() assert.equal(1, 2) end)
    assert.equal(type(plain), type(e))
    assert.equal(getmetatable(plain), getmetatable(e))
    assert.matches("Expected objects to be", tostring(e.message or e))
  end)

  it("is no place for a run inside, nor to be called in one", function()
    assert.matches("async.run cannot be called inside async.run", raised(function() async.run(function() end) end))
    assert.matches("async.run cannot be called inside async.run", raised(function() test(function() end)() end))
    async.run(function() assert.is_false(pcall(test(function() end))) end)
    async.run(function() assert.equal("function", type(test(function() end))) end)
  end)

  it("leaves nothing behind itself, whatever came of the test", function()
    local fds = support.fds()
    for _, f in ipairs {
      function() end, error, function() spawn(forever) end, forever,
      function() assert(async.net.listen("127.0.0.1", 0)) end,
    } do
      pcall(test(f))
      assert.equal(fds, support.fds())
      async.run(function() async.sleep(0) end)
    end
  end)
end)

describe("async.test tells", function()
  it("tasks that wait, how many, and which: with the dump", function()
    local e = raised(function()
      spawn(forever):name("the lost one")
      spawn(function() async.sleep(5) end)
      async.yield()
    end)
    assert.matches("the test left 2 tasks", e)
    assert.matches("the lost one", e)
    assert.matches("test_spec.lua", e)
    assert.matches("waits for sleep", e)
  end)

  it("tasks that never wait for long, too, and those that do not end when they are cancelled", function()
    assert.matches("left 1 task", raised(function()
      spawn(function() for _ = 1, 100000 do async.yield() end end)
    end))
    assert.matches("left 1 task", raised(function()
      local t = spawn(async.shield, async.sleep, 1)
      async.yield()
      t:cancel()
    end))
  end)

  it("not those that end in the same turn: that are ready, or were just cancelled", test(function()
    local t = spawn(forever)
    async.yield()
    t:cancel()
    spawn(function() async.yield() end)
    spawn(forever):cancel()
  end))

  it("has cancelled what is left, before it returns", function()
    local closed = false
    raised(function()
      spawn(function()
        local _ <close> = guard(function(_, e) closed = async.is_cancelled(e) end)
        forever()
      end)
      async.yield()
    end)
    assert.is_true(closed)
  end)

  it("open sockets: listeners and connections", function()
    local kept
    assert.matches("left 1 open socket", raised(function() kept = assert(async.net.listen("127.0.0.1", 0)) end))
    assert.matches("left 2 open sockets", raised(function()
      local listener <close> = assert(async.net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      kept = { assert(async.net.connect("127.0.0.1", port)), assert(listener:accept()) }
    end))
    test(function()
      local listener <close> = assert(async.net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local a <close> = assert(async.net.connect("127.0.0.1", port))
      local b <close> = assert(listener:accept())
      a:write("x")
      assert.equal("x", b:read(1))
    end)()
    assert.is_truthy(kept)
  end)

  it("open files", function()
    local kept
    assert.matches("left 1 open file", raised(function() kept = assert(async.fs.open("README.md")) end))
    test(function()
      local f <close> = assert(async.fs.open("README.md"))
      assert(f:read("l"))
    end)()
    assert.is_truthy(kept)
  end)

  it("timers: of a Future that was begun and not finished", function()
    local kept
    assert.matches("left 1 timer", raised(function()
      kept = async.future(async.sleep, 10)
      async.await(async.poll_fn(function(cx) kept:poll(cx) return "ready" end))
    end))
    test(function()
      kept = async.future(async.sleep, 10) -- never begun
      async.timeout(1, forever)
      async.timeout(5, async.sleep, 1)
      async.select { async.future(async.sleep, 3), async.future(async.sleep, 4) }
      local tick = async.time.interval(1)
      tick()
      tick()
    end)()
  end)

  it("a deadlock, with the dump", function()
    local e = raised(function()
      spawn(function() forever() end):name("stuck")
      forever()
    end)
    assert.matches("deadlock", e)
    assert.matches("stuck", e)
    assert.matches("test_spec.lua", e)
    local _, err = pcall(test(forever))
    assert.equal("EDEADLK", err.code)
  end)

  it("the test's own error first, and not what it left by that", function()
    assert.matches("^mine", raised(function()
      spawn(forever)
      async.yield()
      error("mine", 0)
    end))
  end)

  it("a task that failed with nobody awaiting it, when the test itself is told of it", function()
    local list = {}
    test(function()
      async.on_error(function(e) list[#list + 1] = e end)
      spawn(error, "x", 0)
    end)()
    assert.same({ "x" }, list)
  end)

  it("nothing of scopes, joins, channels and locks that are over", test(function()
    local tx, rx = async.channel(1)
    async.scope(function(s)
      s:spawn(function() for i = 1, 3 do tx:send(i) end tx:close() end)
      s:spawn(function() for _ in rx do async.sleep(1) end end)
    end)
    async.join(spawn(async.yield), function() async.sleep(1) end)
    async.select { a = function() async.sleep(1) end, b = forever }
    local m = async.sync.mutex()
    local g <close> = m:lock()
    assert.is_nil((async.timeout(1, spawn(function() return m:try_lock() end))))
    async.map({ 1, 2, 3 }, async.sleep)
  end))

  it("the same under each seed", function()
    for seed = 1, 20 do
      support.with_seed(seed, function()
        assert.matches("left 2 tasks", raised(function()
          spawn(forever)
          spawn(forever)
          spawn(function() async.yield() end)
          spawn(forever):cancel()
        end))
      end)
    end
  end)
end)

describe("a task that fails in async.test with nobody awaiting it", function()
  it("fails the test, which on_error then does not hear of", function()
    local async = require "lua_async"
    local heard = 0
    local old = async.on_error(function() heard = heard + 1 end)
    local ok, err = pcall(async.test(function()
      async.spawn(function() error("inside") end)
      async.yield()
      async.yield()
    end))
    assert.is_false(ok)
    assert.matches("no task awaited it: .*inside.*spawned at", err)
    pcall(async.run, function()
      async.spawn(error, "outside")
      async.yield()
      async.yield()
    end)
    async.on_error(old)
    assert.equal(1, heard)
  end)
end)

describe("what async.test finds left open", function()
  local async = require "lua_async"
  local function left(f)
    local ok, err = pcall(async.test(f))
    assert.is_false(ok)
    return err
  end

  it("is named: sockets by their addresses, files by their paths", function()
    local kept = {}
    local err = left(function()
      kept[1] = assert(async.net.listen("127.0.0.1", 0))
      kept[2] = assert(async.net.connect(kept[1]:address()))
    end)
    local port = err:match("left 2 open sockets.-listening at 127%.0%.0%.1 port (%d+)\n")
    assert.matches("connected to 127.0.0.1 port " .. port, err, 1, true)
    err = left(function() kept[3] = assert(async.fs.open("LICENSE")) end)
    assert.matches("left 1 open file:.-/LICENSE\n", err)
  end)
end)
