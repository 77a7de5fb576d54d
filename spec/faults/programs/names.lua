-- Names that the hosts file knows, and connecting by one.
local w = ...
local ok, async = w.ok, w.async
local net = async.net

local list = ok(net.resolve("localhost", { family = "ipv4" }))
w.same(list[1], "127.0.0.1", "the address of localhost")
ok(net.reverse("127.0.0.1"))
local listener <close> = ok(net.listen("localhost", 0))
local port = w.port(listener)
local t = async.spawn(function()
  local conn <close> = ok(listener:accept())
  ok(conn:write("hello\n"))
end)
local conn <close> = ok(net.connect("localhost", port))
local line, err = conn:read("l")
t:await()
w.same(ok(line, err), "hello", "a line")
