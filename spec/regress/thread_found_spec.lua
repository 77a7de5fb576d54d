-- What hostile programs of threads found.
local async = require "lua_async"
local support = require "spec.support"
local body = require("spec.support.threads").body
local run, thread = support.run, async.thread

describe("spawn_blocking #seldom", function()
  it("keeps no end open that it was sent", function()
    run(function()
      local tx, rx = thread.channel(4)
      thread.spawn_blocking(body "local tx = ... tx:try_send(1)", tx):await()
      tx:close()
      assert.equal(1, rx:recv())
      assert.is_nil(rx:recv())
      local stx, srx = thread.spawn_blocking(body "return require('lua_async').thread.channel(1)"):await()
      stx:close()
      assert.is_nil(srx:recv())
    end)
  end)

  it("is interrupted in thread.init, too #interrupt", function()
    run(function()
      local begun = thread.shared(false)
      thread.init(function()
        begun:set(true)
        while true do end
      end)
      local t = thread.spawn_blocking(body "return 1")
      local spawned = thread.spawn(body "return 1")
      while not begun:get() do async.sleep(0.001) end
      t:cancel()
      spawned:cancel()
      thread.init()
      for _, task in ipairs { t, spawned } do
        local ok, e = pcall(task.await, task)
        assert.is_true(not ok and support.was_cancelled(e))
      end
    end)
  end)

  it("is interrupted in an async.run of its own, in Lua or in a wait #interrupt", function()
    run(function()
      local reports = 0
      local old = async.on_error(function() reports = reports + 1 end)
      for _, what in ipairs { "a.yield()", "a.sleep(0.0001)", "a.sleep(1000)", "a.join { a.spawn(a.sleep, 1000) }" } do
        for _ = 1, 20 do
          local begun = thread.shared(false)
          local t = thread.spawn_blocking(body(([[
            local begun = ...
            local a = require "lua_async"
            a.run(function() begun:set(true) while true do %s end end)
          ]]):format(what)), begun)
          while not begun:get() do async.yield() end
          t:cancel()
          assert.is_false(pcall(t.await, t))
        end
      end
      async.on_error(old)
      assert.equal(0, reports)
    end)
  end)
end)

describe("a message that cannot be received here #seldom", function()
  it("is lost, and others come after it", function()
    run(function()
      package.loaded["ghost of the spec"] = { f = string.rep, g = function() end }
      local tx, rx = thread.channel(4)
      tx:send(package.loaded["ghost of the spec"])
      tx:send("good")
      package.loaded["ghost of the spec"] = nil
      tx:close()
      local ok, e = pcall(rx.recv, rx)
      assert.is_true(not ok and tostring(e):find("ghost of the spec", 1, true) ~= nil)
      assert.equal("good", rx:recv())
      assert.is_nil(rx:recv())
    end)
  end)
end)

describe("what cannot be sent #seldom", function()
  it("is found in the depth of upvalues", function()
    run(function()
      local tx = thread.channel(1)
      local value = coroutine.create(print)
      for _ = 1, 60 do
        local inner = value
        value = function() return inner end
      end
      for _ = 1, 20 do
        coroutine.wrap(function() -- whose stack is small
          local ok, e = pcall(tx.try_send, tx, value)
          assert(not ok and tostring(e):find("a coroutine cannot be sent", 1, true), tostring(e))
        end)()
      end
    end)
  end)

  it("is told of an error whose __tostring fails, too", function()
    run(function()
      local t = thread.spawn(body [[
        error(setmetatable({ coroutine.create(print) }, { __tostring = function() error 'no' end }))
      ]])
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches("an error that cannot be sent to another thread, a table", tostring(e))
    end)
  end)

  it("is not a connection whose write was given up, once all has gone out", function()
    run(function()
      local conn, peer = support.pair()
      local _ <close> = peer
      local sent = 0
      repeat
        local n = async.timeout(0.01, function()
          conn:write(("x"):rep(65536))
          sent = sent + 65536
          return true
        end)
      until not n
      local got = 0
      while true do
        local piece = async.timeout(0.1, peer.read, peer, 65536)
        if not piece then break end
        got = got + #piece
      end
      assert.is_true(got >= sent)
      local tx, rx = thread.channel(1)
      assert.is_true(tx:try_send(conn))
      local there <close> = rx:recv()
      assert(there:write("after\n"))
      assert.equal("after", peer:read("l"))
    end)
  end)
end)

describe("workers #seldom", function()
  it("that fail with nil, or with the cancellation, have failed", function()
    run(function()
      local reports = 0
      local old = async.on_error(function() reports = reports + 1 end)
      for _, what in ipairs {
        "error()", "local a = require 'lua_async' local t = a.spawn(a.sleep, 1) t:cancel() t:await()",
      } do
        reports = 0
        assert.is_false(pcall(thread.workers, { count = 1, restarts = 2, delay = 0 }, body(what)))
        assert.equal(2, reports)
      end
      async.on_error(old)
    end)
  end)

  it("raise the last failure with where it was raised", function()
    run(function()
      assert.is_false((pcall(thread.workers, { count = 1, restarts = 0 }, body "error 'deep'")))
    end)
    local ok, e = pcall(run, function()
      thread.workers({ count = 1, restarts = 0 }, body "local function inner() error 'deep' end inner()")
    end)
    assert.is_false(ok)
    assert.matches("in another thread", tostring(e))
    assert.matches("'inner'", tostring(e))
  end)

  it("that cannot be started have failed", function()
    run(function()
      local listener = assert(async.net.listen("127.0.0.1", 0))
      listener:close()
      local ok, e = pcall(thread.workers, { count = 1, restarts = 0 }, body "", listener)
      assert.is_false(ok)
      assert.equal("EBADF", e.code)
    end)
  end)

  it("that compute are interrupted after SIGTERM #process", function()
    support.child_ok([[
      async.run(function()
        local began = async.thread.shared(false)
        async.spawn(function()
          while not began:get() do async.sleep(0.001) end
          async.process.kill(sys.pid(), "SIGTERM")
          async.sleep(0.1)
          async.process.kill(sys.pid(), "SIGTERM") -- which changes nothing
        end)
        async.thread.workers({ count = 2, drain = 0.2 }, function() began:set(true) while true do end end)
      end)
      print "ok"
    ]], { seconds = 60 })
  end)
end)
