-- The sockets of lua_async.socket: LuaSocket's own (socket.core) with a timeout of 0. When one of them
-- says "timeout", the task waits with async.poll_fd and tries again; LuaSocket's timeouts are kept here.
-- Arguments, options, statistics, patterns, results and error strings are LuaSocket's.
local async = require "lua_async"
local core = require "socket.core"

-- ---- errors that are raised ------------------------------------------------------------------

-- What Lua puts before the message of an error that is raised in this file, or in socket.lua.
local here = debug.getinfo(1, "S").short_src:gsub("%p", "%%%0"):gsub("%%_objects", "[_a-z]*")
here = "^" .. here .. ":%d+: "

-- The results of pcall, or its error as if `name` were a function in C that the caller has called. `first` is
-- the number of its first argument in the core's messages: 2 for a method.
local function settle(name, first, ok, ...)
  if ok then return ... end
  local message = ...
  if type(message) ~= "string" then error(message, 0) end
  message = message:gsub(here, "")
  local number, why = message:match("^bad argument #(%d+) to '[^']*' (.*)")
  if number then
    number = number - first + 1
    message = number == 0 and ("calling '%s' on bad self %s"):format(name, why)
      or ("bad argument #%d to '%s' %s"):format(number, name, why)
  end
  error(message, 2)
end

-- A function of the module whose body is `f`.
local function exported(name, f)
  return function(...) return settle(name, 1, pcall(f, ...)) end
end

-- ---- names ---------------------------------------------------------------------------------

-- What getaddrinfo reads as an address, in all the forms of inet_aton.
local function is_numeric(host)
  if host:find(":", 1, true) then return true end
  local rest = host:gsub("0[xX]%x+", "0"):gsub("%d+", "0")
  return rest:find("^0[.0]*$") ~= nil
end

-- What the core has of a host: numbers are strings to it, and its strings end at a zero byte. Anything else
-- stays as it is, for the core to refuse.
local function as_host(host)
  if type(host) == "number" then return tostring(host) end
  return type(host) == "string" and host:match("^[^\0]*") or host
end

local function is_name(host) return type(host) == "string" and host ~= "" and not is_numeric(host) end

local unknown = "host or service not provided, or not known"

local function name_error(err)
  if type(err) ~= "table" and type(err) ~= "userdata" then return tostring(err) end
  if err.code == "ETIMEDOUT" then return "timeout" end
  if err.code == "EAI_NONAME" or err.code == "ENOTFOUND" or err.code == "EAI_NODATA" then return unknown end
  return err.message
end

-- The addresses of a host as { family=, addr= }, by async.net.resolve until the time `limit`.
local function resolve(host, limit)
  if not is_name(host) then return core.dns.getaddrinfo(host) end
  local list, err = async.deadline(limit, async.net.resolve, host)
  if not list then return nil, name_error(err) end
  local addresses = {}
  for i, addr in ipairs(list) do
    addresses[i] = { family = addr:find(":", 1, true) and "inet6" or "inet", addr = addr }
  end
  return addresses
end

-- ---- waiting -------------------------------------------------------------------------------

-- Calls the core's own method.
local function call(self, name, ...)
  local method = self.core[name]
  return method(self.core, ...)
end

local holder = { __close = function(held) held.socket[held.what] = nil end }

-- Until the <close> value that it returns is closed, no other task does the same on this socket.
local function hold(self, what)
  if self[what] then error("another task is " .. what .. " on this socket already", 0) end
  self[what] = true
  return setmetatable({ socket = self, what = what }, holder)
end

-- A timeout of LuaSocket's in seconds: a negative one is none.
local function seconds(timeout) return timeout >= 0 and timeout or timeout < 0 and math.huge or 0 end

-- The time a call that begins now has to be over, with the "t" timeout.
local function total_limit(self) return async.now() + seconds(self.total) end

-- The time a lookup for this socket has to be over. LuaSocket's timeouts do not hold for names: here they
-- do, but for 0, which says that the caller asks again and again.
local function lookup_limit(self)
  local now = async.now()
  local limit = now + math.min(seconds(self.total), seconds(self.block))
  return limit > now and limit or math.huge
end

-- The same as total_limit for a receive. As LuaSocket has it, a "b" timeout that is alone counts from the
-- beginning of the call, and beside a "t" for each wait.
local function receive_limit(self)
  return async.now() + seconds(self.total < 0 and self.block or self.total)
end

-- Lets the others have a turn, so that a task which asks again and again does not starve them. Where the
-- caller cannot be suspended, in a plain coroutine or outside of a run, it does nothing and returns false.
local function give_way()
  local ok, err = pcall(async.yield)
  if not ok and async.is_cancelled(err) then error(err, 0) end
  return ok
end

-- How many calls that did not have to wait there may be one after another before the others have a turn.
local BUDGET <const> = 128
local spent = 0

local function spend()
  spent = spent + 1
  if spent >= BUDGET and give_way() then spent = 0 end
end

-- Waits until the socket may go on: true, or nil and "timeout" or "closed". `limit` is total_limit's.
local function wait(self, events, limit)
  limit = math.min(limit, async.now() + seconds(self.block))
  if limit <= async.now() then
    give_way()
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

-- Calls the core's method until it does not say "timeout", and returns what it does.
local function again(self, events, limit, name, ...)
  spend()
  while true do
    local results = table.pack(call(self, name, ...))
    if results[1] or results[2] ~= "timeout" then return table.unpack(results, 1, results.n) end
    local ready, why = wait(self, events, limit)
    if not ready then return nil, why end
  end
end

-- ---- sockets -------------------------------------------------------------------------------

-- What is done here and not by the core: bodies of methods, by kind of socket.
local tcp, udp = {}, {}
local bodies = { tcp = tcp, udp = udp }

-- A method whose body is `f`.
local function method(name, f)
  return function(self, ...)
    if type(self) ~= "table" or not rawget(self, "core") then
      error(("calling '%s' on bad self (a socket expected)"):format(name), 2)
    end
    return settle(name, 2, pcall(f, self, ...))
  end
end

-- A class has the methods, and the name, of a class of the core; an object changes its class as its core
-- does: tcp{master} to tcp{client}.
local classes = {}

local function class_of(object)
  local name = object.class
  if classes[name] then return classes[name] end
  local ours = bodies[name:match("^%a+")]
  local index = { class = name }
  for what, f in pairs(getmetatable(object).__index) do
    if type(f) == "function" then
      index[what] = method(what, ours[what] or function(self, ...) return f(self.core, ...) end)
    end
  end
  classes[name] = {
    __index = index,
    __name = name,
    __tostring = function(self) return tostring(self.core) end,
    __close = function(self) self:close() end,
  }
  return classes[name]
end

-- The results, when the class has become that of the core.
local function reclassed(self, ...)
  setmetatable(self, class_of(self.core))
  return ...
end

local function wrap(object, ...)
  if not object then return object, ... end
  object:settimeout(0)
  return setmetatable({ core = object, block = -1.0, total = -1.0, parts = {} }, class_of(object))
end

function tcp:settimeout(...)
  -- The core reads the arguments; its own timeout is 0 again afterwards.
  local object = self.core
  object:settimeout(self.block, "b")
  object:settimeout(self.total, "t")
  local result = call(self, "settimeout", ...)
  self.block, self.total = object:gettimeout()
  object:settimeout(0, "b")
  object:settimeout(-1, "t")
  return result
end
udp.settimeout = tcp.settimeout

function tcp:gettimeout() return self.block, self.total end
udp.gettimeout = tcp.gettimeout

function tcp:close()
  local result = call(self, "close")
  self.parts = {}
  if self.ends then self.ends:notify_all() end
  return result
end
udp.close = tcp.close

function tcp:dirty() return self.parts[1] ~= nil or call(self, "dirty") end

-- ---- connecting ------------------------------------------------------------------------------

local progress = { ["Operation already in progress"] = true, ["Operation now in progress"] = true }

local function connect_to(self, addr, port, limit)
  local ok, err = call(self, "connect", addr, port)
  if ok or err ~= "timeout" then return ok, err end -- a second connect says what LuaSocket's does
  repeat
    local ready, why = wait(self, "w", limit)
    if not ready then return nil, why end
    ok, err = call(self, "connect", addr, port)
    if err == "already connected" then return 1.0 end -- since the first try
  until ok or not (err == "timeout" or progress[err])
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

local function is_port(port) return type(port) == "string" or type(port) == "number" end

-- Whether the socket can have that address: it has no family before it is bound or connects.
local function fits(self, a)
  return self.core:getfd() < 0 or families[a.family] == self.core:getfamily()
end

local function connect(self, ...)
  local host, port = as_host((...)), (select(2, ...))
  local sound = type(host) == "string" and host ~= "" and is_port(port)
  if not sound then return call(self, "connect", ...) end -- which refuses it
  if host == "*" then host = "0.0.0.0" end -- no name: this machine
  local limit = total_limit(self)
  local _ <close> = hold(self, "connecting")
  local addresses, err = resolve(host, lookup_limit(self))
  local free = self.core:getfd() < 0
  local ok, tried, why
  for _, a in ipairs(addresses or {}) do
    if free and not fits(self, a) then
      ok, err = renew(self)
      if not ok then return nil, err end
    end
    if fits(self, a) then
      tried = true
      ok, err = connect_to(self, a.addr, port, limit)
      if ok or err == "timeout" or err == "closed" then break end
    end
  end
  if not tried then
    -- LuaSocket says why an address does not fit. It also makes this a tcp{client}, as its own are then.
    ok, why = call(self, "connect", is_name(host) and "" or host, port)
    return ok, err or why
  end
  if ok then return ok end
  return nil, err
end

function tcp:connect(...) return reclassed(self, connect(self, ...)) end
tcp.setpeername = tcp.connect

function tcp:listen(...) return reclassed(self, call(self, "listen", ...)) end

-- The core's method of that name, which sees an address where the caller gave a name. A socket that is not
-- of the `class`, if there is one, or what is no port, is refused before anything is looked up.
local function with_address(name, class)
  return function(self, ...)
    local host = as_host((...))
    if host == "*" or not is_name(host) then return reclassed(self, call(self, name, ...)) end
    if class and self.core.class ~= class or not is_port((select(2, ...))) then
      return call(self, name, "127.0.0.1", select(2, ...))
    end
    local addresses, err = resolve(host, lookup_limit(self))
    for _, a in ipairs(addresses or {}) do
      if fits(self, a) then
        local ok, why = call(self, name, a.addr, select(2, ...))
        if ok then return reclassed(self, ok) end
        err = why
      end
    end
    return nil, err or unknown
  end
end
local MASTER <const> = "tcp{master}"
tcp.bind, tcp.setsockname = with_address("bind", MASTER), with_address("setsockname", MASTER)
udp.setsockname, udp.setpeername = with_address "setsockname", with_address "setpeername"

function tcp:accept() return wrap(again(self, "r", total_limit(self), "accept")) end

-- ---- bytes ---------------------------------------------------------------------------------

-- A LuaSocket that was built with LUASOCKET_DEBUG also returns how long a send or a receive took.
local function timed(began, a, b, c)
  if core._DEBUG then return a, b, c, async.now() - began end
  return a, b, c
end

function tcp:send(...)
  spend()
  local began, limit = async.now(), total_limit(self)
  local _ <close> = hold(self, "sending")
  local data, _, j = ...
  local last, err, sent = call(self, "send", ...)
  while not last and err == "timeout" do
    local ready, why = wait(self, "w", limit)
    if not ready then return timed(began, nil, why, sent) end
    last, err, sent = call(self, "send", data, sent + 1, j)
  end
  return timed(began, last, err, sent)
end

-- What a receive that was cancelled had got, as far as `pattern` wants it: nil, or the result.
local function take_kept(self, pattern)
  local kept = table.concat(self.parts)
  self.parts = { kept }
  local result, after
  if type(pattern) == "number" then
    if #kept >= pattern then result, after = kept:sub(1, pattern), pattern + 1 end
  elseif pattern == "*l" then
    result, after = kept:match("^([^\n]*)\n()")
    result = result and result:gsub("\r", "")
  end
  if not result then return nil end
  self.parts = after <= #kept and { kept:sub(after) } or {}
  return result
end

-- The pattern as a number or "*l" or "*a", if the core knows it; otherwise as it was.
local function read_pattern(pattern)
  local n = tonumber(pattern)
  if n and n >= 0 then return n < math.maxinteger and n // 1 | 0 or math.maxinteger end
  return pattern == nil and "*l" or type(pattern) == "string" and pattern:match("^%*[al]") or pattern
end

-- One receive: result, or nil, error and what there is of it.
local function receive(self, given, prefix, limit)
  local pattern, before = read_pattern(given), tostring(prefix or "")
  local parts, have = self.parts, 0
  if parts[1] then
    -- As LuaSocket has it, the prefix counts.
    local wanted = pattern
    if type(wanted) == "number" then
      wanted = wanted - #before
      if wanted <= 0 and before ~= "" then return before end
    end
    local kept = take_kept(self, wanted)
    if kept then return before .. kept end
    parts, have = self.parts, #self.parts[1]
  end
  local function whole()
    self.parts = {}
    return before .. table.concat(parts)
  end
  local again_with, first = given, parts[1] == nil
  while true do
    if type(pattern) == "number" then again_with = first and given or pattern - #before - have end
    local data, err, partial = call(self, "receive", again_with, first and prefix or nil)
    if first and data then return data end -- at once, mostly
    local got = data or partial or ""
    if first then got, first = got:sub(#before + 1), false end
    if got ~= "" then
      parts[#parts + 1] = got -- the socket's: a task that is cancelled here leaves it to the next receive
      have = have + #got
    end
    if data or (err == "closed" and pattern == "*a" and have > 0) then return whole() end
    if err ~= "timeout" then return nil, err, whole() end
    local ready, why = wait(self, "r", limit)
    if not ready then return nil, why, whole() end
  end
end

function tcp:receive(pattern, prefix)
  spend()
  local began, limit = async.now(), receive_limit(self)
  local _ <close> = hold(self, "receiving")
  return timed(began, receive(self, pattern, prefix, limit))
end

-- A datagram is received, or sent, whole or not at all.
for name, events in pairs { receive = "r", receivefrom = "r", send = "w", sendto = "w" } do
  udp[name] = function(self, ...) return again(self, events, total_limit(self), name, ...) end
end

return {
  wrap = wrap, -- a socket of the core's, or nil and what follows
  resolve = resolve,
  as_host = as_host,
  is_name = is_name,
  seconds = seconds,
  give_way = give_way,
  spend = spend,
  exported = exported,
}
