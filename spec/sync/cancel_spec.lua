-- Channels: what is given up loses nothing; futures, deadlocks, where one can use them.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local run, spawn, channel = support.run, async.spawn, async.channel
local code, is_end, spin = steps.code, steps.is_end, steps.spin

describe("a cancelled", function()
  it("receiver takes nothing, wherever it is when that happens", function()
    run(function()
      local tx, rx = channel(2)
      local t = spawn(function() return rx:recv() end)
      spin()
      t:cancel()
      spin()
      assert.equal("cancelled", t:status())
      tx:send(1)
      assert.equal(1, rx:recv())
      -- granted, and cancelled before it runs: it may deliver, or pass on; a timeout shows both
      assert.is_nil((async.timeout(0, rx.recv, rx)))
      tx:send(2)
      assert.equal(2, rx:recv())
    end)
  end)

  it("receiver that was granted a message passes it on when it is dropped", function()
    run(function()
      local tx, rx = channel(2)
      local first = async.future(rx.recv, rx)
      async.await(async.poll_fn(function(cx)
        assert.equal("pending", first:poll(cx))
        return "ready"
      end))
      local second = spawn(function() return rx:recv() end)
      spin()
      tx:send("m") -- first's
      assert.equal("waiting", second:status())
      first = nil
      collectgarbage()
      assert.equal("m", second:await())
      assert.is_nil(first)
    end)
  end)

  it("receiver at the very end leaves the last message to the one who waits behind it", function()
    run(function()
      local tx, rx = channel(2)
      local first = async.future(rx.recv, rx)
      async.await(async.poll_fn(function(cx) first:poll(cx) return "ready" end))
      local second = spawn(function() return rx:recv() end)
      spin()
      tx:send("last")
      tx:close()
      spin()
      assert.equal("waiting", second:status())
      first = nil
      collectgarbage()
      assert.equal("last", second:await())
      assert.is_nil(first)
      is_end(rx:recv())
    end)
  end)

  it("sender has sent nothing, and those behind it go on", function()
    run(function()
      local tx, rx = channel(1)
      tx:send(1)
      local a, b = spawn(function() return tx:send("a") end), spawn(function() return tx:send("b") end)
      spin()
      a:cancel()
      spin()
      assert.equal(1, rx:recv())
      assert.is_true(b:await())
      assert.equal("b", rx:recv())
      code("EAGAIN", rx:try_recv())
      assert.equal("cancelled", a:status())
    end)
  end)

  it("operation in a timeout loses nothing over a thousand turns", function()
    run(function()
      async.time.pause()
      local tx, rx = channel(3)
      local received = 0
      local producer = spawn(function()
        local i = 1
        while i <= 1000 do
          local ok, e = async.timeout(0.002, tx.send, tx, i)
          if ok then
            i = i + 1
          else
            assert.equal("ETIMEDOUT", e.code)
          end
          if i % 5 == 0 then async.sleep(0.001 * (i % 7)) end
        end
        tx:close()
      end)
      while true do
        local v, e = async.timeout(0.003, rx.recv, rx)
        if v then
          received = received + 1
          assert.equal(received, v)
          if v % 3 == 0 then async.sleep(0.001 * (v % 11)) end
        elseif not e then
          break
        end
      end
      producer:await()
      assert.equal(1000, received)
    end)
  end)
end)

describe("a future of", function()
  it("recv and send is the C future itself, and lazy", function()
    run(function()
      local tx, rx = channel(1)
      local f = async.future(tx.send, tx, "x")
      spin()
      assert.equal(0, #rx)
      assert.is_true(f:await())
      assert.equal("x", async.future(rx.recv, rx):await())
      local g = async.future(rx)
      tx:send("y")
      assert.equal("y", g:await())
      tx:send("z")
      assert.equal("z", async.await(rx))
    end)
  end)
end)

it("a use that can go at once works where no task can be suspended, one that waits says so", function()
  run(function()
    local tx, rx = channel(1)
    local ok, e
    table.sort({ 2, 1 }, function(a, b)
      tx:send(a)
      ok, e = pcall(tx.send, tx, b)
      rx:recv()
      return a < b
    end)
    assert.is_false(ok)
    assert.matches("cannot wait inside a call that cannot be suspended", e)
  end)
end)

describe("waiting for what never comes", function()
  it("is reported as a deadlock that says what is waited for", function()
    local tx, rx = channel(1)
    local m, n, b = async.sync.mutex(), async.sync.notify(), async.sync.barrier(2)
    local held = m:try_lock()
    local waits = {
      ["channel%.recv"] = rx.recv, ["mutex%.lock"] = m.lock, ["notify%.wait"] = n.wait,
      ["barrier%.wait"] = b.wait,
    }
    local subjects = { ["channel%.recv"] = rx, ["mutex%.lock"] = m, ["notify%.wait"] = n, ["barrier%.wait"] = b }
    for name, f in pairs(waits) do
      local ok, e = pcall(async.run, function() f(subjects[name]) end)
      assert.is_false(ok)
      assert.equal("EDEADLK", e.code)
      assert.matches(name, tostring(e))
    end
    held:unlock()
    tx:close()
  end)
end)
