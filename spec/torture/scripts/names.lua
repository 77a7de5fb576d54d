local async = require "lua_async"
assert(async.net.resolve("localhost"))
assert(async.net.resolve("192.0.2.1"))
async.net.resolve("::1", { family = "ipv4" })
assert(async.net.reverse("127.0.0.1"))
local tasks = {}
for i = 1, 5 do tasks[i] = async.spawn(async.net.resolve, "localhost") end
tasks[2]:cancel()
async.yield()
tasks[4]:cancel()
for i = 1, 5, 2 do tasks[i]:await() end
