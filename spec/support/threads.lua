-- What each thread of `host threads` runs (spec/state_spec.lua, make tsan): a server, its
-- clients, files and names, in a runtime of its own.
local async = require "lua_async"
local total = async.run(function()
  local listener = assert(async.net.listen("127.0.0.1", 0))
  local _, port = listener:address()
  async.spawn(function()
    for conn in listener:incoming() do
      async.spawn(function()
        local c <close> = conn
        for line in c:lines("L") do c:write(line) end
      end)
    end
  end)
  local n, tasks = 0, {}
  for i = 1, 10 do
    tasks[i] = async.spawn(function()
      local conn <close> = assert(async.net.connect("127.0.0.1", port))
      for k = 1, 10 do
        conn:write(i, " ", k, "\n")
        assert(conn:read() == i .. " " .. k)
        n = n + 1
      end
      assert(#async.fs.read_file("/proc/self/comm") > 0)
      async.timeout(0.001, async.sleep, 10)
      assert(async.net.connect("localhost", 1) == nil)
    end)
  end
  for i = 1, 10 do tasks[i]:await() end
  listener:close()
  return n
end)
assert(total == 100)
for i = 1, 20 do async.run(async.sleep, 0) end
