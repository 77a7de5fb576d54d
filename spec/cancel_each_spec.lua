-- Cancelled at every await of every operation that waits, by task:cancel and by timeouts:
-- it ends, unwinds once, leaves nothing behind, and loses or repeats no byte.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local counter, delay = require "counter_future", require "delay_future"
local sys, net, time, guard = support.sys, async.net, async.time, each.guard

-- Lua's longjmps leave libtsan with frames that never return: it dies of this many.
if os.getenv("LUA_ASYNC_FLAVOUR") == "tsan" then return end

local function turns(n)
  for _ = 1, n do async.yield() end
  return "v"
end

-- Between whom the bytes go: w.conn, of the module, and w.fd, a plain socket.
local function connected(receive_buffer)
  return function(w)
    w.conn, w.fd = support.with_peer(receive_buffer)
    w.own(w.conn)
    w.own { close = function() if w.fd then sys.close(w.fd) end end }
  end
end

local function all_from(fd)
  local t = {}
  while true do
    local s, err = sys.recv(fd, 1 << 16)
    if s == "" then return table.concat(t) end
    if s then t[#t + 1] = s else assert(err == "EAGAIN", err) async.yield() end
  end
end

-- ---- tasks, futures, time ------------------------------------------------------------------

-- In a timeout of a second, on a paused clock, only what is longer can be cut short.
local function short(w) return w.paused and 100 or 0.005 end

local function open_gate(w, i)
  if i == 3 then w.gate.open() end
end

local waits = {
  { "sleep", timed = true, want = {}, op = function(w) return async.sleep(short(w)) end },
  { "time.sleep_until", timed = true, want = {}, op = function(w)
      return time.sleep_until(async.now() + short(w))
    end },
  { "a Future of sleep", timed = true, want = {}, op = function(w)
      return async.future(async.sleep, short(w)):await()
    end },
  { "yield", least = 2, op = function() return turns(3) end, want = { "v" } },
  { "time.advance", least = 0, want = {}, op = function()
      time.pause()
      return time.advance(0)
    end },
  { "task:await",
    world = function(w)
      w.gate = support.gate()
      w.inner = async.spawn(function() w.gate.wait() return "v" end)
    end,
    turn = open_gate, want = { "v" }, op = function(w) return w.inner:await() end,
    after = function(w)
      w.gate.open()
      assert.equal("v", w.inner:await()) -- which nobody has cancelled
    end },
  { "fut:await of a function",
    world = function(w) w.began, w.ended = 0, 0 end,
    op = function(w)
      return async.future(function()
        local _ <close> = guard(function() w.ended = w.ended + 1 end)
        w.began = w.began + 1
        return turns(3)
      end):await()
    end,
    want = { "v" }, least = 2, after = function(w) assert.equal(w.began, w.ended) end },
  { "await of a function in place", least = 2, want = { "v" },
    op = function() return async.await(function() return turns(3) end) end },
  { "await of a poll_fn",
    world = function(w) w.polls, w.drops, w.ready = 0, 0, false end,
    op = function(w)
      return async.await(async.poll_fn(function(cx)
        w.polls = w.polls + 1
        if w.polls == 4 then w.ready = true return "ready", "v" end
        cx:waker():wake()
        return "pending"
      end, function() w.drops = w.drops + 1 end))
    end,
    want = { "v" }, least = 2,
    after = function(w) assert.equal(w.polls > 0 and not w.ready and 1 or 0, w.drops) end },
  { "await of a C future, in place", op = function() return counter.count(3) end, want = { 3 }, least = 2 },
  { "await of a C future", op = function() return counter.future(3):await() end, want = { 3 }, least = 2 },
  { "await of a C future with a thread", op = function() return delay.wait(0.002) end,
    want = { "Timer Complete!" },
    after = function() -- the thread wakes what is gone
      while sys.threads() > each.threads do sys.block(0.001) end
    end },
  { "timeout", op = function() return async.timeout(100, turns, 3) end, want = { "v" }, least = 2 },
  { "timeout in a timeout", op = function()
      return async.timeout(100, async.timeout, 50, turns, 3)
    end, want = { "v" }, least = 2 },
  { "timeout that passes", timed = true, op = function(w)
      local v, e = async.timeout(short(w), async.sleep, 1000)
      return v, e.code == "ETIMEDOUT" and "passed" or e
    end, want = { nil, "passed" } },
  { "deadline", op = function() return async.deadline(async.now() + 100, turns, 3) end,
    want = { "v" }, least = 2 },
  { "shield", least = 0, want = { "v" },
    op = function(w)
      w.began = true
      return async.shield(function()
        turns(3)
        w.whole = true
        return "v"
      end)
    end,
    after = function(w) assert.equal(w.began, w.whole) end },
  { "an await after a shield", least = 3, want = { "v" },
    op = function(w)
      async.shield(function() turns(2) w.whole = true end)
      w.further = turns(2)
      return w.further
    end,
    after = function(w, done) assert.equal(done, w.further == "v") end },
  { "coroutine.wrap", want = { "v" }, least = 2,
    world = function(w) w.began, w.ended = 0, 0 end,
    op = function(w)
      return async.coroutine.wrap(function()
        local _ <close> = guard(function() w.ended = w.ended + 1 end)
        w.began = w.began + 1
        return turns(3)
      end)()
    end,
    after = function(w) assert.equal(w.began, w.ended) end },
}

-- ---- connecting ----------------------------------------------------------------------------

local function listening(host)
  return function(w)
    w.listener = w.own(assert(net.listen(host or "127.0.0.1", 0)))
    w.ip, w.port = w.listener:address()
  end
end

-- One more connection can be made, and is served.
local function listener_works(w, done, made)
  if done then made:close() end
  local fd = sys.connect(w.port)
  sys.send(fd, "hello")
  local line
  repeat -- past those that were given up
    local conn <close> = assert(w.listener:accept())
    line = conn:read(5)
  until line == "hello"
  sys.close(fd)
end

local function connect_in_turn(w, i)
  if i == 3 then w.fd = sys.connect(w.port) end
end

-- The connection that was not taken is there for the next accept.
local function accept_lost_none(w, done, conn)
  connect_in_turn(w, w.fd and 0 or 3)
  conn = done and conn or assert(w.listener:accept())
  sys.send(w.fd, "x")
  assert.equal("x", conn:read(1))
  conn:close()
  sys.close(w.fd)
end

local connecting = {
  { "net.connect to an address", world = listening(), after = listener_works,
    op = function(w) return net.connect(w.ip, w.port) end },
  { "net.connect to a name", world = listening(), after = listener_works,
    op = function(w) return net.connect("localhost", w.port) end },
  { "net.listen on a name", op = function() return net.listen("localhost", 0) end },
  { "listener:accept", world = listening(), turn = connect_in_turn, after = accept_lost_none,
    op = function(w) return w.listener:accept() end },
  { "listener:incoming", world = listening(), turn = connect_in_turn, after = accept_lost_none,
    op = function(w)
      local next_conn = w.listener:incoming()
      return next_conn()
    end },
}

-- ---- reading from a connection -------------------------------------------------------------

-- The peer sends a byte a turn. What an operation that is cut short has read is read again;
-- what one that is done has read, and w.got, is the beginning of the text.
local function reading(name, text, rest, op, want, whole)
  local function send(w, i)
    if not w.ended and i <= #text then
      assert(sys.send(w.fd, text:sub(i, i)) == 1)
      w.sent = i
    elseif not w.ended and i == #text + 1 then
      sys.shutdown(w.fd)
      w.ended = true
    end
  end
  return { name, want = want, turns = #text + 4, op = op, turn = send,
    world = function(w)
      connected()(w)
      w.sent, w.got = 0, {}
    end,
    after = function(w, done, got)
      for i = w.sent + 1, #text + 1 do send(w, i) end
      local remains = w.conn:read("a")
      if whole then -- done or not, all it has got is in w.got or in the result
        assert.equal(text, (done and got or table.concat(w.got)) .. remains)
      else
        assert.equal(done and rest or text, remains)
      end
      assert.is_nil(w.conn:read(1))
      assert(w.conn:write("back")) -- it works on in the other direction
      w.conn:close()
      assert.equal("back", all_from(w.fd))
    end }
end

local function read(...)
  local formats = table.pack(...)
  return function(w) return w.conn:read(table.unpack(formats, 1, formats.n)) end
end

local reads = {
  reading("read('l')", "one\ntwo", "two", read("l"), { "one" }),
  reading("read('L')", "one\ntwo", "two", read("L"), { "one\n" }),
  reading("read('n')", " -1.5e1 x", " x", read("n"), { -15.0 }),
  reading("read('a')", "one\ntwo\0", "", read("a"), { "one\ntwo\0" }),
  reading("read(5)", "one two", nil, read(5), nil, true),
  reading("read of several formats", "12 x\nline\n345six", "six",
    read("n", "l", "L", "n"), { 12, " x", "line\n", 345 }),
  reading("read_exact", "one two", "wo", function(w) return w.conn:read_exact(5) end, { "one t" }),
  reading("read_until", "a\r\r\nb", "b", function(w) return w.conn:read_until("\r\n", 100) end, { "a\r\r\n" }),
  reading("lines", "a\nbc\n\nd", nil, function(w)
    for line in w.conn:lines("L") do w.got[#w.got + 1] = line end
    return table.concat(w.got)
  end, { "a\nbc\n\nd" }, true),
  reading("a Future of read", "one\ntwo", "two", function(w)
    return async.future(w.conn.read, w.conn, "l"):await()
  end, { "one" }),
}

-- ---- writing to a connection ---------------------------------------------------------------

-- No piece of it of some length comes twice.
local big
local function make_big()
  local parts = {}
  for i = 1, 1 << 20 do parts[i] = ("%07x,"):format(i) end
  big = table.concat(parts)
end

-- Whatever was accepted comes over in order, and what is written next comes behind it.
local function written_in_order(written)
  return function(w, done)
    local text = written or big
    local next_one = async.spawn(function()
      assert.equal(w.conn, w.conn:write("|END|"))
      assert.is_true(w.conn:shutdown())
    end)
    w.got[#w.got + 1] = all_from(w.fd)
    next_one:await()
    local got = table.concat(w.got)
    local n = #got - 5
    assert.equal("|END|", got:sub(n + 1))
    assert.is_true(n <= #text and got:sub(1, n) == text:sub(1, n), "not a prefix")
    if done then assert.equal(#text, n) end
  end
end

local function full(w)
  connected(4096)(w)
  w.got = {}
end

local function take_some(w)
  local s, err = sys.recv(w.fd, 1 << 20)
  if s then w.got[#w.got + 1] = s else assert.equal("EAGAIN", err) end
end

local writes = {
  { "write to a peer that reads slowly", world = full, turn = take_some, turns = 4, least = 2,
    op = function(w) assert.equal(w.conn, w.conn:write(big)) end, after = written_in_order() },
  { "write of many strings", world = full, turn = take_some, turns = 4, least = 2,
    op = function(w)
      assert.equal(w.conn, w.conn:write("", big:sub(1, 8), 10, big:sub(11, 1 << 22), big:sub((1 << 22) + 1)))
    end,
    after = function(...)
      local kept = big
      big = big:sub(1, 8) .. "10" .. big:sub(11)
      written_in_order()(...)
      big = kept
    end },
  { "flush of a connection", world = full, least = 0,
    op = function(w) assert.equal(w.conn, w.conn:write("text"):flush()) end, after = written_in_order("text") },
  { "shutdown", world = full, least = 0, want = { true }, op = function(w) return w.conn:shutdown("send") end,
    after = function(w, done)
      if not done then assert(w.conn:write("not yet"):shutdown()) end
      assert.equal(done and "" or "not yet", all_from(w.fd))
      sys.send(w.fd, "x")
      assert.equal("x", w.conn:read(1))
    end },
  { "close of a connection", world = full, least = 0, want = { true }, op = function(w) return w.conn:close() end,
    after = function(w, done)
      if not done then assert(w.conn:write("not yet"):close()) end
      assert.equal(done and "" or "not yet", all_from(w.fd))
    end },
}

-- ---- all of them ---------------------------------------------------------------------------

describe("cancelled at every await, #nogc #noseeds", function()
  setup(make_big)
  teardown(function() big = nil end)
  for _, group in ipairs { waits, connecting, reads, writes } do
    for _, case in ipairs(group) do
      it(case[1], function()
        each.threads = sys.threads()
        for _, how in ipairs(each.ways) do each.every(case, how) end
      end)
    end
  end
end)
