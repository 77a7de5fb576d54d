-- Channels: bounded, of 0 (rendezvous), unbounded; their ends, order, cancellation.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local run, spawn, channel = support.run, async.spawn, async.channel
local code, is_end, spin = steps.code, steps.is_end, steps.spin

describe("a channel #nogc", function()
  it("is the same in both places, and its ends say what they are", function()
    assert.equal(async.sync.channel, async.channel)
    local tx, rx = channel(1)
    assert.matches("^Sender: 0x", tostring(tx))
    assert.matches("^Receiver: 0x", tostring(rx))
    tx:close()
    assert.matches("^Sender %(closed%)", tostring(tx))
    assert.equal("lua_async.Sender", debug.getmetatable(tx).__name)
  end)

  it("delivers in order what one task sends, and ends when the sender closes", function()
    run(function()
      local tx, rx = channel(4)
      local seen = {}
      spawn(function()
        for i = 1, 20 do assert.is_true(tx:send(i)) end
        tx:close()
      end)
      for v in rx do seen[#seen + 1] = v end
      assert.equal(20, #seen)
      for i = 1, 20 do assert.equal(i, seen[i]) end
      is_end(rx:recv())
      is_end(rx:try_recv())
    end)
  end)

  it("holds as many as it was made for; the next sender waits for room", function()
    run(function()
      local tx, rx = channel(2)
      local sent = 0
      local t = spawn(function()
        for i = 1, 4 do
          tx:send(i)
          sent = i
        end
      end)
      spin()
      assert.equal(2, sent)
      assert.equal(2, #rx)
      assert.equal(1, rx:recv())
      spin()
      assert.equal(3, sent)
      assert.equal(2, rx:recv())
      t:await()
      assert.equal(3, rx:recv())
      assert.equal(4, rx:recv())
    end)
  end)

  it("carries any value but nil, which is refused with a hint", function()
    run(function()
      local tx, rx = channel(8)
      local t = {}
      for _, v in ipairs { 1, "x", t, print } do tx:send(v) end
      tx:send(false)
      for _, v in ipairs { 1, "x", t, print } do assert.equal(v, rx:recv()) end
      assert.is_false(rx:recv())
      for _, f in ipairs { tx.send, tx.try_send } do
        local ok, e = pcall(f, tx, nil)
        assert.is_false(ok)
        assert.matches("nil cannot be sent.*send false", e)
      end
      assert.equal(0, #rx)
    end)
  end)

  it("lets try_send and try_recv say that they would wait, also outside of a run", function()
    local tx, rx = channel(1)
    code("EAGAIN", rx:try_recv())
    assert.is_true(tx:try_send("a"))
    code("EAGAIN", tx:try_send("b"))
    run(function()
      assert.equal("a", rx:recv())
      tx:send("c")
    end)
    assert.equal("c", rx:try_recv())
    tx:close()
    is_end(rx:try_recv())
    assert.has_error(function() tx.send(tx, 1) end)
  end)

  it("has no limit when it is made for math.huge #large", function()
    run(function()
      local tx, rx = channel(math.huge)
      for i = 1, 10000 do assert.is_true(tx:try_send(i)) end
      for i = 1, 5000 do assert.equal(i, rx:recv()) end
      for i = 10001, 20000 do tx:send(i) end
      tx:close()
      local n = 5000
      for v in rx do
        n = n + 1
        assert.equal(n, v)
      end
      assert.equal(20000, n)
    end)
  end)

  it("keeps the order while its ring grows in every position", function()
    run(function()
      for shift = 0, 9 do
        for capacity = 1, 23 do
          local tx, rx = channel(capacity)
          local next_in, next_out = 1, 1
          for _ = 1, shift do
            assert(tx:try_send(next_in))
            next_in = next_in + 1
            assert.equal(next_out, rx:try_recv())
            next_out = next_out + 1
          end
          while tx:try_send(next_in) do next_in = next_in + 1 end
          assert.equal(capacity, next_in - next_out)
          while next_out < next_in do
            assert.equal(next_out, rx:try_recv())
            next_out = next_out + 1
          end
        end
      end
    end)
  end)

  it("forgets a value that was received", function()
    run(function()
      local tx, rx = channel(4)
      local weak = setmetatable({}, { __mode = "v" })
      for i = 1, 4 do
        weak[i] = { i }
        tx:send(weak[i])
      end
      for _ = 1, 4 do rx:recv() end
      collectgarbage()
      assert.same({}, weak)
      tx:close()
    end)
  end)

  it("refuses a capacity that makes no sense", function()
    for _, n in ipairs { -1, 1.5, "x", 1 << 40 } do
      assert.is_false((pcall(channel, n)))
    end
    assert.is_false((pcall(channel)))
    run(function()
      local tx = channel(1)
      assert.matches("Sender expected", select(2, pcall(tx.send, io.stdout, 1)))
    end)
  end)

  it("is not starved, and starves nobody: a busy pair lets a third task run", function()
    run(function()
      local tx, rx = channel(1000)
      local turns, stop = 0, false
      spawn(function()
        while not stop do
          turns = turns + 1
          async.yield()
        end
      end)
      local sum = 0
      local t = spawn(function() for _ = 1, 10000 do sum = sum + rx:recv() end end)
      for _ = 1, 10000 do tx:send(1) end
      t:await()
      stop = true
      assert.equal(10000, sum)
      assert.is_true(turns > 10, turns) -- under a seed a yield takes two
    end)
  end)
end)

describe("the ends of a channel #nogc", function()
  it("let receivers have what is there before they end", function()
    run(function()
      local tx, rx = channel(3)
      tx:send(1)
      tx:send(2)
      tx:close()
      code("EBADF", tx:send(3))
      code("EBADF", tx:try_send(3))
      assert.equal(1, rx:recv())
      assert.equal(2, rx:recv())
      is_end(rx:recv())
    end)
  end)

  it("wake a receiver that waits when the last sender closes", function()
    run(function()
      local tx, rx = channel(3)
      local t = spawn(function() return select("#", rx:recv()) end)
      spin()
      tx:close()
      assert.equal(1, t:await())
    end)
  end)

  it("fail the senders when the last receiver closes, and the value is the sender's still", function()
    run(function()
      local tx, rx = channel(1)
      tx:send(1)
      local value = {}
      local t = spawn(function() return tx:send(value) end)
      spin()
      rx:close()
      code("EPIPE", t:await())
      code("EPIPE", tx:send(2))
      code("EPIPE", tx:try_send(2))
      code("EBADF", rx:recv())
      code("EBADF", rx:try_recv())
    end)
  end)

  it("fail a sender that had been granted room already", function()
    run(function()
      local tx, rx = channel(1)
      tx:send(1)
      local t = spawn(function() return tx:send(2) end)
      spin()
      assert.equal(1, rx:try_recv()) -- the room is t's, who has not run since
      rx:close()
      code("EPIPE", t:await())
    end)
  end)

  it("count: a clone keeps the channel open", function()
    run(function()
      local tx, rx = channel(1)
      local tx2, rx2 = tx:clone(), rx:clone()
      tx:close()
      tx:close()
      assert.is_true(tx2:send(1))
      rx:close()
      rx:close()
      assert.equal(1, rx2:recv())
      tx2:close()
      is_end(rx2:recv())
      code("EBADF", tx:clone())
      code("EBADF", rx:clone())
    end)
  end)

  it("are closed when they are collected", function()
    run(function()
      local tx, rx = channel(1)
      local t = spawn(function() return select("#", rx:recv()) end)
      spin()
      assert.equal("waiting", t:status())
      tx = nil
      collectgarbage()
      assert.equal(1, t:await())
      assert.is_nil(tx)
      tx, rx = channel(0)
      t = spawn(function() return tx:send(1) end)
      spin()
      rx = nil
      collectgarbage()
      code("EPIPE", t:await())
      assert.is_nil(rx)
    end)
  end)

  it("are closed by their <close> variables, also those of a task that fails", function()
    run(function()
      async.on_error(function() end)
      local tx, rx = channel(1)
      spawn(function()
        local _ <close> = tx
        error("on purpose")
      end)
      is_end(rx:recv())
      async.on_error(nil)
    end)
  end)

  it("let go of what nobody can receive any more, while there are senders", function()
    run(function()
      for _, how in ipairs { "closed", "collected" } do
        local seen = setmetatable({}, { __mode = "v" })
        local tx, rx = channel(6)
        local other = rx:clone()
        for i = 1, 9 do -- around the end of the ring
          seen[i] = { i }
          tx:send(seen[i])
          if i < 4 then rx:recv() end
        end
        other:close()
        collectgarbage()
        assert.is_table(seen[8])
        if how == "closed" then rx:close() else rx = nil end
        collectgarbage()
        collectgarbage()
        assert.is_nil(next(seen))
        assert.equal(0, rx and #rx or 0)
        assert.equal("EPIPE", select(2, tx:try_send(1)).code)
      end
    end)
  end)

  it("end an operation that waits on the end that is closed with ECANCELED", function()
    run(function()
      local tx, rx = channel(1)
      tx:send(1)
      local other = tx:clone()
      local mine = spawn(function() return tx:send(2) end)
      local others = spawn(function() return other:send(3) end)
      spin()
      tx:close()
      code("ECANCELED", mine:await())
      assert.equal("waiting", others:status())
      assert.equal(1, rx:recv())
      assert.is_true(others:await())
      assert.equal(3, rx:recv())
      local rx2 = rx:clone()
      local a, b = spawn(function() return rx:recv() end), spawn(function() return rx2:recv() end)
      spin()
      rx:close()
      code("ECANCELED", a:await())
      other:send(4)
      assert.equal(4, b:await())
    end)
  end)
end)

describe("many senders and receivers #nogc", function()
  it("are each served in the order in which they came", function()
    support.in_order(function()
      local tx, rx = channel(1)
      local order, tasks = {}, {}
      for i = 1, 5 do
        tasks[i] = spawn(function()
          local v = rx:recv()
          order[#order + 1] = { i, v }
        end)
      end
      spin()
      for i = 1, 5 do tx:send(i) end
      for i = 1, 5 do tasks[i]:await() end
      for i = 1, 5 do assert.same({ i, i }, order[i]) end
      tx:send(0)
      for i = 1, 5 do
        tasks[i] = spawn(function() tx:send(i) end)
      end
      spin()
      for i = 0, 5 do assert.equal(i, rx:recv()) end
    end)
  end)

  it("do not overtake one that was granted and has not run yet", function()
    run(function()
      local tx, rx = channel(1)
      local t = spawn(function() return rx:recv() end)
      spin()
      tx:try_send("for t")
      code("EAGAIN", rx:try_recv())
      assert.equal("for t", t:await())
      tx:send(1)
      t = spawn(function() return tx:send(2) end)
      spin()
      assert.equal(1, rx:try_recv())
      code("EAGAIN", tx:try_send(3))
      t:await()
      assert.equal(2, rx:recv())
    end)
  end)

  it("get every message once", function()
    run(function()
      for _, capacity in ipairs { 0, 1, 3, 64 } do
        local tx, rx = channel(capacity)
        local seen, count = {}, 0
        local receivers, senders = {}, {}
        for r = 1, 4 do
          receivers[r] = spawn(function()
            for v in rx do
              assert.is_nil(seen[v])
              seen[v] = true
              count = count + 1
              if v % 7 == r then async.yield() end
            end
          end)
        end
        for s = 1, 5 do
          local mine = tx:clone()
          senders[s] = spawn(function()
            local out <close> = mine
            for i = 1, 100 do
              out:send(s * 1000 + i)
              if i % 11 == s then async.yield() end
            end
          end)
        end
        tx:close()
        for _, t in ipairs(receivers) do t:await() end
        for _, t in ipairs(senders) do t:await() end
        assert.equal(500, count)
      end
    end)
  end)
end)
