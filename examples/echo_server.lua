-- echo_server: sends back what it gets. lua5.4 echo_server.lua [host [port [connections]]]
--
-- With port 0 the system chooses one, which is printed. With a number of connections it
-- stops after the last of them has ended; without, it runs until it is interrupted.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"
io.stdout:setvbuf("line")

-- One connection. A read gives what has arrived, at least a byte, and nil at the end; a
-- write returns when all of it is with the system, so a client that does not read holds
-- up nobody but itself.
local function echo(accepted)
  local conn <close> = accepted -- closed however we leave
  local host, port = conn:peer()
  local bytes = 0
  while true do
    local data, err = conn:read(65536)
    local sent
    if data then sent, err = conn:write(data) end
    if not sent then
      print(("%s:%s: %d bytes, %s"):format(host, port, bytes, err or "closed"))
      return
    end
    bytes = bytes + #data
  end
end

async.run(function()
  local host, port = arg[1] or "127.0.0.1", math.tointeger(tonumber(arg[2] or 7007))
  local limit = tonumber(arg[3] or math.huge)
  local listener <close> = assert(async.net.listen(host, port))
  print(("listening on %s port %d"):format(listener:address()))

  local tasks = {}
  for conn in listener:incoming() do
    tasks[#tasks + 1] = async.spawn(echo, conn)
    if limit == math.huge then tasks[1] = nil end -- nobody will ask for them
    if #tasks == limit then break end
  end
  for _, task in ipairs(tasks) do task:await() end
  print "stopped"
end)
