-- async.poll_fd: waiting for descriptors of others; a plain socket, and LuaSocket's.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local socket = require "socket" -- LuaSocket itself
local sys = support.sys

-- A connection, and a plain descriptor of ours as its peer.
local function pair()
  local conn, fd = support.with_peer()
  return conn, fd, support.closing(conn, { close = function() sys.close(fd) end })
end

local function error_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("async.poll_fd", function()
  it("waits until there is something to read", function()
    support.run(function()
      local conn, fd, _ <close> = pair()
      local log = {}
      local t = async.spawn(function()
        local ready = async.poll_fd(fd, "r")
        log[#log + 1] = ready
        log[#log + 1] = sys.recv(fd, 10)
      end)
      async.yield()
      log[#log + 1] = "not yet"
      conn:write("bytes")
      t:await()
      assert.same({ "not yet", "r", "bytes" }, log)
    end)
  end)

  it("is level-triggered, and says which of both is ready", function()
    support.run(function()
      local conn, fd, _ <close> = pair()
      assert.equal("w", async.poll_fd(fd, "w"))
      assert.equal("w", async.poll_fd(fd, "rw"))
      conn:write("x")
      assert.equal("r", async.poll_fd(fd, "r"))
      assert.equal("rw", async.poll_fd(fd, "rw"))
      assert.equal("r", async.poll_fd(fd, "r")) -- nobody has read it
    end)
  end)

  it("lets any number of tasks wait for one descriptor", function()
    support.run(function()
      local conn, fd, _ <close> = pair()
      local function wait() return async.poll_fd(fd, "r") end
      local all = async.future(async.join, { wait, wait, wait })
      local t = async.spawn(all)
      async.yield()
      conn:write("x")
      assert.same({ "r", "r", "r" }, t:await())
    end)
  end)

  it("takes what has a method fd or getfd: a connection, LuaSocket's sockets", function()
    support.run(function()
      local listener <close> = assert(async.net.listen("127.0.0.1", 0))
      local host, port = listener:address()
      local theirs = assert(socket.connect(host, port))
      local ours <close> = assert(listener:accept())
      theirs:settimeout(0)
      assert.same({ nil, "timeout", "" }, { theirs:receive() })
      local t = async.spawn(async.poll_fd, theirs, "r")
      async.yield()
      ours:write("a line\n")
      assert.equal("r", t:await())
      assert.equal("a line", theirs:receive())
      theirs:send("back")
      assert.equal("r", async.poll_fd(ours, "r"))
      assert.equal("back", ours:read(4))
      theirs:close()
      local r, err = async.poll_fd(theirs, "r") -- LuaSocket says -1
      assert.is_nil(r)
      assert.equal("EBADF", err.code)
    end)
  end)

  it("tells the end of a peer as readable", function()
    support.run(function()
      local conn, fd, _ <close> = pair()
      conn:close()
      assert.equal("r", async.poll_fd(fd, "r"))
      assert.equal("", sys.recv(fd, 1))
    end)
  end)

  it("finds a regular file ready #process", function()
    support.run(function()
      local file <close> = assert(io.open("LICENSE"))
      local list <close> = io.popen("ls -l /proc/$PPID/fd")
      local fd = math.tointeger(list:read("a"):match("(%d+) %-> [^\n]*LICENSE"))
      assert.equal("rw", async.poll_fd(fd, "rw"))
      file:seek("set")
    end)
  end)

  it("fails for a descriptor that is not open", function()
    support.run(function()
      local r, err = async.poll_fd(9999, "r")
      assert.is_nil(r)
      assert.equal("EBADF", err.code)
      assert.equal("poll_fd", err.op)
    end)
  end)

  it("refuses what is no descriptor, other events, and waiting outside of a task", function()
    support.run(function()
      assert.matches("descriptor", error_of(async.poll_fd, "x", "r"))
      assert.matches("descriptor", error_of(async.poll_fd, {}, "r"))
      assert.matches("not a descriptor", error_of(async.poll_fd, -1, "r"))
      assert.matches("not a descriptor", error_of(async.poll_fd, 1.5, "r"))
      assert.matches("not a descriptor", error_of(async.poll_fd, { fd = function() return "x" end }, "r"))
      assert.matches("invalid option 'x'", error_of(async.poll_fd, 0, "x"))
      assert.matches("bad argument #2", error_of(async.poll_fd, 0))
    end)
    assert.matches("outside a runtime", error_of(async.poll_fd, 0, "r"))
  end)

  it("is a future of its own, which leaves no descriptor when it is dropped", function()
    support.run(function()
      local conn, fd, _ <close> = pair()
      local before = support.fds()
      for _ = 1, 100 do
        local who = async.select { fd = async.future(async.poll_fd, fd, "r"), other = async.future(async.yield) }
        assert.equal("other", who)
      end
      async.yield()
      assert.equal(before, support.fds())
      conn:write("x")
      assert.equal("r", async.future(async.poll_fd, fd, "r"):await())
    end)
  end)
end)

if os.getenv("LUA_ASYNC_FLAVOUR") == "tsan" then return end

describe("async.poll_fd, cancelled at every await,", function()
  it("loses nothing", function()
    local case = {
      world = function(w)
        w.conn, w.fd = support.with_peer()
        w.own(w.conn)
        w.own { close = function() sys.close(w.fd) end }
      end,
      op = function(w) return async.poll_fd(w.fd, "r") end,
      turn = function(w, i) if i == 2 then w.conn:write("byte") end end,
      want = { "r" },
      after = function(w)
        if sys.queued(w.fd) == 0 then w.conn:write("byte") end
        async.poll_fd(w.fd, "r")
        assert.equal("byte", sys.recv(w.fd, 10):sub(1, 4))
      end,
    }
    for _, how in ipairs(each.ways) do each.every(case, how) end
  end)
end)
