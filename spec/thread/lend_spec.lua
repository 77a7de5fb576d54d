-- Large strings between threads: read where they are, copied once, and let go of in time.
local async = require "lua_async"
local support = require "spec.support"
local body = require("spec.support.threads").body
local run, thread = support.run, async.thread

local MIB = 1 << 20
local function large(i, size) return ("%08d"):format(i):rep((size or MIB) // 8) end

-- Of this state, in MiB, once all that is garbage is collected: in two cycles, as for what has a finaliser.
local function memory()
  for _ = 1, 3 do collectgarbage() end
  return collectgarbage "count" / 1024
end

describe("a large string", function()
  it("arrives whole, of whatever size, wherever it stands", function()
    run(function()
      for _, size in ipairs { 32767, 32768, 32769, 65536, 3 * MIB } do
        local s = ("x"):rep(size - 1) .. "\0"
        local a, t, f = thread.spawn_blocking(body "return ...", s, { s, s, [s] = { s } },
          function() return s end):await()
        assert.is_true(a == s and t[1] == s and t[2] == s and t[s][1] == s and f() == s)
      end
    end)
  end)

  it("is received by all who subscribed, and watched", function()
    run(function()
      local btx, wtx, wrx = thread.broadcast(4), thread.watch("")
      local receivers = {}
      for i = 1, 3 do
        receivers[i] = thread.spawn(body [[
          local rx, wrx = ...
          local list = { rx:recv(), rx:recv() }
          repeat local s = wrx:get() until #s > 0 or not wrx:changed()
          return list, wrx:get()
        ]], btx:subscribe(), wrx)
      end
      btx:send(large(1))
      btx:send(large(2))
      wtx:send(large(3))
      for i = 1, 3 do
        local list, seen = receivers[i]:await()
        assert.is_true(list[1] == large(1) and list[2] == large(2) and seen == large(3))
      end
    end)
  end)

  it("is there when its sender's state is not any more", function()
    run(function()
      local tx, rx = thread.channel(8)
      local t = thread.spawn(body [[
        local tx = ...
        for i = 1, 8 do tx:send { i, (("%08d"):format(i)):rep(1 << 17) } end
        return ("r"):rep(1 << 20)
      ]], tx)
      tx:close()
      assert.is_true(t:await() == ("r"):rep(MIB))
      for i = 1, 8 do
        local m = rx:recv()
        assert.is_true(m[1] == i and m[2] == large(i))
      end
      assert.is_nil(rx:recv())
    end)
  end)

  it("may be read while its sender's state closes", function()
    run(function()
      for round = 1, 20 do
        local tx, rx = thread.channel(4)
        local t = thread.spawn(body [[
          local tx, round = ...
          for _ = 1, 4 do tx:send((("%08d"):format(round)):rep(1 << 17)) end
        ]], tx, round)
        tx:close()
        for _ = 1, 4 do assert.is_true(rx:recv() == large(round)) end
        t:await()
      end
    end)
  end)

  it("goes to the state that it came from without a copy", function()
    run(function()
      local tx, rx = thread.channel(4)
      local before = memory()
      local s = large(7, 16 * MIB)
      for _ = 1, 4 do tx:send(s) end
      local got = { rx:recv(), rx:recv(), rx:recv(), rx:recv() }
      assert.is_true(got[4] == s)
      assert.is_true(memory() - before < 20)
    end)
  end)

  it("is no more than itself on its way", function()
    if (os.getenv("LUA_ASYNC_FLAVOUR") or "release") ~= "release" then return end -- sanitizers keep what is freed
    run(function()
      local tx, rx = thread.channel(8)
      local s = large(1, 32 * MIB)
      local before = support.sys.rss()
      for _ = 1, 8 do tx:send(s) end
      assert.is_true(support.sys.rss() - before < 32 * MIB)
      rx:close()
    end)
  end)

  it("is let go of when it was received, or dropped", function()
    run(function()
      local before = memory()
      local tx, rx = thread.channel(8)
      local t = thread.spawn(body "local rx = ... local n = 0 for s in rx do n = n + #s end return n", rx)
      for i = 1, 8 do tx:send(large(i, 4 * MIB)) end
      tx:close()
      assert.equal(32 * MIB, t:await())
      rx:close()
      assert.is_true(memory() - before < 8, "received")

      tx, rx = thread.channel(8)
      for i = 1, 8 do tx:send(large(i, 4 * MIB)) end
      assert.is_true(memory() - before > 30) -- they are nowhere else
      rx:close()
      tx:close()
      assert.is_true(memory() - before < 8, "dropped")

      tx, rx = thread.channel(1)
      for i = 1, 20 do -- by those that come after it, without a full collection
        tx:send(large(i, 4 * MIB))
        rx:recv()
      end
      assert.is_true(collectgarbage "count" / 1024 - before < 60, "one after another")
      tx:close()
      rx:close()
    end)
  end)

  it("that could not be sent is let go of", function()
    run(function()
      local before = memory()
      for i = 1, 8 do
        assert.is_false(pcall(thread.spawn_blocking, body "return ...", large(i, 4 * MIB), coroutine.create(print)))
      end
      assert.is_true(memory() - before < 8)
    end)
  end)
end)
