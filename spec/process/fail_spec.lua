-- async.process: what cannot be started, bad arguments, and what a program leaves behind.
local async = require "lua_async"
local support = require "spec.support"
local sys, process = support.sys, async.process

-- LeakSanitizer has to trace, or to clone, at the end.
local no_leaks = "export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0;"

local function fails(code, path, t)
  local child, err = process.spawn(t)
  assert.is_nil(child)
  assert.same({ code, path, "spawn" }, { err.code, err.path, err.op })
  local r
  r, err = process.output(t)
  assert.is_nil(r)
  assert.same({ code, path, "output" }, { err.code, err.path, err.op })
end

describe("a process that cannot be started #process", function()
  teardown(support.clean)

  it("is told with the command, and leaves nothing", function()
    support.run(function()
      local dir = support.folder()
      assert(async.fs.write_file(dir .. "/plain", "no program"))
      assert(process.output { "true" }) -- libuv's descriptor in reserve is there from now on
      local before = support.fds()
      fails("ENOENT", "no-such-command", { "no-such-command", stderr = "pipe" })
      fails("ENOENT", "/no/such/command", { "/no/such/command" })
      fails("EACCES", dir .. "/plain", { dir .. "/plain" })
      fails("EACCES", dir, { dir })
      fails("E2BIG", "echo", { "echo", ("x"):rep(4 << 20) })
      assert.equal(before, support.fds())
      assert.is_false(sys.children())
    end)
  end)

  it("for want of its folder is told with that", function()
    support.run(function()
      fails("ENOENT", "/no/such/folder", { "true", cwd = "/no/such/folder" })
      fails("ENOTDIR", "/etc/passwd", { "true", cwd = "/etc/passwd" })
      fails("ENOENT", "/no/such/command", { "/no/such/command", cwd = "/" })
    end)
  end)

  it("for want of descriptors is told, in the child and here", function()
    support.run(function()
      fails("EBADF", "true", { "true", fds = { [3] = 9999 } })
      assert.equal("EBADF", select(2, process.spawn { "true", stdin = 9999 }).code)
    end)
    support.child_ok([[
      local process = async.process
      async.run(function()
        assert(process.output { "true" })
        local fds, full = sys.fds(), nil
        for free = 0, 12 do
          local held = {}
          for i = 1, 200 do
            local ok, fd = pcall(sys.dup, 0)
            if not ok then break end
            held[i] = fd
          end
          for _ = 1, free do sys.close(table.remove(held)) end
          local r, err = process.output { "sh", "-c", "cat; echo x >&2", input = "y" }
          if r then
            assert(r.stdout == "y" and r.stderr == "x\n")
          else
            assert(err.code == "EMFILE", tostring(err))
            full = (full or 0) + 1
          end
          for _, fd in ipairs(held) do sys.close(fd) end
          assert(sys.fds() == fds, "descriptors are left")
        end
        assert(full and full > 3 and full < 12)
        assert(sys.fds() == fds and not sys.children())
      end)
      print "ok"
    ]], { before = "ulimit -n 64;" })
  end)

  it("for want of processes is told", function()
    if not sys.root() then return end
    support.child_ok([[
      sys.become(65534) -- root has no such limit
      async.run(function()
        local child, err = async.process.spawn { "true", stdin = "pipe" }
        assert(child == nil and err.code == "EAGAIN" and err.path == "true", tostring(err))
        local fds = sys.fds()
        child, err = async.process.output { "true" }
        assert(child == nil and err.code == "EAGAIN", tostring(err))
        assert(sys.fds() == fds and not sys.children())
      end)
      print "ok"
    ]], { before = no_leaks })
  end)

  it("after a fork that fails goes on", function()
    if not os.execute("command -v strace >/dev/null") then return pending("no strace") end
    support.child_ok([[
      async.run(function()
        local child, err = async.process.spawn { "true", stdout = "pipe" }
        assert(child == nil and err.code == "EAGAIN", tostring(err))
        assert(async.process.output { "true" }.ok)
        assert(not sys.children())
      end)
      print "ok"
    ]], { before = no_leaks, under = "strace -o /dev/null -e trace=clone,clone3,fork,vfork "
      .. "-e inject=clone,clone3,fork,vfork:error=EAGAIN:when=1" })
  end)
end)

describe("the arguments of process.spawn #process", function()
  local function raises(pattern, t)
    assert.error_matches(function() async.process.spawn(t) end, pattern)
  end

  it("are checked", function()
    support.run(function()
      raises("table expected", "ls")
      raises("no command", {})
      raises("the command is empty", { "" })
      raises("zero byte", { "ls", "a\0b" })
      raises("zero byte", { "ls", cwd = "a\0b" })
      raises("a word of the command must be a string, not a boolean", { "ls", true })
      raises("unknown option 'std_in'", { "ls", std_in = "pipe" })
      raises("unknown option '5'", { "ls", [5] = "x" })
      raises("unknown option 'input'", { "ls", input = "x" })
      raises("option 'stdin' must be \"inherit\", \"null\", \"pipe\", a stream", { "ls", stdin = "stdout" })
      raises("option 'stdout' must be", { "ls", stdout = "stdout" })
      raises("option 'stderr' must be .* \"stdout\"", { "ls", stderr = "nowhere" })
      raises("option 'stdin' must be", { "ls", stdin = true })
      raises("not a descriptor", { "ls", stdin = -1 })
      raises("stdin: a descriptor", { "ls", stdin = {} })
      raises("the file is closed", { "ls", stdin = (function() local f = io.tmpfile() f:close() return f end)() })
      raises("option 'env' must be a table", { "ls", env = "A=1" })
      raises("name is empty", { "ls", env = { [""] = "x" } })
      raises("has a \"=\" in it", { "ls", env = { ["A=B"] = "x" } })
      raises("zero byte", { "ls", env = { A = "\0" } })
      raises("value must be a string, not a boolean", { "ls", env = { A = false } })
      raises("value must be a string, not a boolean", { "ls", env_add = { A = true } })
      raises("use one of them", { "ls", env = {}, env_add = {} })
      raises("name must be a string", { "ls", env = { "A=1" } })
      raises("option 'cwd' must be a string", { "ls", cwd = {} })
      raises("option 'cwd' is empty", { "ls", cwd = "" })
      raises("option 'group' must be a boolean", { "ls", group = 1 })
      raises("option 'uid' must be an integer", { "ls", uid = -1 })
      raises("from 3 to 255", { "ls", fds = { [2] = 1 } })
      raises("from 3 to 255", { "ls", fds = { [256] = 1 } })
      raises("option 'fds' must be a table", { "ls", fds = 3 })
      assert.error_matches(function() async.process.output { "ls", detached = true } end, "unknown option 'detached'")
      assert.error_matches(function() async.process.output { "ls", stdin = "pipe" } end, "goes with 'input'")
      assert.error_matches(function() async.process.output { "ls", stdin = "null", input = "x" } end,
        "goes with 'input'")
      assert.error_matches(function() async.process.output { "ls", input = 5 } end, "'input' must be a string")
      assert.is_false(sys.children())
    end)
  end)

  it("of kill are checked", function()
    support.run(function()
      local child <close> = assert(async.process.spawn { "sleep", "1000" })
      assert.error_matches(function() child:kill("TERM") end, "'TERM' is not a signal: write it as in \"SIGTERM\"")
      assert.error_matches(function() child:kill(99) end, "not a signal number")
      assert.error_matches(function() child:kill(9, { all = true }) end, "unknown option 'all'")
      assert.error_matches(function() async.process.kill(0) end, "id of a process")
      assert.error_matches(function() async.process.kill(-1) end, "id of a process")
      assert.equal("ESRCH", select(2, async.process.kill(0x7ffffffe, 0)).code)
      assert.is_true(async.process.kill(sys.pid(), 0))
    end)
  end)
end)

describe("a program #process", function()
  it("that ends in the middle of a run leaves no child alive", function()
    local text = support.child [[
      async.run(function()
        local child = async.process.spawn { "sleep", "1000" }
        print(child.pid)
        os.exit(0, true)
      end)
    ]]
    assert.equal("ESRCH", select(2, support.run(process.kill, tonumber(text), 0)).code)
  end)

  it("that fails in the middle of a run leaves no child alive", function()
    local text = support.child [[
      pcall(async.run, function()
        print(async.process.spawn { "sleep", "1000" }.pid)
        error "bad"
      end)
      assert(not sys.children())
    ]]
    assert.equal("ESRCH", select(2, support.run(process.kill, tonumber(text), 0)).code)
  end)

  it("whose children somebody else reaps ends all the same", function()
    support.child_ok [[
      sys.handler(17, "ignore")
      async.run(function()
        local child = async.process.spawn { "true" }
        assert(child:wait().ok)
        async.process.spawn { "sleep", "1000" }
      end)
      assert(sys.handler(17) == "ignore")
      print "ok"
    ]]
  end)

  it("that tests finds the child it has left", function()
    local test = async.test(function() async.process.spawn { "sleep", "1000" } end)
    assert.error_matches(test, "left 1 child process")
    async.test(function() process.spawn { "sleep", "1000" }:close() end)()
    async.test(function() process.spawn { "true" }:wait() end)()
  end)
end)
