-- Cancelled at every await of what spec/net/unix_spec.lua and spec/stream/copy_spec.lua are about: it ends,
-- leaves nothing behind, and loses or repeats neither a byte nor a descriptor.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local sys, net = support.sys, async.net

-- Lua's longjmps leave libtsan with frames that never return: it dies of this many.
if os.getenv("LUA_ASYNC_FLAVOUR") == "tsan" then return end

local folder, made = nil, 0
local function path()
  made = made + 1
  return folder .. "/" .. made
end

local function listening(w)
  w.path = path()
  w.listener = w.own(assert(net.listen_unix(w.path, { backlog = w.backlog })))
end

local function connected(w)
  listening(w)
  w.a = w.own(assert(net.connect_unix(w.path)))
  w.b = w.own(assert(w.listener:accept()))
end

local function serves(w)
  local conn <close> = assert(net.connect_unix(w.path))
  conn:write("hello")
  local line
  repeat -- past those that were given up
    local accepted <close> = assert(w.listener:accept())
    line = accepted:read(5)
  until line == "hello"
end

local text = ("0123456789abcdef"):rep(1 << 14)

local cases = {
  { "net.connect_unix", world = listening, op = function(w) return net.connect_unix(w.path) end, least = 0,
    after = function(w, done, conn)
      if done then conn:close() end
      serves(w)
    end },
  { "net.connect_unix to a full backlog", least = 1, timed = true,
    world = function(w)
      w.backlog = 1
      listening(w)
      for _ = 1, 2 do w.own(assert(net.connect_unix(w.path))) end -- Linux has room for one more
    end,
    turn = function(w, i)
      if i == 3 then assert(w.listener:accept()):close() end
    end,
    op = function(w) return net.connect_unix(w.path) end,
    after = function(_, done, conn)
      if done then conn:close() end
    end },
  { "accept of a Unix socket", world = listening,
    turn = function(w, i)
      if i == 3 then w.client = w.own(assert(net.connect_unix(w.path))) end
    end,
    op = function(w) return w.listener:accept() end,
    after = function(w, done, conn)
      w.client = w.client or w.own(assert(net.connect_unix(w.path)))
      conn = done and conn or assert(w.listener:accept())
      w.client:write("x")
      assert.equal("x", conn:read(1))
      conn:close()
    end },
  { "send_fd to a peer that reads slowly", least = 2, turns = 4,
    world = function(w)
      connected(w)
      w.sent, w.got = 0, 0
      w.reader = async.spawn(function()
        for bytes in w.b:lines(7) do
          w.got = w.got + #bytes
          for _ = 1, #bytes do sys.close(assert(w.b:take_fd())) end
          async.yield()
        end
      end)
    end,
    op = function(w)
      for _ = 1, 500 do
        assert(w.a:send_fd(0))
        w.sent = w.sent + 1
      end
    end,
    after = function(w)
      w.a:shutdown("send")
      w.reader:await()
      assert.is_true(w.got == w.sent or w.got == w.sent + 1)
    end },
  { "recv_fd", world = connected,
    turn = function(w, i)
      if i == 3 then w.sent = assert(w.a:send_fd(0)) end
    end,
    op = function(w) return w.b:recv_fd() end,
    after = function(w, done, fd)
      if not done then
        if not w.sent then assert(w.a:send_fd(0)) end
        fd = assert(w.b:recv_fd())
      end
      sys.close(fd)
      w.a:shutdown("send")
      assert.is_nil(w.b:recv_fd())
    end },
  { "copy", least = 2, turns = 8,
    world = function(w)
      connected(w)
      w.c, w.d = support.pair()
      w.own(w.c)
      w.own(w.d)
      w.writer = async.spawn(function()
        w.a:write(text)
        w.a:shutdown("send")
      end)
    end,
    op = function(w) return async.copy(w.b, w.c) end, want = { #text },
    after = function(w)
      w.c:shutdown("send")
      local first = w.d:read("a")
      assert.is_true(first .. w.b:read("a") == text)
      w.writer:await()
    end },
  { "copy_both", least = 2, turns = 8,
    world = function(w)
      w.a, w.b = support.pair()
      w.c, w.d = support.pair()
      for _, name in ipairs { "a", "b", "c", "d" } do w.own(w[name]) end
      w.writers = {}
      for i, conn in ipairs { w.a, w.d } do
        w.writers[i] = async.spawn(function()
          conn:write(text)
          conn:shutdown("send")
        end)
      end
    end,
    op = function(w) return async.copy_both(w.b, w.c) end, want = { #text, #text },
    after = function(w)
      w.b:shutdown("send")
      w.c:shutdown("send")
      assert.is_true(w.d:read("a") .. w.b:read("a") == text)
      assert.is_true(w.a:read("a") .. w.c:read("a") == text)
      for _, writer in ipairs(w.writers) do writer:await() end
    end },
}

describe("cancelled at every await, #nogc #noseeds", function()
  setup(function() folder = support.folder() end)
  teardown(support.clean)
  for _, case in ipairs(cases) do
    it(case[1], function()
      for _, how in ipairs(each.ways) do each.every(case, how) end
    end)
  end
end)
