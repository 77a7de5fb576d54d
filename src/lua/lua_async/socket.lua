-- lua_async.socket: LuaSocket whose sockets suspend the task instead of blocking the thread.
--
-- The sockets are LuaSocket's own (socket.core), with a timeout of 0: what one cannot do at once is
-- waited for with async.poll_fd, and tried again. So options, statistics, patterns and error strings
-- are those of the LuaSocket that is installed; on top of that core runs its own socket.lua, unchanged.
-- Timeouts are kept here.
local async = require "lua_async"

local found, core = pcall(require, "socket.core")
if not found then
  error("lua_async.socket needs LuaSocket (package lua-socket, or luarocks install luasocket)\n" .. core, 2)
end

-- ---- names ---------------------------------------------------------------------------------

local function is_numeric(host)
  return host:find("^%d+%.%d+%.%d+%.%d+$") ~= nil or host:find(":", 1, true) ~= nil
end

local unknown = "host or service not provided, or not known"

local function name_error(err)
  if type(err) ~= "table" then return tostring(err) end
  if err.code == "ETIMEDOUT" then return "timeout" end
  if err.code == "EAI_NONAME" or err.code == "ENOTFOUND" or err.code == "EAI_NODATA" then return unknown end
  return err.message
end

-- The addresses of a name as { family=, addr= }, by async.net.resolve, until the time `limit`. A
-- lua_async without that has LuaSocket look it up, which blocks.
local function resolve(host, limit)
  if is_numeric(host) or not async.net.resolve then return core.dns.getaddrinfo(host) end
  local list, err = async.deadline(limit or math.huge, async.net.resolve, host)
  if not list then return nil, name_error(err) end
  local addresses = {}
  for _, a in ipairs(list) do
    local addr = type(a) == "table" and (a.address or a.addr or a.host or a[1]) or a
    addresses[#addresses + 1] = { family = addr:find(":", 1, true) and "inet6" or "inet", addr = addr }
  end
  return addresses
end

-- ---- waiting -------------------------------------------------------------------------------

local holder = { __close = function(hold) hold.socket[hold.what] = nil end }

-- Until the <close> value that it returns is closed, no other task does the same on this socket.
local function hold(self, what)
  if self[what] then error("another task is " .. what .. " on this socket already", 3) end
  self[what] = true
  return setmetatable({ socket = self, what = what }, holder)
end

-- The time a call that begins now has to be over, with the "t" timeout.
local function total_limit(self) return async.now() + self.total end

-- The same for a receive. As LuaSocket has it, a "b" timeout that is alone counts from the beginning of
-- the call, and beside a "t" for each wait.
local function receive_limit(self)
  return async.now() + (self.total < math.huge and self.total or self.block)
end

-- Waits until the socket may go on: true, or nil and "timeout" or "closed". `limit` is total_limit's.
local function wait(self, events, limit)
  limit = math.min(limit, async.now() + self.block)
  if limit <= async.now() then
    async.yield() -- who asks again and again shall not keep the others from running
    return nil, "timeout"
  end
  self.ends = self.ends or async.sync.notify()
  local what, event, err = async.deadline(limit, async.select, {
    ready = async.future(async.poll_fd, self.core, events),
    closed = async.future(self.ends.wait, self.ends),
  })
  if not what then return nil, "timeout" end
  if what == "closed" then return nil, "closed" end
  if not event then return nil, err.message end
  return true
end

-- Calls try() until it does not say "timeout"; returns what it does, or nil and why not.
local function again(self, events, limit, try, ...)
  while true do
    local a, b, c = try(self.core, ...)
    if a or b ~= "timeout" then return a, b, c end
    local ready, why = wait(self, events, limit)
    if not ready then return nil, why end
  end
end

-- ---- sockets -------------------------------------------------------------------------------

local methods = {}
local Socket = {
  __index = methods,
  __name = "lua_async.socket",
  __tostring = function(self) return tostring(self.core) end,
  __close = function(self) self:close() end,
}

-- Whatever waits for nothing is LuaSocket's own.
local function forward(object)
  for name, method in pairs(getmetatable(object).__index) do
    if type(method) == "function" then
      methods[name] = function(self, ...) return self.core[name](self.core, ...) end
    end
  end
end
for _, make in ipairs { core.tcp, core.udp } do
  local object = assert(make())
  forward(object)
  object:close()
end

local function wrap(object, err)
  if not object then return nil, err end
  object:settimeout(0)
  return setmetatable({ core = object, block = math.huge, total = math.huge, parts = {} }, Socket)
end

function methods:settimeout(value, mode)
  if value ~= nil and type(value) ~= "number" then
    error(("bad argument #1 to 'settimeout' (number expected, got %s)"):format(type(value)), 2)
  end
  local which = (mode or "b"):sub(1, 1)
  if not which:find("[btr]") then error("bad argument #2 to 'settimeout' (invalid timeout mode)", 2) end
  self[which == "b" and "block" or "total"] = value and value >= 0 and value or math.huge
  return 1
end

function methods:gettimeout()
  local function shown(seconds) return seconds < math.huge and seconds or nil end
  return shown(self.block), shown(self.total)
end

function methods:close()
  self.core:close()
  self.parts = {}
  if self.ends then self.ends:notify_all() end
  return 1
end

function methods:dirty() return self.parts[1] ~= nil or self.core:dirty() end

-- ---- connecting ------------------------------------------------------------------------------

local busy = {
  timeout = true,
  ["Operation already in progress"] = true,
  ["Operation now in progress"] = true,
}

local function connect_to(self, addr, port, limit)
  local ok, err = self.core:connect(addr, port)
  while not ok and busy[err] do
    local ready, why = wait(self, "w", limit)
    if not ready then return nil, why end
    ok, err = self.core:connect(addr, port)
    if err == "already connected" then return 1 end -- since the first try
  end
  return ok, err
end

-- What getfamily calls the families of addresses.
local families = { inet = "inet4", inet6 = "inet6" }

-- A new core of no family yet, as LuaSocket makes one from one address of a name to the next: true, or nil
-- and why not.
local function renew(self)
  local fresh, err = core.tcp()
  if not fresh then return nil, err end
  fresh:settimeout(0)
  self.core:close()
  self.core = fresh
  return true
end

function methods:connect(host, port)
  local limit = total_limit(self)
  local _ <close> = hold(self, "connecting")
  local addresses, err = resolve(host, math.min(limit, async.now() + self.block))
  if not addresses then return nil, err end
  if not addresses[1] then return nil, unknown end
  local free = self.core:getfd() < 0 -- of no family, before it is bound or connects
  local ok, tried
  for _, a in ipairs(addresses) do
    local fits = self.core:getfd() < 0 or families[a.family] == self.core:getfamily()
    if free and not fits then
      fits, err = renew(self)
      if not fits then return nil, err end
    end
    if fits then
      tried = true
      ok, err = connect_to(self, a.addr, port, limit)
      if ok or err == "timeout" or err == "closed" then break end
    end
  end
  if not tried then return self.core:connect(addresses[1].addr, port) end -- LuaSocket says why it cannot
  return ok, err
end

-- A name becomes an address before the method of LuaSocket's `name` sees it.
local function with_address(name, any)
  local method = methods[name]
  methods[name] = function(self, host, ...)
    if host == any or is_numeric(host) then return method(self, host, ...) end
    local addresses, err = resolve(host, total_limit(self))
    if not addresses then return nil, err end
    for _, a in ipairs(addresses) do
      local ok, why = method(self, a.addr, ...)
      if ok then return ok end
      err = why
    end
    return nil, err
  end
end
with_address("bind", "*")
with_address("setsockname", "*")
with_address("setpeername", "*")

function methods:accept()
  local limit = total_limit(self)
  local client, err = again(self, "r", limit, self.core.accept)
  return wrap(client, err)
end

-- ---- bytes ---------------------------------------------------------------------------------

function methods:send(data, i, j)
  local limit = total_limit(self)
  local _ <close> = hold(self, "sending")
  i = i or 1
  while true do
    local last, err, sent = self.core:send(data, i, j)
    if last or err ~= "timeout" then return last, err, sent end
    local ready, why = wait(self, "w", limit)
    if not ready then return nil, why, sent end
    i = sent + 1
  end
end

-- What a receive that was cancelled had got, as far as `pattern` wants it: nil, or the result.
local function take_kept(self, pattern)
  if not self.parts[1] then return nil end
  local kept = table.concat(self.parts)
  self.parts = { kept }
  local result, after
  if type(pattern) == "number" and #kept >= pattern then
    result, after = kept:sub(1, pattern), pattern + 1
  elseif pattern == "*l" then
    result, after = kept:match("^([^\n]*)\n()")
    result = result and result:gsub("\r", "")
  end
  if not result then return nil end
  self.parts = after <= #kept and { kept:sub(after) } or {}
  return result
end

local function check_pattern(pattern)
  if pattern == nil then return "*l" end
  if math.type(pattern) and pattern >= 0 then return math.floor(pattern) end
  if type(pattern) == "string" then
    local letter = pattern:match("^%*?([al])")
    if letter then return "*" .. letter end
    if tonumber(pattern) then return math.floor(tonumber(pattern)) end
  end
  error("bad argument #1 to 'receive' (invalid receive pattern)", 3)
end

local function receive_stream(self, pattern, prefix)
  local limit = receive_limit(self)
  local _ <close> = hold(self, "receiving")
  pattern, prefix = check_pattern(pattern), prefix or ""
  -- As LuaSocket has it, the prefix counts.
  if type(pattern) == "number" then
    pattern = pattern - #prefix
    if pattern <= 0 and prefix ~= "" then return prefix, nil, nil end
  end
  local kept = take_kept(self, pattern)
  if kept then return prefix .. kept, nil, nil end -- as many as LuaSocket returns
  local parts, have = self.parts, self.parts[1] and #self.parts[1] or 0
  local function whole()
    self.parts = {}
    return prefix .. table.concat(parts)
  end
  while true do
    local data, err, partial = self.core:receive(type(pattern) == "number" and pattern - have or pattern)
    local got = data or partial or ""
    if got ~= "" then
      parts[#parts + 1] = got -- the socket's: a task that is cancelled here leaves it to the next receive
      have = have + #got
    end
    if data or (err == "closed" and pattern == "*a" and have > 0) then return whole(), nil, nil end
    if err ~= "timeout" then return nil, err, whole() end
    local ready, why = wait(self, "r", limit)
    if not ready then return nil, why, whole() end
  end
end

function methods:receive(...)
  if not self.datagram then return receive_stream(self, ...) end
  return again(self, "r", total_limit(self), self.core.receive, ...)
end

function methods:receivefrom(...) return again(self, "r", total_limit(self), self.core.receivefrom, ...) end

function methods:sendto(...) return again(self, "w", total_limit(self), self.core.sendto, ...) end

local send_stream = methods.send
function methods:send(data, ...)
  if not self.datagram then return send_stream(self, data, ...) end
  return again(self, "w", total_limit(self), self.core.send, data)
end

-- ---- the core of the module ---------------------------------------------------------------------

local M = {}
for name, value in pairs(core) do
  local ours = type(value) ~= "function" and type(value) ~= "table"
  if ours then M[name] = value end
end
for _, name in ipairs { "newtry", "protect", "skip", "gettime" } do M[name] = core[name] end

for _, name in ipairs { "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6" } do
  local make = core[name]
  M[name] = make and function()
    local socket, err = wrap(make())
    if socket then socket.datagram = name:find("^udp") ~= nil end
    return socket, err
  end
end

local makers = { inet = "tcp4", inet6 = "tcp6" }

function M.connect(host, port, local_host, local_port, family)
  local socket, err = M[makers[family] or "tcp"]()
  if not socket then return nil, err end
  local ok = true
  if local_host then ok, err = socket:bind(local_host, local_port or 0) end
  if ok then ok, err = socket:connect(host, port) end
  if ok then return socket end
  socket:close()
  return nil, err
end

function M.sleep(seconds) async.sleep(seconds) end

-- Seconds between two looks where no descriptor is left to wait with.
local LOOK = 0.01

-- Futures of all that select(2) would look at.
local function arms(list, events, all)
  for _, socket in ipairs(list or {}) do
    local fd = math.tointeger(socket:getfd())
    if fd and fd >= 0 then all[#all + 1] = async.future(async.poll_fd, fd, events) end
  end
end

function M.select(recvt, sendt, timeout)
  local limit = timeout and timeout >= 0 and async.now() + timeout or math.huge
  while true do
    local r, w, err = core.select(recvt, sendt, 0)
    if err ~= "timeout" then return r, w, err end
    if limit <= async.now() then
      async.yield()
      return r, w, err
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
end

-- ---- dns -----------------------------------------------------------------------------------

M.dns = {}
for name, f in pairs(core.dns) do M.dns[name] = f end

function M.dns.getaddrinfo(host) return resolve(host) end

function M.dns.toip(host)
  if is_numeric(host) then return core.dns.toip(host) end
  local list = resolve(host)
  local ip = {}
  for _, a in ipairs(list or {}) do
    if a.family == "inet" then ip[#ip + 1] = a.addr end
  end
  if not ip[1] then return nil, "host not found" end
  return ip[1], { name = host, alias = {}, ip = ip }
end

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
