-- What waits, is granted, grows and fails in async.sync.
local async = require "lua_async"
local sync = async.sync
local tx, rx = sync.channel(9)
local producer = async.spawn(function()
  local out <close> = tx
  for i = 1, 30 do out:send(i) end
end)
local sum = 0
for v in rx do sum = sum + v end
producer:await()
assert(sum == 465, sum)
local rtx, rrx = sync.channel(0)
async.spawn(function() rtx:send("x") end)
assert(rrx:recv() == "x")
local m, s, l = sync.mutex(), sync.semaphore(2), sync.rwlock()
local tasks = {}
for i = 1, 3 do
  tasks[i] = async.spawn(function()
    do
      local g <close> = m:lock()
      async.yield()
    end
    local p <close> = s:acquire(2)
    async.yield()
    local h <close> = i == 2 and l:write() or l:read()
    async.yield()
  end)
end
for i = 1, 3 do tasks[i]:await() end
assert(s:available() == 2 and m:try_lock() and l:try_write())
local wtx, wrx = sync.watch(1)
local b = sync.broadcast(1)
local brx = b:subscribe()
local n, barrier = sync.notify(), sync.barrier(2)
local once = sync.once(function() async.yield() return 1, 2 end)
local t = async.spawn(function()
  n:wait()
  barrier:wait()
  wtx:send(2)
  b:send("a")
  b:send("b")
  return once()
end)
n:notify_one()
barrier:wait()
assert(wrx:recv() == 2)
local lost
repeat lost = select(2, brx:recv()) until not lost or lost.lost == 1
assert(once() == 1)
t:await()
local otx, orx = sync.oneshot()
otx:send(1)
assert(async.future(orx.recv, orx):await() == 1)
