local async = require "lua_async"
local stream <close> = assert(async.signal.stream("SIGUSR1", "SIGHUP"))
local seen = async.spawn(function()
  local name = assert(async.signal.wait("SIGUSR1"))
  return name
end)
local f = assert(io.open("/proc/self/stat"))
local pid = math.tointeger(f:read("n"))
f:close()
async.yield()
assert(async.process.kill(pid, "SIGUSR1"))
assert(stream:recv() == "SIGUSR1")
assert(seen:await() == "SIGUSR1")
