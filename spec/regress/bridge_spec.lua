-- The C face with odd futures; wakers that are dropped elsewhere; what is always ready lets
-- others run; tracebacks; what a task that has ended holds.
local async = require "lua_async"
local support = require "spec.support"

local before = "local futures = package.loadlib('build/spec/futures.so', 'luaopen_futures')()\n"
local function child(program) return support.child_ok(before .. program, { seconds = 30 }) end

describe("async.dump of a C module's future #process", function()
  it("without a name, awaited, in a Future, and in a deadlock", function()
    child [[
      local ok, e = pcall(async.run, function()
        async.spawn(futures.await_nameless)
        async.spawn(function() futures.push_nameless():await() end)
        async.yield()
        local _, n = async.dump():gsub("waiting, waits for a future, spawned", "")
        assert(n >= 1, async.dump())
      end)
      assert(ok, e)
      assert(futures.drops() == 2)
      print "ok"
    ]]
  end)

  it("that is called as tasks are, but is none", function()
    child [[
      async.run(function()
        async.spawn(futures.await_task)
        async.spawn(function() futures.push_task():await() end)
        async.yield()
        local text = async.dump()
        assert(text:find("task 2: waiting, waits for task, spawned", 1, true), text)
        assert(text:find("task 3: waiting", 1, true), text)
        assert(not text:find("waits for task %d"), text)
      end)
      assert(futures.drops() == 2)
      print "ok"
    ]]
  end)
end)

describe("a finish that raises #process", function()
  it("raises at the await, and the future is dropped, once", function()
    child [[
      async.run(function()
        local function check(n, ok, e)
          assert(not ok and tostring(e):find("finish raised"), e)
          assert(futures.drops() == n, futures.drops())
        end
        local t = async.spawn(futures.await_raise)
        check(1, pcall(t.await, t)) -- and no later than with its task
        local f = futures.push_raise()
        check(2, pcall(f.await, f))
        local ok, e = pcall(f.await, f)
        assert(not ok and tostring(e):find("finished"), e)
        f = futures.push_raise()
        local function polled() return async.poll_fn(function(cx) return f:poll(cx) end):await() end
        check(3, pcall(polled))
        ok, e = pcall(polled)
        assert(not ok and tostring(e):find("finished"), e)
        f = nil
        collectgarbage()
        assert(futures.drops() == 3)
      end)
      print "ok"
    ]]
  end)
end)

describe("la_import #process", function()
  it("leaves the stack as it was", function()
    child [[
      local empty, one = futures.import_leaves()
      assert(empty == 0 and one == 0, empty .. " " .. one)
      print "ok"
    ]]
  end)
end)

describe("an external waker #process", function()
  it("dropped unused by another thread, is the end of a run that waits in vain", function()
    child [[
      local held = false
      local ok, e = pcall(async.run, function()
        async.poll_fn(function(cx)
          if not held then
            futures.hold(cx:waker())
            futures.let_go()
          end
          held = true
          return "pending"
        end):await()
      end)
      futures.joined()
      assert(not ok and e.code == "EDEADLK", e)
      print "ok"
    ]]
  end)

  it("the same, when the drop comes a while after the run has parked", function()
    child [[
      local held = false
      local ok, e = pcall(async.run, function()
        async.spawn(function()
          async.sleep(0.05) -- whenever: one of both is the last to end
          futures.let_go()
        end)
        async.poll_fn(function(cx)
          if not held then futures.hold(cx:waker()) end
          held = true
          return "pending"
        end):await()
      end)
      futures.joined()
      assert(not ok and e.code == "EDEADLK", e)
      print "ok"
    ]]
  end)
end)

-- Each beside a ticker that needs turns of the loop: yield by yield, and in a sleep of 0.
describe("what is ready at once, again and again", function()
  local ROUNDS, LEAST = 20000, 50 -- a budget of 128 operations: over 150 turns

  local function shared(step, beside)
    local turns, others = 0, nil
    local stop = false
    local t = async.spawn(function()
      while not stop do
        beside()
        turns = turns + 1
      end
    end)
    async.yield()
    turns = 0
    for _ = 1, ROUNDS do step() end
    others = turns
    stop = true
    t:await()
    return others
  end

  local function check(name, step_of)
    it("lets others run: " .. name, function()
      support.run(function()
        local step <const>, done = step_of()
        assert.is_true(shared(step, async.yield) >= LEAST)
        assert.is_true(shared(step, function() async.sleep(0) end) >= LEAST)
        if done then done() end
      end)
    end)
  end

  check("a poll function", function()
    return function() async.poll_fn(function() return "ready" end):await() end
  end)
  check("a Task that has ended", function()
    local t = async.spawn(function() end)
    t:await()
    return function() t:await() end
  end)
  check("a write of nothing", function()
    local f = assert(async.fs.open("/dev/null", "w"))
    return function() f:write("") end, function() f:close() end
  end)
end)

describe("an on_error handler that raises #process", function()
  it("is told with the error that it was for, where that came from, and its own", function()
    local text = support.child_ok [[
      local function named() error({ code = 1 }) end
      local function task() named() return 1 end
      async.run(function()
        async.on_error(function() error("the handler's own", 0) end)
        local t = async.spawn(task)
        pcall(async.yield)
        assert(t:status() == "failed")
        async.on_error(function() error({}) end)
        async.spawn(error, setmetatable({}, { __tostring = function() error("no", 0) end }))
        async.yield()
      end)
      print "ok"
    ]]
    assert.matches("task 2 failed", text)
    assert.matches("'named'", text)
    assert.matches("the handler's own", text)
    assert.matches("task 3 failed", text)
  end)
end)

describe("the traceback of an error", function()
  it("is that of this raise, when a task had failed with an equal string", function()
    local function first() error("boom", 0) end
    local function second() error("boom", 0) end
    local e, trace = "", nil
    support.run(function()
      local old = async.on_error(function(_, t) trace = t end)
      local t = async.spawn(function()
        local inner = async.spawn(first)
        pcall(inner.await, inner)
        second()
      end)
      while not trace do async.yield() end
      async.on_error(old)
      e = select(2, pcall(t.await, t))
    end)
    assert.equal("boom", e)
    assert.matches("'second'", trace)
    assert.is_nil(trace:find("'first'", 1, true))
    trace = nil -- but one that passes through an await has come from where it was raised
    support.run(function()
      local old = async.on_error(function(_, t) trace = t end)
      async.spawn(function()
        local inner = async.spawn(function() first() return 1 end)
        inner:await()
      end)
      while not trace do async.yield() end
      async.on_error(old)
    end)
    assert.matches("'first'", trace)
    assert.matches("awaited at", trace)
  end)
end)

describe("a task that has ended", function()
  it("holds neither its function nor its arguments", function()
    support.run(function()
      local weak = setmetatable({}, { __mode = "v" })
      local tasks = {}
      local function start()
        local big = {}
        weak.arg, weak.f = big, function(x) return x == big end
        tasks[1] = async.spawn(weak.f, big)
        local second, third = {}, {} -- alive until they are passed on
        weak.arg2, weak.arg3 = second, third
        tasks[2] = async.spawn(function(x) error(type(x), 0) end, second)
        tasks[3] = async.spawn(function(_) async.sleep(1000) end, third)
      end
      local old = async.on_error(function() end)
      start()
      async.yield()
      async.on_error(old)
      tasks[3]:cancel()
      assert.is_true(tasks[1]:await())
      assert.same({ false, "table" }, { pcall(tasks[2].await, tasks[2]) })
      assert.is_false(pcall(tasks[3].await, tasks[3]))
      collectgarbage()
      collectgarbage()
      assert.same({}, { weak.arg, weak.f, weak.arg2, weak.arg3 })
      assert.equal("done", tasks[1]:status())
    end)
  end)
end)
