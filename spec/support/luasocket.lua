-- For the specs of lua_async.socket: it in LuaSocket's place, and a server to talk to.
local async = require "lua_async"
local blocking = require "socket"
local luasocket = { blocking = blocking, socket = require("lua_async.socket").install() }

-- LuaSocket itself again, for the other specs.
function luasocket.remove()
  for _, part in ipairs { "http", "smtp", "tp", "url", "headers", "ftp" } do package.loaded["socket." .. part] = nil end
  package.loaded["socket"] = blocking
end

-- A server of this module, which has each connection handled in a task: host and port.
function luasocket.serve(handle)
  local listener = assert(async.net.listen("127.0.0.1", 0))
  async.spawn(function()
    for accepted in listener:incoming() do
      async.spawn(function()
        local conn <close> = accepted
        handle(conn)
      end)
    end
  end)
  return listener:address()
end

return luasocket
