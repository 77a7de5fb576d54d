-- select: a program with an event loop of its own, here LuaSocket's select, and tasks of lua_async in it.
-- lua5.4 select.lua
local build = arg[0]:gsub("[^/]*$", "") .. "../../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"
local socket = require "socket"

-- The host's own business: a UDP socket that it watches itself.
local udp = assert(socket.udp())
assert(udp:setsockname("127.0.0.1", 0))
udp:settimeout(0)
local host, port = udp:getsockname()

-- The tasks' business: a server, and a client that tells the host.
local loop <close> = async.loop()
local received = async.sync.notify()
local line

loop:spawn(function()
  local listener <close> = assert(async.net.listen("127.0.0.1", 0))
  async.spawn(function()
    local conn <close> = assert(listener:accept())
    conn:write(conn:read("L"))
  end)
  local conn <close> = assert(async.net.connect(listener:address()))
  received:wait()
  print("task: " .. line)
  conn:write("echoed by a task\n")
  local echo = conn:read("l")
  local sender = assert(socket.udp())
  assert(sender:sendto(echo, host, port))
  sender:close()
end)

-- For select the loop is one more thing to read from.
local tasks = {
  getfd = function() return loop:fd() end,
  dirty = function() return false end,
}
assert(udp:sendto("hello from the host's own socket", host, port))
local done = false
while not done do
  loop:turn()
  local ready = socket.select({ tasks, udp }, nil, loop:timeout() or -1)
  local datagram = ready[udp] and udp:receive()
  if datagram and not line then
    line = datagram
    received:notify_one() -- wakes the task, which runs in the next turn
  elseif datagram then
    print("host: " .. datagram)
    done = true
  end
end
loop:close()
print("closed")
