-- O_NONBLOCK belongs to the open file of a socket, which children and those who started us may share:
-- whoever changes it, we never wait in a system call, and nobody who waits in one is disturbed by us.
local async = require "lua_async"
local support = require "spec.support"

local function with(f, ...)
  local args = table.pack(...)
  return function() support.run(function() f(table.unpack(args, 1, args.n)) end) support.clean() end
end

-- A child that has the descriptor as its stdin, and has ended: libuv has made the open file a
-- blocking one.
local function lend(fd) assert(assert(async.process.spawn { "true", stdin = fd }):wait()) end

-- A client of a listener that is `kind`; and the listener.
local kinds = {
  tcp = function()
    local l = assert(async.net.listen("127.0.0.1", 0))
    local _, port = l:address()
    return l, function() return assert(async.net.connect("127.0.0.1", port)) end
  end,
  unix = function()
    local path = support.folder() .. "/s"
    return assert(async.net.listen_unix(path)), function() return assert(async.net.connect_unix(path)) end
  end,
}

-- Both ends of a connection whose first end is lent to a child.
local function lent_pair(kind)
  local l <close>, client = kinds[kind]()
  local a = client()
  local b = assert(l:accept())
  lend(a:fd())
  return a, b
end

for kind, make in pairs(kinds) do
  describe("a socket that a child has had (" .. kind .. ")", function()
    it("accepts without waiting in the system #process", with(function()
      local l <close>, client = make()
      local served = 0
      local server = async.spawn(function()
        for conn in l:incoming() do
          served = served + 1
          conn:close()
        end
      end)
      for i = 1, 3 do
        lend(l)
        local conn <close> = client()
        assert.equal("", conn:read("a"))
        assert.equal(i, served)
      end
      server:cancel()
    end))

    it("is written to without waiting in the system #process", with(function()
      local a, b = lent_pair(kind)
      local _ <close> = support.closing(a, b)
      for _, parts in ipairs { 1, 3 } do
        local data = {}
        for i = 1, parts do data[i] = (string.char(96 + i)):rep(8 << 20) end
        local ok, err = async.timeout(0.05, a.write, a, table.unpack(data))
        assert.is_nil(ok)
        assert.equal("ETIMEDOUT", err.code)
        -- What was accepted, and only that, arrives; the next write follows it.
        local reader = async.spawn(function() return b:read_until("END") end)
        assert(a:write("END"))
        local got = reader:await()
        assert.is_true(table.concat(data):sub(1, #got - 3) == got:sub(1, -4))
        local whole = async.spawn(function() return b:read_exact(parts * (8 << 20)) end)
        assert(a:write(table.unpack(data)))
        assert.is_true(whole:await() == table.concat(data))
      end
    end))

    it("is read without waiting in the system #process", with(function()
      local a, b = lent_pair(kind)
      local _ <close> = support.closing(a, b)
      b:write(("x"):rep(65536))
      -- Exactly what is there: whether there is more is not known.
      assert.equal(65536, #assert(a:read_exact(65536)))
      assert.equal("ETIMEDOUT", select(2, async.timeout(0.05, a.read, a, 65536)).code)
      b:write("more")
      assert.equal("more", a:read(10))
    end))

    it("is copied from and to without waiting in the system #process", with(function()
      local a, b = lent_pair(kind)
      local _ <close> = support.closing(a, b)
      local c, d = lent_pair(kind)
      local _2 <close> = support.closing(c, d)
      local copying = async.spawn(async.copy, a, c)
      local data = ("0123456789abcdef"):rep(1 << 18)
      local writer = async.spawn(function() return b:write(data) end)
      async.sleep(0.05) -- nobody reads: the copy waits
      assert.is_true(d:read_exact(#data) == data)
      assert(writer:await())
      b:shutdown("send")
      assert.equal(#data, copying:await())
    end))

    it("closes while a write waits #process", with(function()
      local a, b = lent_pair(kind)
      local _ <close> = b
      local writer = async.spawn(function() return a:write(("x"):rep(8 << 20)) end)
      async.sleep(0.02)
      a:close()
      assert.equal("ECANCELED", select(2, writer:await()).code)
      assert.is_true(#b:read("a") > 0)
    end))
  end)
end

describe("a listener that a child serves, too", function()
  it("leaves the child its blocking accept #process", with(function()
    local l <close>, client = kinds.tcp()
    local child <close> = assert(async.process.spawn { "python3", "-c", [[
import socket, sys
s = socket.socket(fileno=0); n = 0
print("ready", flush=True)
while True:
  c, _ = s.accept()
  c.setblocking(True)
  if c.recv(1) == b"q": break
  c.sendall(b"child"); c.close()
print("ended", flush=True)
]], stdin = l, stdout = "pipe" })
    assert.equal("ready", child.stdout:read())
    local server = async.spawn(function()
      for conn in l:incoming() do
        conn:read(1)
        conn:write("we")
        conn:close()
      end
    end)
    for _ = 1, 200 do
      local conn <close> = client()
      conn:write("x")
      local who = conn:read("a")
      assert.is_true(who == "child" or who == "we", who)
    end
    server:cancel()
    async.yield()
    client():write("q")
    assert.equal("ended", child.stdout:read())
    assert.is_true(child:wait().ok)
  end))

  it("serves on in several threads that share it #process #large", with(function()
    local l <close>, client = kinds.tcp()
    lend(l)
    local function serve(listener)
      for conn in listener:incoming() do
        conn:read(1)
        conn:write("thread")
        conn:close()
      end
    end
    local threads = {}
    for i = 1, 3 do threads[i] = async.thread.spawn(serve, l) end
    for _ = 1, 300 do
      local conn <close> = client()
      conn:write("x")
      assert.equal("thread", conn:read("a"))
    end
    for _, t in ipairs(threads) do t:cancel() end
    for _, t in ipairs(threads) do pcall(t.await, t) end
  end))
end)

-- A process whose stdin, stdout or both are one socket, which is `reader`'s other end; `script` runs in it.
local HARNESS = [=[
import fcntl, os, socket, subprocess, sys, time
a, b = socket.socketpair()
if sys.argv[3] == "nonblocking": b.setblocking(False)
before = fcntl.fcntl(b, fcntl.F_GETFL)
p = subprocess.Popen(["lua5.4", sys.argv[1]], stdin=b, stdout=b)
if sys.argv[2] == "later": time.sleep(1)
n, text = 0, b""
a.settimeout(20)
while True:
  if sys.argv[2] == "flags" and n == 1:
    assert fcntl.fcntl(b, fcntl.F_GETFL) == before, "changed in the run"
    a.sendall(b"go on\n")
  if p.poll() is not None:
    a.setblocking(False)
  try: d = a.recv(1 << 20)
  except BlockingIOError: break
  except TimeoutError: p.kill(); sys.exit("it hangs")
  if not d: break
  n += len(d); text = (text + d)[-20:]
  if text.endswith(b"END\n"): break
status = p.wait()
assert fcntl.fcntl(b, fcntl.F_GETFL) == before, "not as it was found"
print(status, n)
]=]

local function inherited(script, how, mode)
  local name = os.tmpname()
  local f <close> = assert(io.open(name, "w"))
  f:write("local async = require 'lua_async'\nasync.run(function()\n", script, "\nend)\n")
  f:flush()
  local result
  support.run(function()
    result = assert(async.process.output { "python3", "-c", HARNESS, name, how or "now", mode or "blocking",
                                           stderr = "inherit" })
  end)
  os.remove(name)
  assert.is_true(result.ok, result.stderr)
  local status, n = result.stdout:match("^(-?%d+) (%d+)")
  assert.equal("0", status, result.stdout)
  return tonumber(n)
end

describe("standard streams that are a socket", function()
  it("do not stop the loop, though nobody reads and a child has had them #process", function()
    local n = inherited([[
      local ticks = 0
      async.spawn(function() for _ in async.time.interval(0.01) do ticks = ticks + 1 end end)
      async.stdout:write("hi\n")
      async.process.spawn { "true" }:wait()
      local t = async.spawn(function() assert(async.stdout:write(("x"):rep(8 << 20))) end)
      async.sleep(0.5)
      assert(ticks > 20, ticks)
      t:await()
      async.stdout:write("END\n")
    ]], "later")
    assert.equal((8 << 20) + 7, n)
  end)

  it("do not stop the loop while nothing comes in #process", function()
    inherited([[
      async.process.spawn { "true" }:wait()
      local t = async.spawn(function() return async.stdin:read("l") end)
      async.sleep(0.05)
      t:cancel()
      async.stdout:write("END\n")
    ]])
  end)

  it("stay blocking for a child that has them #process", function()
    local n = inherited([[
      local child = async.process.spawn { "seq", "1", "300000", stdin = "null" }
      async.stdout:write("x")
      assert(child:wait().ok)
      async.stdout:write("END\n")
    ]], "later")
    local count = 5
    for i = 1, 300000 do count = count + #tostring(i) + 1 end
    assert.equal(count, n)
  end)

  for _, mode in ipairs { "blocking", "nonblocking" } do
    it("are as they were found, in the run and after it (" .. mode .. ") #process", function()
      inherited([[
        async.stdout:write("a")
        assert(async.stdin:read("l") == "go on")
        async.stdout:write(("x"):rep(1000), "END\n")
      ]], "flags", mode)
    end)
  end
end)
