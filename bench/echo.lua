-- echo: a TCP echo server on 127.0.0.1; lua5.4 echo.lua lua_async PORT
local async = require "lua_async"

local function serve(conn)
  while true do
    local data = conn:read(65536)
    if not data or not conn:write(data) then break end
  end
  conn:close()
end

async.run(function()
  local listener = assert(async.net.listen("127.0.0.1", tonumber(arg[2])))
  for conn in listener:incoming() do async.spawn(serve, conn) end
end)
