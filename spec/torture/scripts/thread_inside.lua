-- What another thread does in its own state: it is the one that has no memory.
local async = require "lua_async"
local thread = async.thread

local tx, rx = thread.channel(2)
assert(tx:send { 1, { 2, "three", f = function() return tx end } })
local v = assert(rx:recv())
assert(v[2][2] == "three")
v[2].f():close()
local t = async.spawn(function() return rx:recv() end)
async.yield()
assert(tx:send("x"))
assert(t:await() == "x")
local inner = thread.spawn(function(x) return x * 2 end, 21)
assert(inner:await() == 42)
return { v[1], v[2][2] }
