-- What the sweep of system calls (spec/faults) found.
local support = require "spec.support"

local flavour = os.getenv("LUA_ASYNC_FLAVOUR") or "release"
local traces = (flavour == "release" or flavour == "torture") and os.execute("strace -o /dev/null true 2>/dev/null")

describe("a system call that fails #process", function()
  if not traces then return end

  local function program(flags, text)
    support.child_ok(text .. " print 'ok'", { under = "strace -f -o /dev/null " .. flags, seconds = 60 })
  end

  it("shutdown: copy_both fails, and does not wait for an end that was never sent", function()
    program("-e inject=shutdown:error=ENOBUFS:when=2", [[
      package.path = "./?.lua;" .. package.path
      local support = require "spec.support"
      support.run(function()
        local a, b = support.pair()
        local c, d = support.pair()
        a:shutdown("send")
        local done, err = async.copy_both(b, c)
        assert(done == nil and err.code == "ENOBUFS" and err.op == "shutdown", tostring(err))
        d:close()
      end)
    ]])
  end)

  it("open, interrupted: fs.dir tries again", function()
    program("-P spec/regress -e inject=openat:error=EINTR:when=1", [[
      async.run(function() assert(async.fs.dir("spec/regress")) end)
    ]])
  end)

  it("connect of UDP, interrupted: it tries again", function()
    program("-e inject=connect:error=EINTR:when=1+2", [[
      async.run(function()
        local socket <close> = assert(async.net.udp("127.0.0.1", 0))
        assert(socket:connect("127.0.0.1", 9))
        assert(socket:disconnect())
      end)
    ]])
  end)

  it("pipe2 as the loop is made: the run fails, and leaves no descriptor", function()
    program("-e inject=pipe2:error=EMFILE:when=2", [[
      local before = sys.fds()
      local ok, e = pcall(async.run, function() end) -- libuv's own pipe comes first, and stays
      assert(not ok and e.code == "EMFILE", tostring(e))
      assert(sys.fds() == before + 2, sys.fds() - before)
      async.run(function() end)
      assert(sys.fds() == before + 2)
    ]])
  end)
end)
