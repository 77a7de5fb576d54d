-- TCP: lines, blocks, vectored writes, half-close, copy, a proxy, poll_fd.
local w = ...
local ok, async = w.ok, w.async
local net = async.net

local listener <close> = ok(net.listen("127.0.0.1", 0))
local port = w.port(listener)
local text = w.text(300000)

local function serve(accepted)
  local conn <close> = accepted
  local n = ok(conn:read("n"))
  ok(conn:read("l"))
  local got = ok(conn:read_exact(n))
  ok(conn:write(got:sub(1, 1000), got:sub(1001, 50000), got:sub(50001)))
  ok(conn:shutdown("send"))
  w.same(ok(conn:read("a")), "bye", "the rest of a connection")
end

local proxy <close> = ok(net.listen("127.0.0.1", 0))
local proxy_port = w.port(proxy)
async.scope(function(scope)
  scope:spawn(function()
    for _ = 1, 3 do serve(ok(listener:accept())) end
  end)
  scope:spawn(function()
    local a <close> = ok(proxy:accept())
    local b <close> = ok(net.connect("127.0.0.1", port))
    local there, back = async.copy_both(a, b)
    ok(there, back)
    w.same(there, #text + 7 + 3, "bytes there")
    w.same(back, #text, "bytes back")
  end)
  for i = 1, 3 do
    local conn <close> = ok(net.connect("127.0.0.1", i < 3 and port or proxy_port))
    if i == 1 then ok(async.poll_fd(conn, "w")) end
    ok(conn:write(#text, "\n", text))
    w.same(ok(conn:read("a")), text, "what came back")
    ok(conn:write("bye"))
    ok(conn:shutdown("send"))
  end
end)
