local async = require "lua_async"
local a <close> = assert(async.net.udp("127.0.0.1", 0, { reuseaddr = true }))
local b <close> = assert(async.net.udp(nil, 0))
local _, port = a:address()
local receiver = async.spawn(function() return a:recv(3) end)
async.yield()
assert(b:send("hello", "127.0.0.1", port))
receiver:await()
assert(b:send("to a name", "localhost", port))
local _, host, from = a:recv()
if host then assert(a:send("back", "127.0.0.1", from)) end
b:recv()
local list = {}
for i = 1, 70 do list[i] = { data = ("x"):rep(i), host = "127.0.0.1", port = port } end
assert(b:send_many(list))
local n = 0
while n < 70 do n = n + #assert(a:recv_many(30)) end
assert(b:connect("127.0.0.1", port))
assert(b:peer())
b:disconnect()
assert(a:join("239.255.1.1", "lo"))
assert(a:multicast_interface("127.0.0.1"))
tostring(a)
