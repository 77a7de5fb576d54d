-- Who may poll a Future, what it keeps of its arguments, and what it does with more of them.
local async = require "lua_async"
local support = require "spec.support"

local function never() return "pending" end

describe("a Future keeps what its operation made of the arguments #process", function()
  local before = [[
    local function connected()
      local l <close> = assert(async.net.listen("127.0.0.1", 0))
      local client = assert(async.net.connect(l:address()))
      return client, assert(l:accept())
    end
    local function polled(fut) -- a task that holds nothing but the Future
      local t = async.spawn(function() return async.poll_fn(function(cx) return fut:poll(cx) end):await() end)
      async.yield()
      collectgarbage()
      collectgarbage()
      return t
    end
  ]]

  it("of a write of several strings", function()
    support.child_ok(before .. [[
      async.run(function()
        local a, b = connected()
        local n = 8 << 20
        local t = polled(async.future(a.write, a, ("A"):rep(n), ("B"):rep(n)))
        local junk = {}
        for i = 1, 8 do junk[i] = ("J"):rep(2 * n) .. i end
        junk = nil
        collectgarbage()
        local got = {}
        for i = 1, 256 do got[i] = assert(b:read_exact(2 * n // 256)) end
        assert(table.concat(got) == ("A"):rep(n) .. ("B"):rep(n))
        t:await()
      end)
      print "ok"
    ]], { seconds = 60 })
  end)

  it("of a read_until with a number", function()
    support.child_ok(before .. [[
      async.run(function()
        local a, b = connected()
        local number = 12345678901234567
        local t = polled(async.future(a.read_until, a, number))
        local junk = {}
        for i = 1, 5000 do junk[i] = ("z"):rep(12) .. 10000 + i end -- as long as the number is
        b:write("hello " .. number .. " world")
        b:close()
        local got = t:await()
        assert(got == "hello " .. number, got)
        assert(#junk == 5000)
      end)
      print "ok"
    ]])
  end)
end)

describe("a Future #process", function()
  it("cannot be polled by its own poll function", function()
    support.child_ok [[
      async.run(function()
        local f
        f = async.poll_fn(function(cx) return f:poll(cx) end)
        local ok, e = pcall(f.await, f)
        assert(not ok and tostring(e):find("cannot wait for itself"), e)
      end)
      print "ok"
    ]]
  end)

  it("cannot be polled by the function that it runs", function()
    support.child_ok [[
      async.run(function()
        local f, cx0
        f = async.future(function() return f:poll(cx0) end)
        local ok, e = pcall(function()
          return async.poll_fn(function(cx) cx0 = cx return f:poll(cx) end):await()
        end)
        assert(not ok and tostring(e):find("cannot wait for itself"), e)
      end)
      print "ok"
    ]]
  end)

  it("cannot be awaited by the function that it runs", function()
    support.child_ok [[
      async.run(function()
        local f
        f = async.future(function() async.yield() return f:await() end)
        local ok, e = pcall(function()
          return async.poll_fn(function(cx) return f:poll(cx) end):await()
        end)
        assert(not ok and tostring(e):find("cannot wait for itself"), e)
      end)
      print "ok"
    ]]
  end)

  it("that a task awaits cannot be polled by another, and goes on", function()
    support.child_ok [[
      async.run(function()
        local polls, waker = 0, nil
        local f = async.poll_fn(function(cx)
          polls = polls + 1
          if polls == 2 then return "ready", 7 end
          waker = cx:waker()
          return "pending"
        end)
        local a = async.spawn(function() return f:await() end)
        async.yield()
        for _ = 1, 3 do
          local b = async.spawn(function()
            return async.poll_fn(function(cx) return f:poll(cx) end):await()
          end)
          local ok, e = pcall(b.await, b)
          assert(not ok and tostring(e):find("only one task at a time may await or poll it"), e)
        end
        assert(polls == 1)
        waker:wake()
        assert(a:await() == 7)
      end)
      print "ok"
    ]]
  end)

  it("that a task awaits in vain can be given up by it, when another has tried to poll it", function()
    support.child_ok [[
      async.run(function()
        local f = async.poll_fn(function() return "pending" end)
        local a = async.spawn(function() return f:await() end)
        async.yield()
        async.poll_fn(function(cx)
          assert(not pcall(f.poll, f, cx))
          return "ready"
        end):await()
        a:cancel()
        assert(not pcall(a.await, a) and a:status() == "cancelled")
      end)
      print "ok"
    ]]
  end)
end)

describe("an awaitable with more arguments #seldom", function()
  it("does not see them, wherever a function would", function()
    support.run(function()
      local function future() return async.future(function(...) return select("#", ...), "v" end) end
      local function check(...) assert.same({ n = 2, 0, "v" }, table.pack(...)) end
      check(async.timeout(1, future(), "x", "y"))
      check(async.deadline(async.now() + 1, future(), "x"))
      check(async.shield(future(), "x"))
      check(async.spawn(future(), "x"):await())
      check(async.future(future(), "x"):await())
      check(async.await(future(), "x"))
    end)
    assert.equal("v", async.run(async.future(function(...) return ... or "v" end), "x"))
    support.run(function() -- a poll function and a Task are what they were
      assert.same({ 1, 2 }, { async.timeout(1, async.poll_fn(function(...)
        assert.equal(1, select("#", ...))
        return "ready", 1, 2
      end), "x", "y") })
      assert.same({ 1 }, { async.timeout(1, async.spawn(function() return 1 end), "x", "y") })
    end)
  end)
end)

describe("a Future of a poll function that lasts #seldom", function()
  it("is not taken up by a poll that raised", function()
    support.run(function()
      local f = async.poll_fn(never)
      local t = async.spawn(function() f:await() end)
      async.yield()
      local e = select(2, pcall(f.await, f))
      assert.matches("one task at a time", tostring(e))
      t:cancel()
    end)
  end)
end)
