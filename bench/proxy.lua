-- proxy: from PORT to UPSTREAM on 127.0.0.1; lua5.4 proxy.lua lua_async PORT UPSTREAM
local async = require "lua_async"

local function serve(accepted)
  local conn <close> = accepted
  local upstream <close> = assert(async.net.connect("127.0.0.1", tonumber(arg[3])))
  async.copy_both(conn, upstream)
end

async.run(function()
  local listener = assert(async.net.listen("127.0.0.1", tonumber(arg[2])))
  for conn in listener:incoming() do async.spawn(serve, conn) end
end)
