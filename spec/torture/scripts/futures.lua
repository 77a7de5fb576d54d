local async = require "lua_async"
local counter, delay = require "counter_future", require "delay_future"
local f = async.future(function(a) async.sleep(0) return a end, 1)
async.await(async.poll_fn(function(cx) return (f:poll(cx)) end))
async.future(async.sleep, 0):await()
counter.count(3)
counter.future(2):await()
delay.wait(0)
local n = 0
async.await(async.poll_fn(function(cx)
  n = n + 1
  if n == 2 then return "ready", 1, 2 end
  cx:waker():wake()
  return "pending"
end, function() end))
