-- Work on other threads: what is sent there and back, seen from here.
local async = require "lua_async"
local thread = async.thread

local function add(a, b, large) return a + b, { a, b, { text = ("x"):rep(300) } }, large .. "y" end

local large = ("z"):rep(40000) -- it is lent
local sum, list, larger = thread.spawn_blocking(add, 1, 2, large):await()
assert(sum == 3 and list[3].text == ("x"):rep(300) and larger == large .. "y")

local tx, rx = thread.channel(2)
local tx2, rx2 = thread.channel(2)
local counter = thread.shared(0)
local t = thread.spawn(function(rx, tx, counter)
  for v in rx do
    counter:add()
    assert(tx:send(v))
    v.tx:close()
  end
  return "ended"
end, rx, tx2, counter)
rx:close()
tx2:close()
for i = 1, 4 do
  assert(tx:send { i, tx = tx })
  local v = assert(rx2:recv())
  assert(v[1] == i)
  v.tx:close()
end
tx:close()
assert(rx2:recv() == nil)
assert(t:await() == "ended" and counter:get() == 4)

local btx = thread.broadcast(4)
local wtx, wrx = thread.watch("first")
local brx = btx:subscribe()
local b = thread.spawn(function(brx, wrx) return brx:recv(), wrx:get() end, brx, wrx)
assert(btx:send("all"))
assert(wtx:send("second"))
local got, seen = b:await()
assert(got == "all" and (seen == "first" or seen == "second"))
assert(brx:recv() == "all")

local listener <close> = assert(async.net.listen("127.0.0.1", 0))
local conn <close> = assert(async.net.connect(listener:address()))
local accepted = assert(listener:accept())
conn:write("line one\nrest")
assert(accepted:read("l") == "line one")
local c = thread.spawn(function(conn) return conn:read(4) end, accepted)
assert(c:await() == "rest")

-- A send that waits, of what is moved.
local full, empty = thread.channel(1)
assert(full:try_send(0))
local moved <close> = assert(async.net.connect(listener:address()))
local peer <close> = assert(listener:accept())
local sending = async.spawn(full.send, full, { peer, counter, async.net })
async.yield()
empty:recv()
assert(sending:await())
local received = empty:recv()
moved:write("x")
assert(received[1]:read(1) == "x" and received[2]:get() == 4 and received[3] == async.net)
received[1]:close()

local never = thread.spawn(add, full, conn)
never:cancel()
assert(not pcall(never.await, never))

thread.init(load "X = 7")
local x = thread.spawn(load "return X"):await()
thread.init()
assert(x == 7)

local failing = thread.spawn(function() error { code = 7 } end)
local ok, e = pcall(failing.await, failing)
assert(not ok and (type(e) ~= "table" or e.code == 7 or e.code == "ENOMEM" or e.op), e)
async.dump()
