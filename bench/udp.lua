-- udp: a UDP echo server on 127.0.0.1; lua5.4 udp.lua lua_async PORT [many]
local async = require "lua_async"

async.run(function()
  local socket = assert(async.net.udp("127.0.0.1", tonumber(arg[2])))
  if arg[3] == "many" then
    while true do assert(socket:send_many(assert(socket:recv_many()))) end
  end
  for data, host, port in socket:incoming() do assert(socket:send(data, host, port)) end
end)
