-- Channels of 0: a send ends when a receiver has come for it.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local run, spawn, channel = support.run, async.spawn, async.channel
local code, spin, begun = steps.code, steps.spin, steps.begun

describe("a rendezvous", function()
  it("makes the sender wait for a receiver", function()
    run(function()
      local tx, rx = channel(0)
      local t = spawn(function() return tx:send("x") end)
      spin()
      assert.equal("waiting", t:status())
      assert.equal("x", rx:recv())
      assert.is_true(t:await())
    end)
  end)

  it("makes the receiver wait for a sender, who then need not wait", function()
    run(function()
      local tx, rx = channel(0)
      code("EAGAIN", tx:try_send("x"))
      local t = spawn(function() return rx:recv() end)
      spin()
      assert.is_true(tx:try_send("x"))
      code("EAGAIN", tx:try_send("y"))
      assert.equal("x", t:await())
    end)
  end)

  it("takes back the place of a receiver that gave up", function()
    run(function()
      local tx, rx = channel(0)
      local t = spawn(function() return rx:recv() end)
      spin()
      t:cancel()
      spin()
      code("EAGAIN", tx:try_send("x"))
      assert.is_nil((async.timeout(0, rx.recv, rx)))
      code("EAGAIN", tx:try_send("x"))
    end)
  end)

  it("takes it back from a sender that was granted it and has not run since", function()
    run(function()
      local tx, rx = channel(0)
      local sender = spawn(function() return tx:send("x") end)
      spin()
      do -- the receiver's future lends, the sender is woken, and the future is given up at once
        local f = begun(rx.recv, rx)
        f = nil
        collectgarbage()
        assert.is_nil(f)
      end
      spin()
      assert.equal("waiting", sender:status())
      code("EAGAIN", tx:try_send("y"))
      assert.equal("x", rx:recv())
      assert.is_true(sender:await())
    end)
  end)

  it("keeps the order of senders when a place is taken back", function()
    support.in_order(function()
      local tx, rx = channel(0)
      for i = 1, 3 do spawn(function() tx:send(i) end) end
      spin()
      local f = begun(rx.recv, rx)
      local g = begun(rx.recv, rx)
      f, g = nil, nil
      collectgarbage()
      assert.is_nil(f or g)
      spin()
      for i = 1, 3 do assert.equal(i, rx:recv()) end
    end)
  end)

  it("leaves what was sent to the next, when the receiver gave up after it had come", function()
    run(function()
      local tx, rx = channel(0)
      local f = begun(rx.recv, rx)
      assert.is_true(tx:try_send("x"))
      f = nil
      collectgarbage()
      assert.is_nil(f)
      code("EAGAIN", tx:try_send("y"))
      assert.equal("x", rx:try_recv())
      local t = spawn(function() return rx:recv() end)
      spin()
      assert.is_true(tx:try_send("y"))
      code("EAGAIN", tx:try_send("z"))
      assert.equal("y", t:await())
    end)
  end)

  it("passes what was sent on to the receiver behind it, whose own place is taken back", function()
    run(function()
      local tx, rx = channel(0)
      local f = begun(rx.recv, rx)
      local t = spawn(function() return rx:recv() end)
      spin()
      assert.is_true(tx:try_send("x"))
      f = nil
      collectgarbage()
      assert.is_nil(f)
      assert.equal("x", t:await())
      code("EAGAIN", tx:try_send("y"))
    end)
  end)

  it("ends: receivers with nil, senders with EPIPE", function()
    run(function()
      local tx, rx = channel(0)
      local t = spawn(function() return select("#", rx:recv()) end)
      spin()
      tx:close()
      assert.equal(1, t:await())
      tx, rx = channel(0)
      t = spawn(function() return tx:send(1) end)
      spin()
      rx:close()
      code("EPIPE", t:await())
    end)
  end)

  it("takes back the place of a receiver whose end is closed", function()
    run(function()
      local tx, rx = channel(0)
      local other = rx:clone()
      local t = spawn(function() return rx:recv() end)
      spin()
      rx:close()
      code("ECANCELED", t:await())
      code("EAGAIN", tx:try_send(1))
      local u = spawn(function() return other:recv() end)
      spin()
      assert.is_true(tx:try_send(2))
      assert.equal(2, u:await())
    end)
  end)

  it("hands over a thousand in order, with timeouts on both sides", function()
    run(function()
      async.time.pause()
      local tx, rx = channel(0)
      local t = spawn(function()
        local i = 1
        while i <= 1000 do
          if async.timeout(0.001 * (1 + i % 3), tx.send, tx, i) then i = i + 1 end
          if i % 10 == 0 then async.sleep(0.001 * (i % 4)) end
        end
        tx:close()
      end)
      local n = 0
      while true do
        local v, e = async.timeout(0.001 * (1 + n % 4), rx.recv, rx)
        if v then
          n = n + 1
          assert.equal(n, v)
        elseif not e then
          break
        end
        if n % 13 == 0 then async.sleep(0.001) end
      end
      t:await()
      assert.equal(1000, n)
    end)
  end)
end)
