-- async.thread.spawn_blocking: work on a pool of threads.
local async = require "lua_async"
local support = require "spec.support"
local threads = require "spec.support.threads"
local body = threads.body
local run, thread = support.run, async.thread

describe("thread.spawn_blocking", function()
  it("calls a function with its arguments elsewhere, and gives all its results", function()
    run(function()
      local t = thread.spawn_blocking(body "local a, b = ... return a + b, nil, 'x', nil", 1, 2)
      assert.matches("^Task", tostring(t))
      assert.same({ n = 4, 3, nil, "x", nil }, table.pack(t:await()))
      assert.same({ n = 0 }, table.pack(thread.spawn_blocking(body ""):await()))
    end)
  end)

  it("leaves the loop to others: it waits for what a task here does meanwhile", function()
    run(function()
      local flag = thread.shared(false)
      local t = thread.spawn_blocking(body "local flag = ... while not flag:get() do end return 'seen'", flag)
      async.sleep(0.01)
      flag:set(true)
      assert.equal("seen", t:await())
    end)
  end)

  it("leaves little garbage in a state that waits for the next call", function()
    run(function()
      local count = body "return collectgarbage [[count]] / 1024" -- the state is the same
      assert.equal(32 << 20, #thread.spawn_blocking(body "return ('x'):rep(32 << 20)"):await())
      thread.spawn_blocking(body "local t = {} for i = 1, 1e5 do t[i] = { i } end"):await()
      assert.is_true(thread.spawn_blocking(count):await() < 4)
      local tx, rx = thread.channel(8)
      thread.spawn_blocking(body "local tx = ... for i = 1, 8 do tx:try_send((i .. ' '):rep(4 << 20)) end", tx):await()
      for _ = 1, 8 do rx:recv() end
      assert.is_true(thread.spawn_blocking(count):await() < 4)
      tx:close()
      rx:close()
    end)
  end)

  it("runs several at once", function()
    run(function()
      local n = thread.shared(0) -- each waits until all are there
      local f = body "local n = ... n:add() while n:get() < 8 do end return true"
      local tasks = {}
      for i = 1, 8 do tasks[i] = thread.spawn_blocking(f, n) end
      for i = 1, 8 do assert.is_true(tasks[i]:await()) end
    end)
  end)

  it("may be asked for more than there are threads, and keeps files and names going", function()
    run(function()
      local go = thread.shared(false)
      local f = body "local go, i = ... while not go:get() do end return i"
      local tasks = {}
      for i = 1, 100 do tasks[i] = thread.spawn_blocking(f, go, i) end
      async.sleep(0.05)
      assert.is_string(async.fs.read_file("/proc/self/stat"))
      assert(async.net.resolve("localhost"))
      go:set(true)
      for i = 1, 100 do assert.equal(i, tasks[i]:await()) end
    end)
  end)

  it("brings an error back, with where it was raised", function()
    run(function()
      local t = thread.spawn_blocking(body "local function deep() error('no good') end deep()")
      local reported
      local old = async.on_error(function(e, traceback) reported = { e, traceback } end)
      async.sleep(0.05)
      while not reported do async.sleep(0.01) end
      async.on_error(old)
      assert.matches("no good", reported[1])
      assert.matches("in upvalue 'deep'", (reported[2]:gsub("local 'deep'", "upvalue 'deep'")))
      assert.matches("in another thread", reported[2])
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches("body:1: no good", e)
    end)
  end)

  it("brings error values back as they are, and the text of those that cannot be sent", function()
    run(function()
      local t = thread.spawn_blocking(body "error({ code = 7 })")
      local ok, e = pcall(t.await, t)
      assert.same({ false, 7 }, { ok, e.code })
      t = thread.spawn_blocking(body [[
        error(setmetatable({ coroutine.create(print) }, { __tostring = function() return "told" end }))]])
      ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches("^told\n.*error%[1%]: a coroutine cannot be sent", e)
      t = thread.spawn_blocking(body "error(nil)")
      ok, e = pcall(t.await, t)
      assert.same({ false, nil }, { ok, e })
    end)
  end)

  it("raises at once for what is no function, cannot be sent, or has no runtime", function()
    run(function()
      assert.has_error(function() thread.spawn_blocking(7) end)
      assert.has_error(function() thread.spawn_blocking() end)
      assert.has_error(function() thread.spawn_blocking(coroutine.wrap(print)) end)
    end)
    local ok, e = pcall(thread.spawn_blocking, body "")
    assert.is_false(ok)
    assert.matches("async.run", e)
  end)

  it("cannot await in there, and says what to do instead", function()
    run(function()
      local t = thread.spawn_blocking(body "async.sleep(1)")
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches("async.run", e)
    end)
  end)

  it("may run a runtime of its own in there", function()
    run(function()
      local t = thread.spawn_blocking(body [[
        return async.run(function() async.sleep(0.001) return async.fs.stat("/").type end)]])
      assert.equal("directory", t:await())
    end)
  end)

  describe("that is cancelled", function()
    it("before it began, never begins", function()
      run(function()
        local n = thread.shared(0)
        local t = thread.spawn_blocking(body "(...):add()", n)
        t:cancel()
        assert.is_false((pcall(t.await, t)))
        assert.equal("cancelled", t:status())
        async.sleep(0.02)
        assert.equal(0, n:get())
      end)
    end)

    it("is interrupted in Lua, whose variables are closed #interrupt", function()
      run(function()
        local state = thread.shared(0)
        local t = thread.spawn_blocking(body [[
          local state = ...
          local _ <close> = setmetatable({}, { __close = function() state:set(2) end })
          state:set(1)
          while true do end]], state)
        while state:get() == 0 do async.sleep(0.001) end
        t:cancel()
        local ok, e = pcall(t.await, t)
        assert.is_false(ok)
        assert.is_true(support.was_cancelled(e))
        assert.equal(2, state:get())
      end)
    end)

    it("is interrupted in a coroutine, under pcall again and again, and in string functions #interrupt", function()
      run(function()
        for _, text in ipairs {
          "coroutine.wrap(function() while true do end end)()",
          "while true do pcall(function() while true do end end) end",
          "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
          "while true do table.sort({ 3, 2, 1 }, function(a, b) return a < b end) end",
        } do
          local began = thread.shared(false)
          local t = thread.spawn_blocking(body("(...):set(true) " .. text), began)
          while not began:get() do async.sleep(0.001) end
          t:cancel()
          assert.is_true(support.was_cancelled(select(2, pcall(t.await, t))), text)
        end
      end)
    end)

    it("leaves the thread for others #interrupt", function()
      run(function()
        for _ = 1, 100 do
          local t = thread.spawn_blocking(body "while true do end")
          async.yield()
          t:cancel()
          pcall(t.await, t)
        end
        assert.equal(1, thread.spawn_blocking(body "return 1"):await())
      end)
    end)

    it("in C, is told of, and left to itself #process", function()
      support.child_ok [[
        local thread = async.thread
        local reported
        async.run(function()
          async.on_error(function(e) reported = e end)
          local began = thread.shared(false)
          local t = thread.spawn_blocking(function(began)
            began:set(true)
            os.execute("sleep 4") -- one call in C, which goes on after a signal
          end, began)
          while not began:get() do async.sleep(0.001) end
          async.sleep(0.01)
          t:cancel()
          assert(not pcall(t.await, t) and t:status() == "cancelled")
        end)
        assert(reported and reported.code == "EBUSY", tostring(reported))
        print "ok" -- the thread is at it still
      ]]
    end)
  end)

  it("leaves no thread, descriptor or memory behind", function()
    run(function() thread.spawn_blocking(body ""):await() end)
    local fds, n = support.fds(), threads.count()
    for _ = 1, 20 do
      run(function()
        local tasks = {}
        for i = 1, 10 do tasks[i] = thread.spawn_blocking(body "return {}") end
        for i = 1, 10 do tasks[i]:await() end
      end)
    end
    assert.equal(fds, support.fds())
    assert.is_true(threads.count() <= n) -- of other tests, threads may have ended meanwhile
  end)
end)
