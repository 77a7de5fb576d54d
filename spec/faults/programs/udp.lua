-- UDP: one at a time and many, bound and connected. What is not sent is told, so what was sent comes.
local w = ...
local ok, async = w.ok, w.async
local net = async.net

local a <close> = ok(net.udp("127.0.0.1", 0, { recv_buffer = 1 << 20 }))
local b <close> = ok(net.udp("127.0.0.1", 0))
local port = w.port(a)
local receiver = async.spawn(function() return ok(a:recv()) end)
async.yield()
ok(b:send("hello", "127.0.0.1", port))
w.same(receiver:await(), "hello", "a datagram")
ok(b:connect("127.0.0.1", port))
for i = 1, 5 do
  ok(b:send("n" .. i))
  local data, host, from = a:recv()
  w.same(ok(data, host), "n" .. i, "a datagram")
  ok(a:send("back", "127.0.0.1", from))
  w.same(ok(b:recv()), "back", "an answer")
end
local list = {}
for i = 1, 70 do list[i] = { data = ("x"):rep(i) } end
ok(b:send_many(list))
local n = 0
while n < 70 do
  for _, one in ipairs(ok(a:recv_many(30))) do
    n = n + 1
    w.same(one.data, list[n].data, "one of many")
  end
end
ok(b:disconnect())
ok(a:join("239.255.1.1", "lo"))
ok(a:leave("239.255.1.1", "lo"))
