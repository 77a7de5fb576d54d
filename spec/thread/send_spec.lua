-- Wakers, listeners and connections that are sent to other threads.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local body = require("spec.support.threads").body
local run, thread, net = support.run, async.thread, async.net
local code = steps.code

describe("a waker", function()
  it("wakes its task from another thread, as often as it is asked to", function()
    run(function()
      local polls, waker = 0, nil
      local t = async.spawn(function()
        return async.poll_fn(function(cx)
          polls = polls + 1
          waker = cx:waker()
          if polls == 3 then return "ready", "woken" end
          return "pending"
        end):await()
      end)
      while not waker do async.yield() end
      thread.spawn_blocking(body "(...):wake()", waker):await()
      while polls < 2 do async.yield() end
      thread.spawn(body "local w = (...):clone() w:wake_by_ref()", waker):await()
      assert.equal("woken", t:await())
      thread.spawn_blocking(body "(...):wake()", waker):await() -- of a task that has ended
    end)
  end)

  it("that is used up cannot be sent", function()
    run(function()
      local waker
      async.poll_fn(function(cx) waker = cx:waker() return "ready" end):await()
      waker:wake()
      code("EBADF", thread.spawn_blocking(body "", waker))
    end)
  end)
end)

describe("a connection", function()
  local serve = body [[
    for conn in ... do
      async.spawn(function()
        local c <close> = conn
        for line in c:lines() do assert(c:write(line:upper(), "\n")) end
      end)
    end
    async.sleep(0.001)]]

  for name, kind in pairs {
    TCP = function()
      local l = assert(net.listen("127.0.0.1", 0))
      local _, port = l:address()
      return l, function() return assert(net.connect("127.0.0.1", port)) end
    end,
    ["a Unix socket"] = function()
      local path = support.folder() .. "/socket"
      return assert(net.listen_unix(path)), function() return assert(net.connect_unix(path)) end
    end,
  } do
    it("of " .. name .. (name == "TCP" and "" or " #process")
      .. " that one thread has accepted is served by another, from where it was read", function()
      run(function()
        local listener <close>, connect = kind()
        local tx, rx = thread.channel(1)
        local worker = thread.spawn(serve, rx)
        rx:close()
        async.spawn(function()
          for c in listener:incoming() do
            assert(c:read("l") == "first")
            assert(tx:send(c))
            assert(tostring(c):find("closed"))
          end
        end)
        local conns = {}
        for i = 1, 10 do
          conns[i] = connect()
          conns[i]:write("first\nsecond ", i, "\nth")
        end
        for i = 1, 10 do
          assert.equal("SECOND " .. i, conns[i]:read("l"))
          conns[i]:write("ird\n")
          assert.equal("THIRD", conns[i]:read("l"))
          conns[i]:close()
        end
        listener:close()
        tx:close()
        worker:await()
      end)
      support.clean()
    end)
  end

  it("arrives with all that was read ahead", function()
    run(function()
      local a <close>, b = support.pair()
      local text = ("0123456789"):rep(3000)
      a:write("x\n", text)
      assert.equal("x", b:read("l")) -- and maybe more
      local n = thread.spawn(body "return (...):read_exact(30000)", b):await()
      assert.is_true(n == text)
    end)
  end)

  it("in use, or closed, stays here", function()
    run(function()
      local a <close>, b = support.pair()
      local _ <close> = b
      local reading = async.spawn(b.read, b, "l")
      async.yield()
      code("EBUSY", thread.spawn_blocking(body "", b))
      a:write("still ours\n")
      assert.equal("still ours", reading:await())
      b:close()
      code("EBADF", thread.spawn_blocking(body "", b))
    end)
  end)

  it("that nobody received is closed", function()
    run(function()
      local a <close>, b = support.pair()
      local tx, rx = thread.channel(1)
      tx:send(b)
      rx:close()
      tx:close()
      assert.is_nil(a:read(1))
    end)
  end)

  it("that could not be sent is still here", function()
    run(function()
      local a <close>, b = support.pair()
      local _ <close> = b
      local tx, rx = thread.channel(1)
      rx:close()
      code("EPIPE", tx:send(b))
      tx, rx = thread.channel(1)
      local _r <close> = rx
      tx:send(1)
      local t = async.spawn(tx.send, tx, b)
      async.yield()
      t:cancel()
      pcall(t.await, t)
      a:write("ours\n")
      assert.equal("ours", b:read("l"))
    end)
  end)

  it("may be a Pipe, too #process", function()
    run(function()
      local child = assert(async.process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
      local out = child.stdout
      local t = thread.spawn(body "return (...):read('a')", out)
      child.stdin:write("through")
      child.stdin:close()
      assert.equal("through", t:await())
      assert.is_true(child:wait().ok)
    end)
  end)
end)

describe("a listener", function()
  it("is shared: both threads accept from it", function()
    run(function()
      local listener = assert(net.listen("127.0.0.1", 0, { nodelay = false }))
      local _, port = listener:address()
      local t = thread.spawn(body [[
        local l <close> = ...
        local c <close> = assert(l:accept())
        c:write("there\n")]], listener)
      local conn <close> = net.connect("127.0.0.1", port)
      assert.equal("there", conn:read("l"))
      t:await()
      local again <close> = net.connect("127.0.0.1", port)
      local ours <close> = listener:accept()
      ours:write("here\n")
      assert.equal("here", again:read("l"))
      listener:close()
      code("EBADF", thread.spawn_blocking(body "", listener))
    end)
  end)

  it("cannot be received where nothing waits: it says so", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local t = thread.spawn_blocking(body "", listener)
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches("async.run", e)
    end)
  end)
end)

it("leaves no descriptor behind", function()
  run(function()
    local fds
    for i = 1, 20 do
      local a <close>, b = support.pair()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      thread.spawn(body "", b, listener):await()
      a:close()
      fds = i == 1 and support.fds() or fds
      assert.equal(fds, support.fds())
    end
  end)
end)
