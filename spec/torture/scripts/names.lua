local async = require "lua_async"
assert(async.net.resolve("localhost"))
assert(async.net.resolve("192.0.2.1"))
async.net.resolve("::1", { family = "ipv4" })
assert(async.net.reverse("127.0.0.1"))
async.timeout(0, async.net.resolve, "localhost")
async.map({ "localhost", "localhost", "localhost" }, function(name) return assert(async.net.resolve(name)) end)
