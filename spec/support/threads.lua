-- Functions for other threads. Those of a spec have busted's environment as their globals, which cannot be
-- sent; a chunk has the real ones.
local threads = {}

-- The function whose body is `text`, with `async` and `thread` there.
function threads.body(text)
  return assert(load("local async = require 'lua_async' local thread = async.thread; " .. text, "=body"))
end

-- Of this process, as the system counts them.
function threads.count()
  local f <close> = assert(io.open("/proc/self/status"))
  return tonumber(f:read("a"):match("Threads:%s*(%d+)"))
end

return threads
