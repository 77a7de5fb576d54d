-- Waiting for a descriptor does not hold it open, and what is closed wakes nobody with something ready.
local async = require "lua_async"
local support = require "spec.support"
local socket = require "socket"
local sys = support.sys

local function code(value, err)
  assert.is_nil(value)
  return err.code
end

describe("async.poll_fd of what is closed meanwhile", function()
  it("lets the peer see the end, and says nothing is ready", function()
    support.run(function()
      local l <close> = assert(async.net.listen("127.0.0.1", 0))
      local _, port = l:address()
      for _, wanted in ipairs { "r", "rw" } do
        local theirs = assert(socket.connect("127.0.0.1", port))
        local peer <close> = assert(l:accept())
        if wanted == "rw" then
          repeat until not sys.send(theirs:getfd(), ("x"):rep(65536)) -- no room
        end
        local waiting = {}
        for i = 1, 2 do waiting[i] = async.spawn(async.poll_fd, theirs, "r") end
        async.sleep(0.01)
        theirs:close()
        assert.is_string((async.timeout(5, peer.read, peer, "a")))
        for i = 1, 2 do
          assert.equal("ETIMEDOUT", code(async.timeout(0.02, waiting[i].await, waiting[i])))
          waiting[i]:cancel()
        end
      end
    end)
  end)

  it("ends with ECANCELED when its object is closed", function()
    support.run(function()
      local path = support.folder() .. "/fifo"
      assert(os.execute("mkfifo " .. path))
      local a, b = support.pair()
      local l, udp = async.net.listen("127.0.0.1", 0), async.net.udp("127.0.0.1", 0)
      local fifo = assert(async.fs.open(path, "r+"))
      for _, object in ipairs { a, l, udp, fifo } do
        local waiting = {}
        for i = 1, 3 do waiting[i] = async.spawn(async.poll_fd, i == 1 and object or object:fd(), "r") end
        async.sleep(0.01)
        object:close()
        for i = 1, 3 do assert.equal("ECANCELED", code(waiting[i]:await()), i) end
      end
      b:close()
    end)
    support.clean()
  end)

  it("is EBADF when others have the open file still, and something comes", function()
    support.run(function()
      local conn, fd = support.with_peer()
      local copy = sys.dup(fd)
      local t = async.spawn(async.poll_fd, fd, "r")
      async.yield()
      sys.close(fd)
      conn:write("x")
      assert.equal("EBADF", code(t:await()))
      sys.close(copy)
      conn:close()
    end)
  end)

  it("leaves no descriptor #process", function()
    local before = support.fds()
    support.run(function()
      local conn, fd = support.with_peer()
      for _ = 1, 10 do
        assert.equal("w", async.poll_fd(fd, "w"))
        assert.equal("ETIMEDOUT", code(async.timeout(0.001, async.poll_fd, fd, "r")))
      end
      sys.close(fd)
      conn:close()
    end)
    assert.equal(before, support.fds())
  end)
end)
