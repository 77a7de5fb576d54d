-- async.thread.spawn: a runtime of its own on a thread of its own.
local async = require "lua_async"
local support = require "spec.support"
local threads = require "spec.support.threads"
local body = threads.body
local run, thread = support.run, async.thread

local function failure(t)
  local ok, e = pcall(t.await, t)
  assert.is_false(ok)
  return e
end

describe("thread.spawn", function()
  it("runs a function as the root task of a runtime, and gives its results", function()
    run(function()
      local t = thread.spawn(body [[
        local a, b = ...
        async.sleep(0.001)
        local x = async.spawn(function() async.yield() return a + b end)
        return x:await(), async.current().id, nil]], 1, 2)
      assert.same({ n = 3, 3, 1, nil }, table.pack(t:await()))
      assert.equal("done", t:status())
    end)
  end)

  it("has a state of its own, which is new each time", function()
    run(function()
      local f = body "count = (count or 0) + 1 return count"
      assert.equal(1, thread.spawn(f):await())
      assert.equal(1, thread.spawn(f):await())
    end)
  end)

  it("brings errors back: as they were raised, and with their traceback", function()
    run(function()
      local e = failure(thread.spawn(body "local function deep() async.yield() error('no good') end deep()"))
      assert.equal("body:1: no good", e)
      assert.equal(7, failure(thread.spawn(body "error({ code = 7 })")).code)
      local reported
      local old = async.on_error(function(err, traceback, task) reported = { err, traceback, task } end)
      local t = thread.spawn(body "local function deep() error('untold') end deep()")
      while not reported do async.sleep(0.001) end
      async.on_error(old)
      assert.equal("body:1: untold", reported[1])
      assert.matches("deep", reported[2])
      assert.matches("in another thread", reported[2])
      assert.equal(t, reported[3])
    end)
  end)

  it("that fails in its first line, or has no function to run, fails as a task", function()
    run(function()
      assert.matches("attempt to call", failure(thread.spawn(body "undefined()")))
      assert.matches("body:1:", failure(thread.spawn(body "error(nil, 0) error 'x'")) or "body:1:")
      assert.has_error(function() thread.spawn("print") end)
    end)
  end)

  it("tells on_error here of what fails there with nobody awaiting it", function()
    run(function()
      local told = {}
      local old = async.on_error(function(err, traceback, task) told[#told + 1] = { err, traceback, task } end)
      local t = thread.spawn(body [[
        for i = 1, 3 do async.spawn(function() error("oops " .. i, 0) end) async.yield() end
        async.sleep(0.001)
        return "fine"]])
      assert.equal("fine", t:await())
      async.on_error(old)
      assert.equal(3, #told)
      for i = 1, 3 do
        assert.equal("oops " .. i, told[i][1])
        assert.matches("in another thread", told[i][2])
        assert.equal(t, told[i][3])
      end
    end)
  end)

  it("may have an on_error of its own there", function()
    run(function()
      local t = thread.spawn(body [[
        local told
        async.on_error(function(e) told = e end)
        async.spawn(error, "mine", 0)
        async.sleep(0.001)
        return told]])
      assert.equal("mine", t:await())
    end)
  end)

  describe("cancelled", function()
    it("before it began, never begins", function()
      run(function()
        local n = thread.shared(0)
        local t = thread.spawn(body "(...):add()", n)
        t:cancel()
        assert.is_true(support.was_cancelled(failure(t)))
        assert.equal(0, n:get())
      end)
    end)

    it("unwinds all its tasks there, which may await under a shield, and is waited for", function()
      run(function()
        local n = thread.shared(0)
        local t = thread.spawn(body [[
          local n = ...
          local function guard()
            return setmetatable({}, { __close = function()
              async.shield(async.sleep, 0.01)
              n:add(10)
            end })
          end
          async.spawn(function()
            local _ <close> = guard()
            n:add()
            async.sleep(1000)
          end)
          local _ <close> = guard()
          n:add()
          async.sleep(1000)]], n)
        while n:get() < 2 do async.sleep(0.001) end
        t:cancel()
        assert.is_true(support.was_cancelled(failure(t)))
        assert.equal(22, n:get())
      end)
    end)

    it("while it computes, is interrupted #interrupt", function()
      run(function()
        local n = thread.shared(0)
        local t = thread.spawn(body [[
          local n = ...
          local _ <close> = setmetatable({}, { __close = function() n:set(2) end })
          n:set(1)
          while true do end]], n)
        while n:get() == 0 do async.sleep(0.001) end
        t:cancel()
        assert.is_true(support.was_cancelled(failure(t)))
        assert.equal(2, n:get())
      end)
    end)

    it("in C, is told of and left to itself #process", function()
      support.child_ok [[
        local thread = async.thread
        local reported
        async.run(function()
          async.on_error(function(e) reported = e end)
          local began = thread.shared(false)
          local t = thread.spawn(function(began)
            began:set(true)
            os.execute("sleep 5")
          end, began)
          while not began:get() do async.sleep(0.001) end
          async.sleep(0.01)
          t:cancel()
          assert(not pcall(t.await, t) and t:status() == "cancelled")
        end)
        assert(reported and reported.code == "EBUSY", tostring(reported))
        print "ok"
      ]]
    end)

    it("by its own hand, is a cancelled task", function()
      run(function()
        local t = thread.spawn(body "async.current():cancel() async.yield()")
        assert.is_true(support.was_cancelled(failure(t)))
      end)
    end)
  end)

  it("ends with the run here: it is cancelled, and waited for", function()
    local n = thread.shared(0)
    async.run(function()
      thread.spawn(body [[
        local n = ...
        local _ <close> = setmetatable({}, { __close = function() n:set(2) end })
        n:set(1)
        async.sleep(1000)]], n)
      while n:get() == 0 do async.sleep(0.001) end
    end)
    assert.equal(2, n:get())
  end)

  it("may spawn threads of its own", function()
    run(function()
      local t = thread.spawn(body [[
        local inner = thread.spawn(function(x) return x * 2 end, ...)
        return inner:await() + 1]], 20)
      assert.equal(41, t:await())
    end)
  end)

  it("does files, sockets, processes and signals there #process", function()
    run(function()
      local t = thread.spawn(body [[
        local l <close> = assert(async.net.listen("127.0.0.1", 0))
        local _, port = l:address()
        async.spawn(function()
          local c <close> = l:accept()
          c:write(c:read("l"):upper(), "\n")
        end)
        local c <close> = assert(async.net.connect("127.0.0.1", port))
        c:write("hello\n")
        local heard = async.spawn(async.signal.wait, "SIGUSR2")
        async.yield()
        local r = async.process.output { "sh", "-c", "echo out; kill -USR2 $PPID" }
        return c:read("l"), async.fs.stat("/").type, r.stdout, heard:await()]])
      assert.same({ "HELLO", "directory", "out\n", "SIGUSR2" }, { t:await() })
    end)
  end)

  it("stands in the dump, with its tasks, also while it computes #interrupt", function()
    run(function()
      local n = thread.shared(0)
      local t = thread.spawn(body [[
        local n = ...
        async.spawn(function() async.sleep(1000) end):name("sleeper")
        async.yield()
        n:set(1)
        async.sleep(1000)]], n)
      while n:get() == 0 do async.sleep(0.001) end
      local text = async.dump()
      assert.matches("the thread of task %d+:\n\ttask 1: waiting, waits for sleep", text)
      assert.matches("'sleeper': waiting, waits for sleep", text)
      assert.not_matches("orders", text)
      t:cancel()
      pcall(t.await, t)
      n:set(0)
      t = thread.spawn(body "(...):set(1) while true do end", n)
      while n:get() == 0 do async.sleep(0.001) end
      assert.matches("no answer: it is computing", async.dump())
      t:cancel()
      pcall(t.await, t)
    end)
  end)

  it("reports a deadlock of its own", function()
    run(function()
      local e = failure(thread.spawn(body "local tx, rx = async.channel(1) rx:recv()"))
      assert.equal("EDEADLK", e.code)
      assert.matches("channel.recv", e.message)
    end)
  end)

  it("reports a deadlock between threads, when all wait for one another #process", function()
    local text = support.child_ok [[
      local thread = async.thread
      local ok, e = pcall(async.run, function()
        local tx, rx = thread.channel(1)
        local tx2, rx2 = thread.channel(1)
        local a = thread.spawn(function(rx, tx) tx:send(rx:recv()) end, rx, tx2)
        local b = thread.spawn(function(rx, tx) tx:send(rx:recv()) end, rx2, tx)
        a:await()
      end)
      assert(not ok and e.code == "EDEADLK", tostring(e))
      assert(e.message:find("thread.channel.recv", 1, true), e.message)
      print(e.message)
      print "ok"
    ]]
    -- The first to fail, be it awaited or not, tells what each of them waits for.
    assert.matches("thread%.channel%.recv.*spawned from:.*task 1: waiting, waits for task 2.*" ..
      "the thread of task [23]:%s+task 1: waiting, waits for thread%.channel%.recv", text)
  end)

  it("takes no deadlock for what a collection ends, in whatever thread the garbage is #process", function()
    support.child_ok [[
      local thread = async.thread
      async.run(function()
        local rx
        do local tx tx, rx = thread.channel(1) end
        local t = thread.spawn(function(rx) return rx:recv() == nil and "ended" end, rx)
        assert(t:await() == "ended")
      end)
      print "ok"
    ]]
  end)

  it("may call os.exit #process", function()
    local _, code = support.child [[
      async.run(function()
        async.thread.spawn(function() os.exit(7) end)
        async.sleep(1000)
      end)
    ]]
    assert.equal(7, code)
    _, code = support.child [[
      async.run(function()
        async.thread.spawn(function()
          local async = require "lua_async"
          async.yield()
          os.exit(8, true)
        end)
        async.sleep(1000)
      end)
    ]]
    assert.equal(8, code)
  end)

  it("may be alive when the Lua state closes in the middle of a run #process", function()
    local text, code = support.child [[
      async.run(function()
        for i = 1, 4 do
          async.thread.spawn(function() require("lua_async").sleep(1000) end)
        end
        async.sleep(0.01)
        os.exit(3, true)
      end)
    ]]
    assert.same({ "", 3 }, { text, code })
  end)

  it("leaves nothing behind, two thousand times", function()
    local rounds = (os.getenv("LUA_ASYNC_FLAVOUR") or "release") == "release" and 2000 or 300
    run(function() thread.spawn(body ""):await() end)
    local fds, n = support.fds(), threads.count()
    run(function()
      for i = 1, rounds do
        assert.equal(i, thread.spawn(body "async.yield() return ...", i):await())
      end
    end)
    assert.equal(fds, support.fds())
    assert.is_true(threads.count() <= n) -- of other tests, threads may have ended meanwhile
  end)

  it("that runs out of memory fails with that, and others go on #process", function()
    if os.getenv("LUA_ASYNC_FLAVOUR") == "asan" then return end -- which has terabytes of addresses
    support.child_ok([[
      local thread = async.thread
      local function hoard()
        local t, piece = {}, ("x"):rep(1 << 16)
        while true do t[#t + 1] = piece:rep(512) .. #t end
      end
      async.run(function()
        for _, how in ipairs { "spawn", "spawn_blocking" } do
          local t = thread[how](hoard)
          local ok, e = pcall(t.await, t)
          assert(not ok and tostring(e):find("not enough memory"), tostring(e))
          assert(thread[how](function() return 7 end):await() == 7)
        end
      end)
      print "ok"
    ]], { before = "ulimit -v 700000;" })
  end)

  it("that cannot be had fails with why #process", function()
    if not os.execute("env -u LD_PRELOAD strace -o /dev/null true 2>/dev/null") then return end
    support.child_ok([[
      local thread = async.thread
      async.run(function()
        local t = thread.spawn(function() return 1 end)
        local ok, e = pcall(t.await, t)
        assert(not ok and e.code == "EAGAIN", tostring(e))
      end)
      print "ok"
    ]], { before = "export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0;",
      under = "strace -f -o /dev/null -e trace=clone,clone3 -e inject=clone,clone3:error=EAGAIN" })
  end)
end)
