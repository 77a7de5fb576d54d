-- Cancelled at every await of what waits for other threads, as spec/cancel_each_spec.lua does for the others: done, or
-- not done; nothing is lost, no thread is left.
local async = require "lua_async"
local each = require "spec.support.cancel_each"
local support = require "spec.support"
local threads = require "spec.support.threads"
local body, thread = threads.body, async.thread

local function ends(make, ...)
  local args = table.pack(...)
  return function(w)
    local tx, rx = make(table.unpack(args, 1, args.n))
    w.tx, w.rx = w.own(tx), w.own(rx)
  end
end

-- What this thread, or another (from `threads`), sends while the operation waits.
local function sends(value)
  return function(w, i)
    if i == 3 then w.tx:send(value) end
  end
end

-- `least` is 0 where the other thread may have done its part before the first turn is over.
local cases = {
  { "thread.spawn_blocking", least = 0, world = function(w) w.n = thread.shared(0) end,
    op = function(w) return thread.spawn_blocking(body "(...):add() return 'x'", w.n):await() end, want = { "x" } },
  { "thread.spawn", least = 0, world = function(w) w.n = thread.shared(0) end,
    op = function(w) return thread.spawn(body "(...):add() async.yield() return 'x'", w.n):await() end,
    want = { "x" } },
  { "thread.workers", least = 0,
    op = function() return thread.workers(2, body "async.sleep(0.001)") end, want = { true } },
  { "channel.recv", world = ends(thread.channel, 1), turn = sends("v"),
    op = function(w) return w.rx:recv() end, want = { "v" },
    after = function(w, done)
      if done then return end
      local v = w.rx:try_recv()
      if v == nil then
        assert(w.tx:send("v"))
        v = w.rx:recv()
      end
      assert.equal("v", v)
    end },
  { "channel.recv from a thread", least = 0, world = function(w)
      local tx <close>, rx = thread.channel(1)
      w.rx = w.own(rx)
      w.sender = thread.spawn(body "(...):send('v')", tx)
    end,
    op = function(w) return w.rx:recv() end, want = { "v" },
    after = function(w, done)
      if not done then assert.equal("v", w.rx:recv()) end
      assert.is_nil(w.rx:recv())
      w.sender:await()
    end },
  { "channel.send", world = ends(thread.channel, 1), first = nil,
    op = function(w)
      w.tx:send("first")
      return w.tx:send("second")
    end, want = { true },
    turn = function(w, i) if i == 3 then assert.equal("first", w.rx:try_recv()) end end,
    after = function(w, done)
      local got = {}
      while #w.rx > 0 do got[#got + 1] = w.rx:recv() end
      if done then assert.equal("second", got[#got]) else assert.not_equal("second", got[#got]) end
    end },
  { "channel.send of a connection", world = function(w)
      ends(thread.channel, 1)(w)
      w.near, w.far = support.pair()
      w.own(w.near)
      w.own(w.far)
      w.tx:send("full")
    end,
    op = function(w) return w.tx:send(w.near) end, want = { true },
    turn = function(w, i) if i == 3 then assert.equal("full", w.rx:recv()) end end,
    after = function(w, done) -- wherever it is, it works
      local conn = w.near
      if done then
        while not conn or conn == "full" or conn == w.near do conn = w.rx:recv() end
        w.own(conn)
      end
      assert(w.far:write("hello\n"))
      assert.equal("hello", conn:read("l"))
    end },
  { "broadcast.recv", world = function(w)
      w.tx = w.own(thread.broadcast(4))
      w.rx = w.own(w.tx:subscribe())
    end, turn = sends("v"), op = function(w) return w.rx:recv() end, want = { "v" },
    after = function(w, done)
      if done then return end
      local v = w.rx:try_recv()
      if v == nil then
        w.tx:send("v")
        v = w.rx:recv()
      end
      assert.equal("v", v)
    end },
  { "watch.recv", world = ends(thread.watch, 0), turn = sends("v"),
    op = function(w) return w.rx:recv() end, want = { "v" },
    after = function(w, done)
      if done or not w.rx:has_changed() then return end
      assert.equal("v", w.rx:recv())
    end },
}

for _, case in ipairs(cases) do
  describe(case[1] .. " #noseeds #notsan", function()
    for _, how in ipairs(each.ways) do
      it("is given up by " .. how .. " at every turn", function() each.every(case, how) end)
    end
  end)
end
