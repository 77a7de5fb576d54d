local async = require "lua_async"
local t = {}
for i = 1, 5 do
  t[i] = async.spawn(function(a, b) async.sleep(0) async.yield() return a, b end, i, "x"):name("t" .. i)
end
for i = 1, 5 do t[i]:await() end
local e = async.spawn(function() error({}) end)
pcall(e.await, e)
async.spawn(function() error("lost") end)
async.yield()
async.dump()
