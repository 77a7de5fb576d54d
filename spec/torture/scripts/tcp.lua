local async = require "lua_async"
local l <close> = assert(async.net.listen("127.0.0.1", 0))
local _, port = l:address()
local server = async.spawn(function()
  local c <close> = assert(l:accept())
  for line in c:lines("L") do assert(c:write(line)) end
end)
local c <close> = assert(async.net.connect("127.0.0.1", port))
assert(c:write("a\nb\n12 \n"))
assert(c:read("L", "l", "n"))
c:shutdown("send")
c:read("a")
server:await()
