-- echo_cores: an echo server on all cores. lua5.4 echo_cores.lua [host [port [threads]]]
--
-- Every thread listens on the same port, and the kernel spreads the connections over them. SIGTERM stops
-- it gracefully: no new connections, those that are open go on to their end, or for ten more seconds.
local root = arg[0]:gsub("[^/]*$", "") .. "../"
package.cpath = ("%s;%sbuild/?.so"):format(package.cpath, root)

local async = require "lua_async"
io.stdout:setvbuf("line")

local function serve(host, port)
  local listener <close> = assert(async.net.listen(host, port, { reuseport = true }))
  for accepted in listener:incoming() do
    async.spawn(function()
      local conn <close> = accepted
      assert(async.copy(conn, conn))
    end)
  end
end

async.run(function()
  local host, port = arg[1] or "127.0.0.1", math.tointeger(tonumber(arg[2] or 7007))
  local threads = math.tointeger(tonumber(arg[3])) or async.thread.cores()
  -- Ours finds a port for 0, and fails at once where none can be had. It is closed before they listen: the
  -- kernel would spread connections to it as well.
  local listener <close> = assert(async.net.listen(host, port, { reuseport = true, backlog = 1 }))
  host, port = listener:address()
  listener:close()
  print(("listening on %s port %d"):format(host, port))
  async.thread.workers(threads, serve, host, port)
  print "stopped"
end)
