-- echo_client: sends its arguments, a line each, and checks the answers.
-- lua5.4 echo_client.lua [host [port [message...]]]
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"

local function main(host, port, ...)
  -- Ten seconds for all of it. When they have passed, whatever it is that waits inside
  -- is cancelled, the connection is closed, and timeout returns nil and the error.
  return async.timeout(10, function(...)
    local conn <close>, err = async.net.connect(host, port)
    if not conn then return nil, err end
    for _, message in ipairs { ... } do
      assert(conn:write(message, "\n"))
      local answer = assert(conn:read("l"))
      print(answer)
      if answer ~= message then return nil, "that is not what was sent" end
    end
    conn:shutdown("send") -- we are done; the server sees the end of the stream
    local rest = conn:read("a")
    if rest ~= "" then return nil, "bytes that were never sent" end
    return true
  end, ...)
end

local messages = table.pack(select(3, table.unpack(arg)))
if messages.n == 0 then messages = table.pack("hello", "and good-bye") end
local port = math.tointeger(tonumber(arg[2] or 7007))
local ok, err = async.run(main, arg[1] or "127.0.0.1", port, table.unpack(messages, 1, messages.n))
if not ok then
  io.stderr:write(tostring(err), "\n")
  os.exit(1, true)
end
