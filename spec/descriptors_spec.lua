-- `ulimit -n 64`: every operation that takes descriptors, with none left, with one, with two, … Each either
-- succeeds or says EMFILE, leaves nothing behind, and works again when there are some.
local support = require "spec.support"

local PRELUDE = [[
  local dir, net, fs, process = %q, async.net, async.fs, async.process
  local collect = function() collectgarbage() collectgarbage() end

  -- Takes all descriptors but n; call the result to give them back.
  local function leave(n)
    local taken = {}
    while true do
      local fd = sys.dup()
      if not fd then break end
      taken[#taken + 1] = fd
    end
    for _ = 1, n do sys.close(table.remove(taken)) end
    return function() for _, fd in ipairs(taken) do sys.close(fd) end end
  end

  -- op() does all there is to it, closes what it made, and raises with the error object of what failed.
  local function starve(name, op, most)
    local refused, done = 0, false
    for n = 0, most or 20 do
      collect()
      local before = sys.fds()
      local give_back = leave(n)
      local ok, e = pcall(async.timeout, 20, op)
      give_back()
      if ok and e == nil then error(name .. " hung with " .. n .. " descriptors left", 0) end
      if not ok then
        if type(e) ~= "table" or e.code ~= "EMFILE" then
          error(("%%s with %%d descriptors left: %%s"):format(name, n, tostring(e)), 0)
        end
        assert(tostring(e):find("EMFILE", 1, true) and e.op, tostring(e))
        assert(not done, name .. " fails with more descriptors than it needs")
        refused = refused + 1
      else
        done = true
      end
      collect()
      local limit = async.now() + 10 -- what is closed in the pool
      while sys.fds() > before and async.now() < limit do async.sleep(0.001) end
      if sys.fds() ~= before then
        error(("%%s with %%d descriptors left leaves %%d"):format(name, n, sys.fds() - before), 0)
      end
      if done and n >= refused + 2 then break end
    end
    assert(done, name .. " never works")
    return refused
  end
]]

describe("with 64 descriptors #process", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  local function program(text)
    support.child_ok(PRELUDE:format(dir) .. text .. " print 'ok'", { before = "ulimit -n 64;", seconds = 100 })
  end

  it("sockets say so", function()
    program([[
      async.run(function()
        local listener <close> = assert(net.listen("127.0.0.1", 0))
        local host, port = listener:address()
        local unix <close> = assert(net.listen_unix(dir .. "/s"))
        do local c = assert(net.connect(host, port)) listener:accept():close() c:close() end -- what is made once
        local needs = {
          listen = function() assert(net.listen("127.0.0.1", 0)):close() return true end,
          listen_all = function() assert(net.listen(nil, 0)):close() return true end,
          udp = function() assert(net.udp("127.0.0.1", 0)):close() return true end,
          listen_unix = function() assert(net.listen_unix(dir .. "/t")):close() return true end,
          connect = function() assert(net.connect(host, port)):close() return true end,
          connect_unix = function() assert(net.connect_unix(dir .. "/s")):close() return true end,
          poll_fd = function() assert(async.poll_fd(listener, "r")) return true end,
        }
        for name, op in pairs(needs) do
          if name == "poll_fd" then assert(net.connect(host, port)):close() end
          assert(starve(name, op) > 0, name)
        end
      end)
    ]])
  end)

  it("accept waits for one, and loses nobody", function()
    program([[
      async.run(function()
        for _, kind in ipairs { "tcp", "unix" } do
          local listener <close> = assert(kind == "tcp" and net.listen("127.0.0.1", 0) or net.listen_unix(dir .. "/s"))
          local host, port = listener:address()
          local clients = {}
          for i = 1, 5 do
            clients[i] = assert(port and net.connect(host, port) or net.connect_unix(dir .. "/s"))
            assert(clients[i]:write(i .. "\n"))
          end
          local give_back = leave(0)
          local _, err = async.timeout(0.05, listener.accept, listener)
          assert(err.code == "ETIMEDOUT", tostring(err))
          local t = async.spawn(function()
            local seen = ""
            for _ = 1, 5 do
              local conn <close> = assert(listener:accept())
              seen = seen .. conn:read("l")
            end
            return seen
          end)
          async.sleep(0.02)
          give_back()
          assert(t:await() == "12345")
          for _, c in ipairs(clients) do c:close() end
        end
      end)
    ]])
  end)

  it("names say so", function()
    program([[
      async.run(function()
        assert(net.resolve("localhost")) -- what the system loads once is there
        local listener <close> = assert(net.listen("127.0.0.1", 0))
        local host, port = listener:address()
        assert(net.connect(host, port)):close()
        starve("resolve", function() return assert(net.resolve("localhost")) end)
        starve("connect by name", function() assert(net.connect("localhost", port)):close() return true end)
      end)
    ]])
  end)

  it("the first name says so", function()
    program([[
      async.run(function()
        local listener <close> = assert(net.listen("127.0.0.1", 0))
        local _, port = listener:address()
        for _, op in ipairs { function() return net.resolve("localhost") end,
          function() return net.connect("localhost", port) end, function() return net.reverse("127.0.0.1") end } do
          local give_back = leave(0)
          local _, err = op()
          give_back()
          assert(err and err.code == "EMFILE", tostring(err))
        end
      end)
    ]])
  end)

  it("files and folders say so", function()
    program([[
      async.run(function()
        local path = dir .. "/f"
        assert(fs.watch(dir)):close() -- a run has one descriptor for all its watches
        assert(fs.write_file(path, ("x"):rep(100000)))
        local needs = {
          open = function() assert(fs.open(path)):close() return true end,
          read_file = function() return assert(fs.read_file(path)) end,
          write_file = function() return assert(fs.write_file(dir .. "/g", "x")) end,
          atomic = function() return assert(fs.write_file(dir .. "/g", "x", { atomic = true })) end,
          copy = function() return assert(fs.copy(path, dir .. "/h")) end,
          dir = function() return assert(fs.dir(dir)) end,
          watch = function() assert(fs.watch(dir)):close() return true end,
          walk = function()
            for p, kind, err in assert(fs.walk(dir)) do if err then error(err) end end
            return true
          end,
          remove = function()
            assert(fs.mkdir(dir .. "/a/b/c", { parents = true }))
            return assert(fs.remove(dir .. "/a", { recursive = true }))
          end,
          mkstemp = function()
            local f, name = fs.mkstemp(dir .. "/m")
            assert(f, name)
            f:close()
            return assert(fs.remove(name))
          end,
        }
        for name, op in pairs(needs) do assert(starve(name, op) > 0 or name == "watch", name) end
        assert(fs.stat(dir) and fs.mkdir(dir .. "/n") and fs.rename(dir .. "/n", dir .. "/o"))
        local n = 0
        for _ in fs.dir(dir) do n = n + 1 end
        assert(n == 4, n) -- nothing temporary
      end)
    ]])
  end)

  it("processes say so, and no child is left", function()
    program([[
      async.run(function()
        process.output { "true" }
        local needs = {
          spawn = function()
            local child <close> = assert(process.spawn { "true", stdin = "pipe", stdout = "pipe", stderr = "pipe" })
            assert(assert(child:wait()).ok)
            return true
          end,
          output = function()
            local r = assert(process.output { "cat", input = "through" })
            -- With few descriptors the child itself may be short of them: it inherits the limit, not ours.
            assert(r.stdout == "through", r.stderr)
            return true
          end,
          pipeline = function()
            local p <close> = assert(process.pipeline({ "echo", "x" }, { "cat" }, { "cat", stdout = "pipe" }))
            assert(p.stdout:read("a") == "x\n" and assert(p:wait()).ok)
            return true
          end,
        }
        for name, op in pairs(needs) do assert(starve(name, op) > 0, name) end
      end)
      assert(not sys.children())
    ]])
  end)

  it("copies go through memory, and standard streams say so", function()
    program([[
      local support = (function() package.path = "./?.lua;" .. package.path return require "spec.support" end)()
      async.run(function()
        local from, feed = support.pair()
        local to, drain = support.pair()
        local text = ("0123456789abcde\n"):rep(1 << 16)
        local give_back = leave(0)
        local n, _, got = table.unpack(async.join {
          function()
            local n = assert(async.copy(from, to))
            to:shutdown("send")
            return n
          end,
          function() feed:write(text) return feed:shutdown("send") end,
          function() return drain:read("a") end,
        })
        give_back()
        assert(n == #text and got == text)
        -- Opened once in a run, at its first use. (stdin is /dev/null, stdout a file.)
        give_back = leave(0)
        for _, call in ipairs {
          function() return async.stdin:read() end, function() return async.stdin:read_exact(3) end,
          function() return async.stdin:read_until("x") end, function() return async.stdin:read("l", "l") end,
          function() return async.copy(async.stdin, to) end, function() return async.copy(from, async.stdout) end,
          function() return async.stdout:write("") end, function() return async.stdout:flush() end,
        } do
          local done, err = call()
          if done ~= nil or err.code ~= "EMFILE" then give_back() error(tostring(err)) end
        end
        give_back()
        assert(async.stdin:read("a") == "" and async.stdout:write(""))
      end)
    ]])
  end)

  it("a descriptor that is passed and finds no place is told, and the stream goes on", function()
    program([[
      async.run(function()
        local listener <close> = assert(net.listen_unix(dir .. "/s"))
        local a <close> = assert(net.connect_unix(dir .. "/s"))
        local b <close> = assert(listener:accept())
        assert(a:send_fd(0))
        local give_back = leave(0)
        local fd, err = b:recv_fd()
        give_back()
        assert(fd == nil and type(err) == "table", tostring(fd))
        assert(err.code == "EMFILE" and err.op == "recv_fd", tostring(err))
        assert(a:send_fd(0) and a:write("x\n"))
        give_back = leave(0)
        assert(b:read() == "\0x")
        give_back()
        fd, err = b:take_fd()
        assert(fd == nil and err.code == "EMFILE", tostring(err))
        fd, err = b:take_fd()
        assert(fd == nil and err == nil)
        assert(a:send_fd(0))
        fd = assert(b:recv_fd())
        sys.close(fd)
        assert(a:write("and on\n") and b:read() == "and on")
      end)
    ]])
  end)

  it("a run that finds none raises that, and the next one runs", function()
    program([[
      async.run(function() end) -- what libuv keeps for good
      for n = 0, 12 do
        collect()
        local before = sys.fds()
        local give_back = leave(n)
        local ok, e = pcall(async.run, function() return "ran" end)
        local made, loop = pcall(async.loop)
        if made and loop then loop:close() end
        give_back()
        assert(ok and e == "ran" or tostring(e):find("EMFILE", 1, true), tostring(e))
        collect()
        assert(sys.fds() == before, ("%d: %d instead of %d"):format(n, sys.fds(), before))
      end
      assert(async.run(function() return "ran" end) == "ran")
    ]])
  end)
end)
