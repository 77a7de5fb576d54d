-- proxy: passes TCP connections on. lua5.4 proxy.lua [host [port [to_host [to_port [connections]]]]]
--
-- What connects to the first address is passed on to the second, in both directions, until
-- both sides have ended. With a number of connections it stops after the last of them.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"
io.stdout:setvbuf("line")

local host, port = arg[1] or "127.0.0.1", math.tointeger(tonumber(arg[2] or 7008))
local to_host, to_port = arg[3] or "127.0.0.1", math.tointeger(tonumber(arg[4] or 7007))
local limit = tonumber(arg[5] or math.huge)

-- The bytes never become Lua strings, and large pieces stay in the kernel.
local function pass_on(accepted)
  local conn <close> = accepted
  local upstream <close>, err = async.net.connect(to_host, to_port)
  if not upstream then return print(err) end
  local sent, received = async.copy_both(conn, upstream)
  print(sent and ("%d bytes there, %d back"):format(sent, received) or received)
end

async.run(function()
  local listener <close> = assert(async.net.listen(host, port))
  print(("listening on %s port %d"):format(listener:address()))
  async.scope(function(scope)
    local count = 0
    for conn in listener:incoming() do
      scope:spawn(pass_on, conn)
      count = count + 1
      if count == limit then break end
    end
  end)
end)
