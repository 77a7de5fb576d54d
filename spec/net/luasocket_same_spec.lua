-- lua_async.socket beside LuaSocket itself: each call of each function gives as many values, of the same
-- types, and the same words where it fails.
local async = require "lua_async"
local support = require "spec.support"
local luasocket = require "spec.support.luasocket"
local ours, theirs = luasocket.socket, luasocket.blocking

teardown(luasocket.remove)

local unknown = "host or service not provided, or not known" -- or its name server does not answer

-- What a value is, to be compared: its type, of numbers which, and of texts the text without addresses.
local function shape(value)
  if math.type(value) then return math.type(value) end
  if type(value) == "string" then
    value = value:gsub("0x%x+", "ADDRESS"):gsub("%d%d%d%d%d", "PORT")
    return "string " .. value:gsub("^temporary failure.*", unknown)
  end
  if type(value) == "boolean" then return tostring(value) end
  -- an object of LuaSocket's is a userdata, and ours a table: their class says what they are
  local object = type(value) == "userdata" or type(value) == "table" and rawget(value, "core")
  if object then return "socket " .. value.class end
  return type(value)
end

local function shapes(ok, ...)
  local list = { ok and "returns" or "raises", n = select("#", ...) }
  for i = 1, list.n do
    local text = shape((select(i, ...)))
    if not ok then text = text:gsub("string [^%s]+:%d+: ", "string ") end -- the place
    list[#list + 1] = text
  end
  return list
end

local function list_of(...) return { n = select("#", ...), ... } end

-- The kinds of sockets that methods are tried on, each made anew by a module and given away with what has to be
-- closed with it.
local kinds = {
  master = function(s) return s.tcp() end,
  master4 = function(s) return s.tcp4() end,
  master6 = function(s) return s.tcp6() end,
  closed = function(s)
    local object = s.tcp4()
    object:close()
    return object
  end,
  server = function(s) return assert(s.bind("127.0.0.1", 0)) end,
  client = function(s)
    local listener = assert(theirs.bind("127.0.0.1", 0))
    local client = assert(s.connect("127.0.0.1", (select(2, listener:getsockname()))))
    local peer = assert(listener:accept())
    listener:close()
    peer:send("first\nsecond\r\n12345678")
    return client, peer
  end,
  ended = function(s)
    local listener = assert(theirs.bind("127.0.0.1", 0))
    local client = assert(s.connect("127.0.0.1", (select(2, listener:getsockname()))))
    local peer = assert(listener:accept())
    listener:close()
    peer:send("rest")
    peer:close()
    return client
  end,
  udp = function(s) return s.udp() end,
  udp4 = function(s)
    local object = s.udp4()
    object:setsockname("127.0.0.1", 0)
    return object
  end,
  connected = function(s)
    local peer = theirs.udp()
    peer:setsockname("127.0.0.1", 0)
    local object = s.udp()
    assert(object:setpeername(peer:getsockname()))
    peer:sendto("datagram", object:getsockname())
    return object, peer
  end,
}

-- Calls of each method; those with a function make their arguments from the object.
local calls = {
  accept = { list_of() },
  bind = { list_of("127.0.0.1", 0), list_of("*", 0), list_of("127.0.0.1"), list_of(), list_of("", 0), list_of({}, 0),
    list_of("127.0.0.1", "no port"), list_of("1.2.3.4", 0), list_of("localhost", 0), list_of("no.such.name.invalid", 0),
    list_of("no.such.name.invalid"), list_of("no.such.name.invalid", {}) },
  setsockname = { list_of("127.0.0.1", 0), list_of("*", 0), list_of("127.0.0.1"), list_of(), list_of("", 0),
    list_of({}, 0) },
  close = { list_of() },
  connect = { list_of("127.0.0.1", 1), list_of("127.0.0.1"), list_of(), list_of("", 80),
    list_of("127.0.0.1\0b", 80), list_of({}, 1),
    list_of(127, 1), list_of("127.0.0.1", "no port"), list_of("127.0.0.1", {}), list_of("localhost", 1),
    list_of("::1", 1),
    list_of("no.such.name.invalid", 1) },
  setpeername = { list_of("127.0.0.1", 1), list_of("*"), list_of(), list_of("", 80), list_of("127.0.0.1"),
    list_of({}, 1),
    list_of("no.such.name.invalid", 1), list_of("localhost", 1) },
  dirty = { list_of() },
  getfamily = { list_of() },
  getfd = { list_of() },
  getoption = { list_of("reuseaddr"), list_of("no option"), list_of(), list_of("linger"), list_of("error"),
    list_of({}) },
  setoption = { list_of("reuseaddr", true), list_of("no option", 1), list_of(), list_of("keepalive", "x"),
    list_of("linger", { on = true, timeout = 1 }), list_of("tcp-nodelay", true), list_of("broadcast", true) },
  getpeername = { list_of() },
  getsockname = { list_of() },
  getstats = { list_of() },
  setstats = { list_of(1, 2, 3), list_of(), list_of("x") },
  listen = { list_of(), list_of(4), list_of("x") },
  receive = { list_of(), list_of("*l"), list_of("*a"), list_of("*x"), list_of("a"), list_of(3), list_of("4"),
    list_of(0), list_of(-1),
    list_of(2.5), list_of({}), list_of("*l", "before"), list_of(4, "before"), list_of(8, "before"),
    list_of("*l", {}), list_of(nil, 12),
    list_of(0 / 0) },
  receivefrom = { list_of(), list_of(3), list_of("x") },
  send = { list_of("text"), list_of(""), list_of(12), list_of(), list_of({}), list_of("text", 2),
    list_of("text", 2, 3), list_of("text", -2),
    list_of("text", 9), list_of("text", 3, 2), list_of("text", "x") },
  sendto = { list_of("text", "127.0.0.1", 9), list_of("text"), list_of(), list_of("text", "localhost", 9),
    list_of("text", "127.0.0.1") },
  setfd = { list_of(), list_of("x") },
  settimeout = { list_of(0), list_of(), list_of(nil), list_of("1"), list_of("x"), list_of(-1), list_of(1, "t"),
    list_of(1, "b"), list_of(1, "r"),
    list_of(1, "x"), list_of(1, 2), list_of({}), list_of(1, {}) },
  gettimeout = { list_of() },
  shutdown = { list_of(), list_of("send"), list_of("both"), list_of("x"), list_of({}) },
}

-- What a call of that method gives on a new object of that kind, and what the object is then.
local function tried(module, kind, name, arguments)
  local object, peer = kinds[kind](module)
  object:settimeout(0)
  if kind == "client" or kind == "ended" or kind == "connected" then theirs.select({ object }, nil, 5) end
  local call = load(("local o = ... return (function(...) return ... end)(o:%s(select(2, ...)))"):format(name))
  local result = shapes(pcall(call, object, table.unpack(arguments, 1, arguments.n)))
  result.class, result.text = object.class, tostring(object):match("^[^:]*")
  result.timeouts = table.pack(object:gettimeout())
  object:close()
  if peer then peer:close() end
  return result
end

describe("a method #notsan #nogc", function()
  for name, lists in pairs(calls) do
    it("gives what LuaSocket's does: " .. name, function()
      support.run(function()
        for kind in pairs(kinds) do
          local sample = kinds[kind](theirs)
          local there = sample[name] ~= nil
          sample:close()
          sample = kinds[kind](ours)
          assert.equal(there, sample[name] ~= nil, kind .. " has " .. name)
          sample:close()
          -- Linux confirms a connection that was made without blocking once more, whoever asks first.
          local connects = name == "connect" or name == "setpeername"
          if connects and (kind == "client" or kind == "ended") then there = false end
          -- What LuaSocket says of the sender where it has no socket yet is what its stack held before.
          if kind == "udp" and name == "receivefrom" then there = false end
          for i, arguments in ipairs(there and lists or {}) do
            local expected = tried(theirs, kind, name, arguments)
            assert.same(expected, tried(ours, kind, name, arguments), ("%s:%s, call %d"):format(kind, name, i))
          end
        end
      end)
    end)
  end

  it("is one that is tried here", function()
    for _, make in ipairs { "tcp", "udp" } do
      local object = theirs[make]()
      for name in pairs(getmetatable(object).__index) do
        if name ~= "class" then assert.truthy(calls[name], name .. " is not in the table") end
      end
    end
  end)
end)

-- Calls of the module's functions, by name: those which end at once for LuaSocket, too.
local functions = {
  tcp = { list_of(), list_of(1) },
  tcp4 = { list_of() },
  tcp6 = { list_of() },
  udp = { list_of() },
  udp4 = { list_of() },
  udp6 = { list_of() },
  bind = { list_of("127.0.0.1", 0), list_of("*", 0), list_of("127.0.0.1", 0, 4), list_of("1.2.3.4", 0),
    list_of("", 0), list_of("127.0.0.1\0b", 0) },
  connect = { list_of("127.0.0.1", 1), list_of("*", 1), list_of("", 80), list_of("127.0.0.1\0b", 80),
    list_of(127, 1), list_of(),
    list_of("127.0.0.1"),
    list_of({}, 1), list_of("127.0.0.1", {}), list_of("127.0.0.1", 1, "127.0.0.1", 0), list_of("127.0.0.1", 1, {}),
    list_of("127.0.0.1", 1, nil, nil, "x"), list_of("127.0.0.1", 1, nil, nil, {}), list_of("127.0.0.1", "no port"),
    list_of("no.such.name.invalid", 1) },
  connect4 = { list_of("127.0.0.1", 1), list_of("::1", 1) },
  connect6 = { list_of("::1", 1), list_of("127.0.0.1", 1) },
  select = { list_of({}, {}, 0), list_of(nil, nil, 0), list_of("x", nil, 0), list_of({}, 1, 0),
    list_of({}, {}, "x"), list_of({}, {}, "0") },
  sleep = { list_of(0), list_of(-1), list_of("0"), list_of("x"), list_of() },
  gettime = { list_of() },
  newtry = { list_of() },
  protect = { list_of(print) },
  skip = { list_of(1, 2, 3) },
  choose = { list_of({}) },
  try = { list_of(1, 2), list_of() },
  sink = { list_of("no such") },
  source = { list_of("no such") },
}
local dns = {
  getaddrinfo = { list_of("127.0.0.1"), list_of(""), list_of("127.0.0.1\0b"), list_of(127), list_of(),
    list_of({}), list_of("::1") },
  toip = { list_of("127.0.0.1"), list_of(""), list_of(), list_of({}), list_of("localhost"),
    list_of("no.such.name.invalid") },
  tohostname = { list_of("127.0.0.1"), list_of(), list_of({}) },
  getnameinfo = { list_of("127.0.0.1"), list_of(), list_of({}) },
  gethostname = { list_of() },
}

describe("a function #notsan #nogc", function()
  local function compare(a, b, table_of, prefix)
    for name, lists in pairs(table_of) do
      it("gives what LuaSocket's does: " .. prefix .. name, function()
        support.run(function()
          for i, arguments in ipairs(lists) do
            local function call(module)
              local f = load(("local m = ... return (function(...) return ... end)(m.%s(select(2, ...)))"):format(name))
              local results = table.pack(pcall(f, module, table.unpack(arguments, 1, arguments.n)))
              for _, value in ipairs(results) do
                if (type(value) == "userdata" or type(value) == "table") and value.close then value:close() end
              end
              return shapes(table.unpack(results, 1, results.n))
            end
            assert.same(call(a), call(b), ("%s%s, call %d"):format(prefix, name, i))
          end
        end)
      end)
    end
  end
  compare(theirs, ours, functions, "")
  compare(theirs.dns, ours.dns, dns, "dns.")

  it("is one that is tried here, and there are no others", function()
    for name, value in pairs(theirs) do
      if type(value) == "function" and name ~= "__unload" then
        assert.truthy(functions[name], name .. " is not in the table")
      end
      if type(value) ~= "table" and name ~= "__unload" then assert.equal(type(value), type(ours[name]), name) end
    end
    for name in pairs(theirs.dns) do assert.truthy(dns[name], name .. " is not in the table") end
    for name in pairs(ours) do
      if name ~= "install" and not name:find("^http$") then assert.truthy(theirs[name] ~= nil, name) end
    end
  end)
end)

describe("an error that is raised #notsan #nogc", function()
  it("is of the caller's line", function()
    local place = "^spec/net/luasocket_same_spec.lua:%d+: "
    support.run(function()
      local client = ours.tcp()
      local ok, err = pcall(function() client:settimeout("x") end)
      assert.is_false(ok)
      assert.matches(place .. "bad argument #1 to 'settimeout' %(number expected, got string%)$", err)
      ok, err = pcall(function() ours.connect({}, 1) end)
      assert.is_false(ok)
      assert.matches(place .. "bad argument #1 to 'connect' %(string expected, got table%)$", err)
      client:close()
    end)
  end)
end)

describe("with a timeout of 0, in a plain coroutine, #notsan #nogc", function()
  it("what cannot be had at once is a timeout", function()
    support.run(function()
      local listener = assert(ours.bind("127.0.0.1", 0))
      local host, port = listener:getsockname()
      local client = assert(ours.connect(host, port))
      listener:settimeout(0)
      client:settimeout(0)
      local udp = ours.udp()
      udp:setsockname("127.0.0.1", 0)
      udp:settimeout(0)
      local co = coroutine.create(function()
        assert.same({ nil, "timeout", "" }, { client:receive "*l" })
        local peer = assert(listener:accept())
        assert.same({ nil, "timeout" }, { listener:accept() })
        assert.same({ nil, "timeout" }, { udp:receive() })
        assert.same({ {}, {}, "timeout" }, { ours.select({ client }, nil, 0) })
        assert.equal(4, client:send("text"))
        peer:close()
      end)
      assert(coroutine.resume(co))
      assert.equal("dead", coroutine.status(co))
      client:close()
      listener:close()
      udp:close()
    end)
  end)

  it("the same holds outside of a run", function()
    local listener = assert(ours.bind("127.0.0.1", 0))
    listener:settimeout(0)
    assert.same({ nil, "timeout" }, { listener:accept() })
    listener:close()
  end)

  it("a connection is made step by step, in LuaSocket's words", function()
    support.run(function()
      -- a listener whose backlog is full answers nobody
      local words = {}
      for _, s in ipairs { theirs, ours } do
        local listener = theirs.tcp4()
        assert(listener:bind("127.0.0.1", 0))
        assert(listener:listen(0))
        local host, port = listener:getsockname()
        local others = {}
        for i = 1, 4 do
          others[i] = theirs.tcp()
          others[i]:settimeout(0)
          others[i]:connect(host, port)
        end
        local client = s.tcp()
        client:settimeout(0)
        words[#words + 1] = { client:connect(host, port) }
        words[#words + 1] = { client:connect(host, port) }
        client:close()
        for _, other in ipairs(others) do other:close() end
        listener:close()
      end
      assert.same({ nil, "timeout" }, words[1])
      assert.same({ nil, "Operation already in progress" }, words[2])
      assert.same({ words[1], words[2] }, { words[3], words[4] })
    end)
  end)
end)
