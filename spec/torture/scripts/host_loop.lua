local async = require "lua_async"
local loop <close> = assert(async.loop())
local done
loop:spawn(function()
  local _ <close> = setmetatable({}, { __close = function() done = true end })
  local listener <close> = assert(async.net.listen("127.0.0.1", 0))
  local accepted = async.spawn(listener.accept, listener)
  local client <close> = assert(async.net.connect(listener:address()))
  local server <close> = assert(accepted:await())
  local ready = async.future(async.poll_fd, client, "r")
  assert(server:write("x"))
  assert(async.timeout(0.2, ready))
  async.spawn(async.sleep, 10) -- for close to cancel
end)
for _ = 1, 100 do
  loop:turn()
  if done then break end
  assert(loop:fd() >= 0 and #loop:dump() >= 0 and (loop:timeout() or 0) >= 0)
end
