-- Cancelled at every await of what spec/net/udp_spec.lua and spec/net/dns_spec.lua are about: it ends,
-- leaves nothing behind, and loses no datagram.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local net = async.net

-- Lua's longjmps leave libtsan with frames that never return: it dies of this many.
if os.getenv("LUA_ASYNC_FLAVOUR") == "tsan" then return end

local function two(w)
  w.a = w.own(assert(net.udp("127.0.0.1", 0)))
  w.b = w.own(assert(net.udp("127.0.0.1", 0)))
  w.port = select(2, w.a:address())
end

local function works(w)
  w.b:send("it works", "127.0.0.1", w.port)
  local data
  repeat data = w.a:recv() until data == "it works"
end

local function sends_late(w, i)
  if i == 3 then w.sent = w.b:send("one", "127.0.0.1", w.port) end
end

local cases = {
  { "net.resolve", lingers = true, op = function() return net.resolve("localhost", { family = "ipv4" }) end,
    after = function(_, done, list)
      if done then assert.same({ "127.0.0.1" }, list) end
    end },
  { "net.reverse", lingers = true, op = function() return net.reverse("127.0.0.1") end,
    after = function(_, done, name)
      if done then assert.equal("string", type(name)) end
    end },
  { "net.udp of a name", lingers = true, op = function() return net.udp("localhost", 0) end },
  { "connect", lingers = true, world = two, op = function(w) return w.b:connect("localhost", w.port) end,
    after = function(w, done)
      if done then w.b:disconnect() end
      works(w)
    end },
  { "send to a name", lingers = true, world = two, after = works,
    op = function(w) return w.b:send("x", "localhost", w.port) end },
  { "recv", world = two, turn = sends_late, op = function(w) return w.a:recv() end,
    after = function(w, done, data)
      if not done then
        if not w.sent then w.b:send("one", "127.0.0.1", w.port) end
        data = w.a:recv()
      end
      assert.equal("one", data)
      works(w)
    end },
  { "recv behind another", world = function(w)
      two(w)
      w.first = async.spawn(w.a.recv, w.a)
      async.yield()
    end,
    turn = function(w, i)
      if i == 3 then for _, text in ipairs { "zero", "one" } do w.sent = w.b:send(text, "127.0.0.1", w.port) end end
    end,
    op = function(w) return w.a:recv() end,
    after = function(w, done, data)
      if not w.sent then for _, text in ipairs { "zero", "one" } do w.b:send(text, "127.0.0.1", w.port) end end
      assert.equal("zero", w.first:await())
      if not done then data = w.a:recv() end
      assert.equal("one", data)
    end },
  { "recv_many", world = two,
    turn = function(w, i)
      if i == 3 then for n = 1, 20 do w.sent = w.b:send("m" .. n, "127.0.0.1", w.port) end end
    end,
    op = function(w) return w.a:recv_many(7) end,
    after = function(w, done, list)
      if not w.sent then for n = 1, 20 do w.b:send("m" .. n, "127.0.0.1", w.port) end end
      local n = 0
      repeat
        if not done then list = w.a:recv_many(7) end
        done = false
        for _, d in ipairs(list) do
          n = n + 1
          assert.equal("m" .. n, d.data)
        end
      until n == 20
    end },
  { "a select between two receivers", world = two, turn = sends_late,
    op = function(w)
      local i, data = async.select { async.future(w.a.recv, w.a), async.future(w.b.recv, w.b) }
      return i, data
    end,
    after = function(w, done, _, data)
      if not done then
        if not w.sent then w.b:send("one", "127.0.0.1", w.port) end
        data = w.a:recv()
      end
      assert.equal("one", data)
      works(w)
    end },
}

describe("cancelled at every await, #nogc #noseeds", function()
  teardown(support.clean)
  for _, case in ipairs(cases) do
    it(case[1], function()
      for _, how in ipairs(each.ways) do each.every(case, how) end
    end)
  end
end)
