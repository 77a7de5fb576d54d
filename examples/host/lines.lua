-- lines: the script of poll_host. Each line of the host's input is sent through a server of ours, in a
-- task of its own.
local async = require "lua_async"

local loop = async.loop()
local ready = async.sync.watch(false) -- the port, once there is one

local server = loop:spawn(function()
  local listener <close> = assert(async.net.listen("127.0.0.1", 0))
  ready:send(select(2, listener:address()))
  for accepted in listener:incoming() do
    async.spawn(function()
      local conn <close> = accepted
      for line in conn:lines("L") do conn:write("answer: ", line) end
    end)
  end
end)

local lines, open = 0, 0

local function ask(text)
  local rx <close> = ready:subscribe()
  while not rx:get() do rx:changed() end
  local conn <close> = assert(async.net.connect("127.0.0.1", rx:get()))
  conn:write(text, "\n")
  conn:shutdown("send")
  io.write(conn:read("L"))
  open = open - 1
  if open == 0 and lines == 3 then server:cancel() end
end

return loop, function(text)
  lines, open = lines + 1, open + 1
  loop:spawn(ask, text)
end
