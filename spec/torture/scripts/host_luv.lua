local async = require "lua_async"
local uv = require "luv"
local loop <close> = assert(async.loop { luv = true })
loop:spawn(function()
  local listener <close> = assert(async.net.listen("127.0.0.1", 0))
  local accepted = async.spawn(listener.accept, listener)
  local client <close> = assert(async.net.connect(listener:address()))
  local server <close> = assert(accepted:await())
  assert(server:write("x"))
  assert(client:read(1))
  async.fs.stat("/")
  async.spawn(async.sleep, 10)
end)
for _ = 1, 20 do uv.run("nowait") end
