-- sync: messages through a channel, and locks that nobody waits for;
-- lua5.4 sync.lua lua_async WORK N, with WORK one of
--   channel    N messages through a channel of 128, one producer, one consumer
--   rendezvous N messages through a channel of 0
--   mutex      N times lock and unlock, by a <close> variable; unlock: by guard:unlock()
--   with       N times mutex:with
--   semaphore  N times acquire and release, by a <close> variable; release: by permit:release()
--   call       N times two bare C calls from Lua and back: the floor of the four above
local async = require "lua_async"
local common = require "common"
common.clock = async.now
local work, n = arg[2], tonumber(arg[3])
local sync = async.sync

local function channel(capacity)
  return function()
    local tx, rx = sync.channel(capacity)
    local consumer = async.spawn(function()
      local sum = 0
      for v in rx do sum = sum + v end
      return sum
    end)
    local producer = async.spawn(function()
      for i = 1, n do tx:send(i) end
      tx:close()
    end)
    producer:await()
    local sum = consumer:await()
    assert(sum == n * (n + 1) // 2, "messages are missing")
  end
end

local works = {
  channel = channel(128),
  rendezvous = channel(0),
  mutex = function()
    local m = sync.mutex()
    for _ = 1, n do
      local _ <close> = m:lock()
    end
  end,
  unlock = function()
    local m = sync.mutex()
    for _ = 1, n do
      local g = m:lock()
      g:unlock()
    end
  end,
  with = function()
    local m, f = sync.mutex(), function() end
    for _ = 1, n do m:with(f) end
  end,
  semaphore = function()
    local s = sync.semaphore(1)
    for _ = 1, n do
      local _ <close> = s:acquire()
    end
  end,
  release = function()
    local s = sync.semaphore(1)
    for _ = 1, n do
      local p = s:acquire()
      p:release()
    end
  end,
  call = function()
    local f = coroutine.isyieldable
    for _ = 1, n do
      f()
      f()
    end
  end,
}

async.run(function()
  local stop = common.start()
  works[work]()
  local w, c = stop()
  common.report("sync_" .. work, "lua_async", n, w, c)
end)
