-- Unix sockets: bytes, descriptors with them, stale files, credentials.
local w = ...
local ok, async = w.ok, w.async
local net = async.net

local path = w.dir .. "/socket"
local listener <close> = ok(net.listen_unix(path))
local text = w.text(200000)
async.scope(function(scope)
  scope:spawn(function()
    local conn <close> = ok(listener:accept())
    ok(conn:credentials())
    local file <close> = w.from_fd(ok(conn:recv_fd()))
    ok(file:write("through it"))
    file:close()
    ok(async.copy(conn, conn, #text))
    ok(conn:shutdown("send"))
    w.same(ok(conn:read("a")), "", "the end")
  end)
  local conn <close> = ok(net.connect_unix(path))
  local r, to = w.pipe()
  local sent, err = conn:send_fd(to)
  pcall(w.close, to)
  local reading <close> = w.from_fd(r)
  ok(sent, err)
  w.same(ok(reading:read("a")), "through it", "what came through the descriptor")
  scope:spawn(function()
    ok(conn:write(text))
    ok(conn:shutdown("send"))
  end)
  w.same(ok(conn:read("a")), text, "what came back")
end)
