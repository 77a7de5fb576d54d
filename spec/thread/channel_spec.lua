-- What passes between threads: channel, oneshot, broadcast, watch, shared.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local body = require("spec.support.threads").body
local run, thread, spawn = support.run, async.thread, async.spawn
local code, is_end = steps.code, steps.is_end

-- Spins here until a thread has set the flag.
local function wait_for(shared, value)
  while shared:get() ~= value do async.sleep(0.0005) end
end

describe("thread.channel #nogc", function()
  it("makes ends that say what they are", function()
    local tx, rx = thread.channel(1)
    assert.matches("^ThreadSender: 0x", tostring(tx))
    assert.matches("^ThreadReceiver: 0x", tostring(rx))
    tx:close()
    assert.matches("^ThreadSender %(closed%)", tostring(tx))
    for _, bad in ipairs { 0, -1, 0.5, "x", {} } do assert.has_error(function() thread.channel(bad) end) end
    thread.channel(math.huge)
  end)

  it("carries values to a thread and back, in order, and ends", function()
    run(function()
      local tx, rx = thread.channel(4)
      local tx2, rx2 = thread.channel(4)
      local t = thread.spawn(body [[
        local rx, tx = ...
        for v in rx do assert(tx:send({ v, v * 2 })) end
        return "ended"]], rx, tx2)
      rx:close()
      tx2:close()
      spawn(function()
        for i = 1, 1000 do assert.is_true(tx:send(i)) end
        tx:close()
      end)
      for i = 1, 1000 do assert.same({ i, i * 2 }, rx2:recv()) end
      assert.equal("ended", t:await())
      is_end(rx2:recv())
      is_end(rx2:try_recv())
    end)
  end)

  it("works in one thread as a channel does", function()
    run(function()
      local tx, rx = thread.channel(2)
      assert.is_true(tx:try_send("a"))
      assert.is_true(tx:send("b"))
      assert.equal(2, #rx)
      code("EAGAIN", tx:try_send("c"))
      local third = spawn(tx.send, tx, "c")
      async.yield()
      assert.equal("waiting", third:status())
      assert.equal("a", rx:recv())
      assert.is_true(third:await())
      assert.equal("b", rx:try_recv())
      assert.equal("c", rx:recv())
      code("EAGAIN", rx:try_recv())
      assert.has_error(function() tx:send(nil) end)
      assert.has_error(function() tx:send(coroutine.create(print)) end)
    end)
  end)

  it("gives copies", function()
    run(function()
      local tx, rx = thread.channel(1)
      local t = { x = {} }
      tx:send(t)
      t.x.y = 1
      assert.same({ x = {} }, rx:recv())
    end)
  end)

  it("holds as many as it was made for, whoever sends", function()
    run(function()
      local sent = thread.shared(0)
      local tx, rx = thread.channel(3)
      local t = thread.spawn(body "local tx, sent = ... for i = 1, 10 do tx:send(i) sent:set(i) end", tx, sent)
      tx:close()
      wait_for(sent, 3)
      async.sleep(0.01)
      assert.equal(3, sent:get())
      assert.equal(3, #rx)
      assert.equal(1, rx:recv())
      wait_for(sent, 4)
      local n = 1
      for _ in rx do n = n + 1 end
      assert.equal(10, n)
      t:await()
    end)
  end)

  it("tells senders when the last receiver has gone, also those that wait", function()
    run(function()
      local tx, rx = thread.channel(1)
      local full = thread.shared(false)
      local t = thread.spawn(body [[
        local tx, full = ...
        assert(tx:send(1))
        full:set(true)
        local ok, e = tx:send(2)
        return ok, e.code, select(2, tx:try_send(3)).code]], tx, full)
      wait_for(full, true)
      async.sleep(0.005)
      rx:close()
      assert.same({ n = 3, nil, "EPIPE", "EPIPE" }, table.pack(t:await()))
      code("EPIPE", tx:send(4))
      code("EBADF", rx:recv())
      tx:close()
      code("EBADF", tx:send(5))
      code("EBADF", tx:clone())
    end)
  end)

  it("wakes who waits on an end that is closed here", function()
    run(function()
      local tx, rx = thread.channel(1)
      local other <close> = tx:clone()
      local r = spawn(rx.recv, rx)
      async.yield()
      rx:close()
      code("ECANCELED", r:await())
      tx, rx = thread.channel(1)
      local _ <close> = rx
      tx:send(1)
      local s = spawn(tx.send, tx, 2)
      async.yield()
      tx:close()
      code("ECANCELED", s:await())
    end)
  end)

  it("ends when threads that have its ends fail, are cancelled, or leave them to the collector", function()
    run(function()
      for _, text in ipairs { "error 'x'", "async.sleep(1000)", "return" } do
        local tx, rx = thread.channel(1)
        local old = async.on_error(function() end)
        local t = thread.spawn(body("local tx = ... tx:send(1) " .. text), tx)
        tx:close()
        assert.equal(1, rx:recv())
        if text:find("sleep") then t:cancel() end
        is_end(rx:recv())
        pcall(t.await, t)
        async.on_error(old)
      end
    end)
  end)

  it("carries everything once, from any number of threads to any number, some dying in the middle", function()
    run(function()
      for _, n in ipairs { { 1, 1 }, { 4, 1 }, { 1, 4 }, { 3, 3 } } do
        local tx, rx = thread.channel(16)
        local senders, receivers = {}, {}
        for i = 1, n[1] do
          senders[i] = thread.spawn(body [[
            local tx, id = ...
            for k = 1, 2000 do assert(tx:send { id, k }) end]], tx, i)
        end
        for i = 1, n[2] do
          receivers[i] = thread.spawn(body [=[
            local rx, mortal = ...
            local seen, last = {}, {}
            for m in rx do
              assert((last[m[1]] or 0) < m[2]) -- in order, of each sender
              last[m[1]] = m[2]
              seen[#seen + 1] = m[1] * 10000 + m[2]
              if mortal and #seen == 500 then break end
            end
            return seen]=], rx, i > 1)
        end
        tx:close()
        rx:close()
        local all = {}
        for i = 1, n[2] do
          for _, v in ipairs(receivers[i]:await()) do
            assert.is_nil(all[v])
            all[v] = true
          end
        end
        for i = 1, n[1] do
          senders[i]:await()
          for k = 1, 2000 do assert.is_true(all[i * 10000 + k], i .. " " .. k) end
        end
      end
    end)
  end)

  it("carries a million messages in each pattern", function()
    -- Libtsan's shadow stack grows with each yield.
    local total = ({ release = 1000000, tsan = 2000 })[os.getenv("LUA_ASYNC_FLAVOUR") or "release"] or 30000
    run(function()
      for _, n in ipairs { { 1, 1 }, { 4, 1 }, { 1, 4 }, { 2, 2 } } do
        local tx, rx = thread.channel(128)
        local senders, receivers, each = {}, {}, total // n[1]
        for i = 1, n[1] do
          senders[i] = thread.spawn(body "local tx, each = ... for k = 1, each do assert(tx:send(k)) end", tx, each)
        end
        for i = 1, n[2] do
          receivers[i] = thread.spawn(body [[
            local count, sum = 0, 0
            for v in ... do count, sum = count + 1, sum + v end
            return count, sum]], rx)
        end
        tx:close()
        rx:close()
        local count, sum = 0, 0
        for i = 1, n[2] do
          local c, s = receivers[i]:await()
          count, sum = count + c, sum + s
        end
        for i = 1, n[1] do senders[i]:await() end
        assert.equal(each * n[1], count)
        assert.equal(n[1] * (each * (each + 1) // 2), sum)
      end
    end)
  end)

  it("loses nothing to receives and sends that are cancelled", function()
    run(function()
      local tx, rx = thread.channel(1)
      local t = thread.spawn(body "local tx = ... for i = 1, 500 do assert(tx:send(i)) end", tx)
      tx:close()
      local seen = {}
      while true do
        local ok, v = async.timeout(0.0001, function() return true, rx:recv() end)
        if ok and v == nil then break end
        if ok then seen[#seen + 1] = v end
      end
      t:await()
      -- what a timeout takes away after the value was won would be missing
      for i, v in ipairs(seen) do assert.is_true(i == 1 or seen[i - 1] < v) end
      local r = async.future(rx.recv, rx)
      is_end(r:await())
    end)
  end)

  it("in a select, again and again, loses nothing at all", function()
    run(function()
      local tx, rx = thread.channel(1)
      local t = thread.spawn(body "local tx = ... for i = 1, 500 do assert(tx:send(i)) end", tx)
      tx:close()
      local n = 0
      while true do
        local which, v = async.select { async.future(rx.recv, rx), async.future(async.sleep, 0.0001) }
        if which == 1 then
          if v == nil then break end
          n = n + 1
          assert.equal(n, v)
        end
      end
      assert.equal(500, n)
      t:await()
    end)
  end)

  it("its ends are sent as clones", function()
    run(function()
      local tx, rx = thread.channel(1)
      local t = thread.spawn(body "local tx = ... tx:send('from there')", tx)
      assert.equal("from there", rx:recv())
      t:await()
      assert.is_true(tx:send("from here"))
      assert.equal("from here", rx:recv())
      tx:close()
      is_end(rx:recv())
      code("EBADF", thread.spawn_blocking(body "", tx))
    end)
  end)

  it("may be sent through itself", function()
    run(function()
      local tx, rx = thread.channel(2)
      tx:send { tx, rx }
      local m = rx:recv()
      tx:close()
      m[1]:send("still open")
      assert.equal("still open", m[2]:recv())
      m[1]:close()
      is_end(rx:recv())
    end)
  end)

  it("dropped with messages in it, drops what is in them", function()
    run(function()
      local tx, rx = thread.channel(2)
      local tx2, rx2 = thread.channel(1)
      tx:send(tx2)
      tx2:close()
      rx:close()
      tx:close()
      is_end(rx2:recv()) -- its sender was in there
    end)
  end)
end)

describe("thread.oneshot #nogc", function()
  it("carries one value, from whatever thread", function()
    run(function()
      local tx, rx = thread.oneshot()
      local t = thread.spawn_blocking(body "return (...):send('done')", tx)
      assert.matches("closed", tostring(tx)) -- it is there now
      assert.equal("done", rx:recv())
      is_end(rx:recv())
      assert.is_true(t:await())
      tx, rx = thread.oneshot()
      assert.is_true(tx:send(1))
      assert.has_error(function() tx:send(2) end)
      assert.equal(1, rx:recv())
    end)
  end)

  it("ends without a value when the sender is dropped", function()
    run(function()
      local tx, rx = thread.oneshot()
      thread.spawn(body "", tx):await()
      is_end(rx:recv())
    end)
  end)
end)

describe("thread.broadcast #nogc", function()
  it("gives every message to every receiver, in any thread", function()
    run(function()
      local tx = thread.broadcast(16)
      local tasks = {}
      for i = 1, 3 do
        local rx <close> = tx:subscribe()
        tasks[i] = thread.spawn(body "local n = 0 for v in (...) do n = n + v end return n", rx)
      end
      local here = tx:subscribe()
      assert.equal(4, tx:receivers())
      for i = 1, 10 do assert.equal(4, tx:send(i)) end
      tx:close()
      for i = 1, 3 do assert.equal(55, tasks[i]:await()) end
      for i = 1, 10 do assert.equal(i, here:recv()) end
      is_end(here:recv())
    end)
  end)

  it("tells the slow ones how many they missed", function()
    run(function()
      local tx = thread.broadcast(2)
      local rx = tx:subscribe()
      for i = 1, 5 do tx:send(i) end
      local v, err = rx:recv()
      assert.same({ nil, "EOVERFLOW", 3 }, { v, err.code, err.lost })
      assert.equal(4, rx:recv())
      assert.equal(5, rx:try_recv())
      code("EAGAIN", rx:try_recv())
      rx:close()
      code("EPIPE", tx:send(6))
      assert.has_error(function() tx:send(nil) end)
    end)
  end)

  it("refuses what only one thread can own", function()
    run(function()
      local tx, rx = thread.broadcast(2), nil
      rx = tx:subscribe()
      local conn <close> = support.pair()
      local ok, e = pcall(tx.send, tx, { conn })
      assert.is_false(ok)
      assert.matches("only one thread", e)
      assert.has_error(function() thread.watch(conn) end)
      rx:close()
    end)
  end)
end)

describe("thread.watch #nogc", function()
  it("shows the newest value, and tells of changes, in any thread", function()
    run(function()
      local tx, rx = thread.watch({ n = 0 })
      local seen = thread.shared(-1)
      local t = thread.spawn(body [[
        local rx, seen = ...
        assert(not rx:has_changed())
        seen:set(rx:get().n)
        for v in rx do seen:set(v.n) end
        return rx:get().n]], rx, seen)
      wait_for(seen, 0)
      for i = 1, 3 do
        assert.is_true(tx:send { n = i })
        wait_for(seen, i)
      end
      assert.is_true(rx:has_changed())
      assert.is_true(rx:changed())
      assert.same({ n = 3 }, rx:get())
      assert.same({ n = 3 }, tx:get())
      assert.equal(2, tx:receivers())
      tx:close()
      assert.equal(3, t:await())
      is_end(rx:changed())
      rx:close()
      code("EBADF", rx:get())
    end)
  end)

  it("an end that is sent has seen what the original had", function()
    run(function()
      local tx, rx = thread.watch(1)
      tx:send(2)
      assert.equal(2, thread.spawn(body "return (...):recv()", rx):await())
      rx:get()
      tx:send(3)
      assert.equal(3, thread.spawn(body "return (...):recv()", rx:clone()):await())
    end)
  end)
end)

describe("thread.shared #nogc", function()
  it("is a number or a flag that threads share", function()
    run(function()
      local s = thread.shared(10)
      assert.equal("Shared: 10", tostring(s))
      assert.equal(11, s:add())
      assert.equal(6, s:add(-5))
      assert.equal(6.5, s:add(0.5))
      assert.equal(6.5, s:swap(true))
      assert.is_true(s:get())
      assert.equal(s, s:set(1))
      assert.equal(math.mininteger, s:set(math.maxinteger):add(1))
      s:set(1)
      assert.is_true(s:compare_exchange(1.0, 2))
      assert.same({ false, 2 }, { s:compare_exchange(1, 3) })
      assert.equal(2, s:get())
      local tasks = {}
      s:set(0)
      for i = 1, 4 do tasks[i] = thread.spawn(body "for _ = 1, 10000 do (...):add() end", s) end
      for i = 1, 4 do tasks[i]:await() end
      assert.equal(40000, s:get())
      assert.is_true(thread.spawn_blocking(body "local a, b = ... return a == b", s, s):await())
      for _, bad in ipairs { "x", {}, print } do assert.has_error(function() thread.shared(bad) end) end
      assert.has_error(function() thread.shared() end)
      assert.has_error(function() thread.shared(true):add(1) end)
      assert.has_error(function() thread.shared(1):add("1") end)
    end)
  end)
end)
