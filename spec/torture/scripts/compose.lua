-- Joins, selects, scopes, maps and intervals, in one another, that end and are cancelled.
local async = require "lua_async"
local function forever() return async.poll_fn(function() return "pending" end):await() end
local function slow()
  local _ <close> = setmetatable({}, { __close = function() async.shield(async.yield) end })
  forever()
end
assert(async.join(function() async.yield() return 1 end, async.future(async.sleep, 0), async.spawn(async.yield)) == 1)
assert(async.join({ a = async.yield, b = function() return 2 end }).b == 2)
assert(async.select { a = async.yield, b = slow, c = async.future(async.sleep, 100) } == "a")
assert(not pcall(async.join, slow, function() async.yield() error {} end))
assert(async.scope(function(s, x)
  for _ = 1, 3 do s:spawn(function() async.yield() s:spawn(async.sleep, 0) end) end
  return x
end, 5) == 5)
assert(not pcall(async.scope, function(s)
  s:spawn(slow)
  s:spawn(function() async.yield() error({}) end)
  forever()
end))
assert(select("#", async.scope(function(s) s:spawn(slow) async.yield() s:cancel() forever() end)) == 0)
local r = async.map({ 1, 2, 3, 4, 5 }, function(x) async.yield() return -x end, { limit = 2 })
assert(#r == 5 and r[5] == -5)
local i = 0
assert(not async.timeout(0.0001, async.map, function() async.yield() i = i + 1 return i end, slow, { limit = 2 }))
local n = 0
for _, missed in async.time.interval(0.0001, { missed = "burst" }) do
  n = n + 1
  if n == 3 or missed > 0 then goto out end
end
::out::
local tick = async.time.interval(100)
tick()
assert(async.select { tick, function() async.yield() end } == 2)
-- In one another; the outermost is cancelled.
local t = async.spawn(function()
  async.scope(function(s)
    local function inner(x) x:spawn(slow) end
    s:spawn(async.join, slow, function() async.select { slow, function() async.scope(inner) end } end)
    async.map({ 1, 2 }, slow)
  end)
end)
for _ = 1, 3 do async.yield() end
async.dump()
t:cancel()
pcall(t.await, t)
-- Begun, and given up without unwinding.
local f = async.future(async.scope, function(s) s:spawn(slow) s:spawn(error, "x") forever() end)
async.await(async.poll_fn(function(cx) f:poll(cx) return "ready" end))
async.yield()
