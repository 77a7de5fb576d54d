-- lua_async.socket: LuaSocket whose sockets suspend the task instead of blocking the thread. Its own
-- socket.lua runs, unchanged, on the functions of socket.core that this module has in their place.
local async = require "lua_async"

local found, core = pcall(require, "socket.core")
if not found then
  error("lua_async.socket needs LuaSocket (package lua-socket, or luarocks install luasocket)\n" .. core, 2)
end

local objects = require "lua_async.socket_objects"
local resolve, as_host, is_name = objects.resolve, objects.as_host, objects.is_name
local seconds, exported, wrap = objects.seconds, objects.exported, objects.wrap

-- ---- in place of socket.core ----------------------------------------------------------------

local M = {}
for name, value in pairs(core) do
  if type(value) ~= "function" and type(value) ~= "table" then M[name] = value end
end
for _, name in ipairs { "newtry", "protect", "skip", "gettime" } do M[name] = core[name] end

for _, name in ipairs { "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6" } do
  local make = core[name]
  M[name] = make and exported(name, function() return wrap(make()) end)
end

-- Raises as luaL_checkstring does, about argument n of those given.
local function check_string(n, given, ...)
  local value = select(n, ...)
  if type(value) == "string" or type(value) == "number" then return end
  local what = n > given and "no value" or type(value)
  error(("bad argument #%d to '?' (string expected, got %s)"):format(n, what), 0)
end

local makers = { unspec = "tcp", inet = "tcp4", inet6 = "tcp6" }

M.connect = exported("connect", function(...)
  local host, port, local_host, local_port, family = ...
  local given = select("#", ...)
  check_string(1, given, ...)
  check_string(2, given, ...)
  if local_host ~= nil then check_string(3, given, ...) end
  if local_port ~= nil then check_string(4, given, ...) end
  if family ~= nil then check_string(5, given, ...) end
  local make = makers[family or "unspec"]
  if not make then error(("bad argument #5 to '?' (invalid option '%s')"):format(family), 0) end
  local socket, err = M[local_host and make or "tcp"]() -- the family is that of the local address
  if not socket then return nil, err end
  local ok = true
  if local_host then ok, err = socket:bind(local_host, local_port or 0) end
  if ok then ok, err = socket:connect(host, port) end
  if ok then return socket end
  socket:close()
  return nil, err
end)

M.sleep = exported("sleep", function(...)
  local n = tonumber((...))
  if not n then core.sleep(...) end -- says that it is no number
  async.sleep(n == n and n or 0)
end)

-- Seconds between two looks where no descriptor is left to wait with.
local LOOK = 0.01

-- Futures of all that select(2) would look at.
local function arms(list, events, all)
  for _, socket in ipairs(list or {}) do
    local fd = math.tointeger(socket:getfd())
    if fd and fd >= 0 then all[#all + 1] = async.future(async.poll_fd, fd, events) end
  end
end

M.select = exported("select", function(recvt, sendt, timeout)
  local t = tonumber(timeout)
  if timeout ~= nil and not t then core.select(recvt, sendt, timeout) end -- says that it is no number
  local limit = async.now() + seconds(t or -1)
  objects.spend()
  while true do
    local results = table.pack(core.select(recvt, sendt, 0))
    if results[3] ~= "timeout" then return table.unpack(results, 1, results.n) end
    if limit <= async.now() then
      objects.give_way()
      return table.unpack(results, 1, results.n)
    end
    local all = {}
    arms(recvt, "r", all)
    arms(sendt, "w", all)
    if all[1] then
      local _, event, failure = async.deadline(limit, async.select, all)
      if not event and failure then async.time.sleep_until(math.min(limit, async.now() + LOOK)) end
    else
      async.time.sleep_until(limit)
    end
  end
end)

-- ---- dns -----------------------------------------------------------------------------------

M.dns = {}
for name, f in pairs(core.dns) do M.dns[name] = f end

M.dns.getaddrinfo = exported("getaddrinfo", function(...)
  local host = as_host((...))
  if not is_name(host) then return core.dns.getaddrinfo(...) end
  return resolve(host, math.huge)
end)

M.dns.toip = exported("toip", function(...)
  local host = as_host((...))
  if not is_name(host) then return core.dns.toip(...) end
  local ip = {}
  for _, a in ipairs(resolve(host, math.huge) or {}) do
    if a.family == "inet" then ip[#ip + 1] = a.addr end
  end
  if not ip[1] then return nil, "host not found" end
  return ip[1], { name = host, alias = {}, ip = ip }
end)

-- ---- LuaSocket's own socket.lua on it --------------------------------------------------------

local path, why = package.searchpath("socket", package.path)
if not path then error("lua_async.socket: LuaSocket's socket.lua is missing" .. why) end
local load_socket = assert(loadfile(path))
local loaded = package.loaded["socket.core"]
package.loaded["socket.core"] = M
local ok, err = pcall(load_socket, "socket", path)
package.loaded["socket.core"] = loaded
if not ok then error(err, 0) end

-- Puts this module in LuaSocket's place: what is required from here on as "socket", "socket.http", …
-- waits in tasks. Modules on top of LuaSocket that were loaded before go on with what they had.
function M.install()
  for name in pairs(package.loaded) do
    local part = type(name) == "string" and name:match("^socket%.(%w+)$")
    if part and part ~= "core" and part ~= "unix" and part ~= "serial" then package.loaded[name] = nil end
  end
  package.loaded["socket"] = M
  return M
end

return M
