-- async.process: children, their pipes, how they end.
local async = require "lua_async"
local support = require "spec.support"
local sys, process = support.sys, async.process

local function out(t)
  local r = assert(process.output(t))
  assert.is_true(r.ok, r.stderr)
  return r.stdout
end

local big = ("0123456789abcdef"):rep(1 << 16) .. "\n" -- 1 MiB and a byte, many times a pipe

-- Runs f in a run that has to leave no child and no descriptor.
local function clean(f)
  return function()
    local before = support.fds()
    support.run(f)
    assert.is_false(sys.children())
    assert.equal(before, support.fds())
    assert.equal("default", sys.handler(17))
  end
end

describe("a child process #process", function()
  teardown(support.clean)

  it("ends with a code", clean(function()
    assert.same({ code = 0, ok = true }, process.spawn { "true" }:wait())
    assert.same({ code = 7, ok = false }, process.spawn { "sh", "-c", "exit 7" }:wait())
  end))

  it("ends by a signal", clean(function()
    local child = assert(process.spawn { "sleep", "1000" })
    assert.is_true(child:kill())
    assert.same({ signal = "SIGTERM", ok = false }, child:wait())
    child = assert(process.spawn { "sleep", "1000" })
    assert.is_true(child:kill(9))
    assert.same({ signal = "SIGKILL", ok = false }, child:wait())
  end))

  it("is waited for by many tasks, and later at once", clean(function()
    local child = assert(process.spawn { "cat", stdin = "pipe" })
    local tasks = {}
    for i = 1, 5 do tasks[i] = async.spawn(child.wait, child) end
    async.yield()
    for i = 1, 5 do assert.equal("waiting", tasks[i]:status()) end
    child.stdin:close()
    for i = 1, 5 do assert.is_true(tasks[i]:await().ok) end
    assert.is_true(child:wait().ok)
    assert.is_true(async.future(child.wait, child):await().ok)
  end))

  it("tells its pid, and what it is", clean(function()
    local child <close> = assert(process.spawn { "sh", "-c", "echo $$; read x", stdin = "pipe", stdout = "pipe" })
    assert.equal(tostring(child.pid), child.stdout:read())
    assert.equal(("Child (pid %d)"):format(child.pid), tostring(child))
    child.stdin:close()
    child:wait()
    assert.equal(("Child (pid %d, ended)"):format(child.pid), tostring(child))
    assert.is_nil(child.stderr)
    assert.is_nil(child.nonsense)
  end))

  it("that has ended is not signalled", clean(function()
    local child = assert(process.spawn { "true" })
    child:wait()
    local ok, err = child:kill()
    assert.is_nil(ok)
    assert.equal("ESRCH", err.code)
  end))

  it("gets real pipes, which it can open again", clean(function()
    local child = assert(process.spawn { "sh", "-c", "cat /dev/stdin > /dev/stdout", stdin = "pipe", stdout = "pipe" })
    child.stdin:write("through /dev\n")
    child.stdin:close()
    assert.equal("through /dev\n", child.stdout:read("a"))
    assert.is_true(child:wait().ok)
  end))

  it("is read from line by line, in less memory than it writes", clean(function()
    local child = assert(process.spawn { "seq", "100000", stdout = "pipe" })
    local n = 0
    for line in child.stdout:lines() do
      n = n + 1
      assert.equal(n, tonumber(line))
    end
    assert.equal(100000, n)
    child.stdout:close()
    assert.is_true(child:wait().ok)
  end))

  it("reads the end when its stdin is shut down", clean(function()
    local child = assert(process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
    assert(child.stdin:write("x"))
    assert.is_true(child.stdin:shutdown())
    assert.equal("x", child.stdout:read("a"))
    child:wait()
  end))

  it("that closes its stdin makes writing fail, and nobody dies", clean(function()
    local child = assert(process.spawn { "sh", "-c", "exec <&-; echo closed; read x <&3", stdin = "pipe",
      stdout = "pipe", fds = { [3] = 0 } })
    assert.equal("closed", child.stdout:read())
    local ok, err = child.stdin:write(big)
    assert.is_nil(ok)
    assert.equal("EPIPE", err.code)
    child:kill("SIGKILL")
    child:wait()
  end))

  it("that closes its stdout early goes on", clean(function()
    local child = assert(process.spawn { "sh", "-c", "exec >&-; read x; exit 3", stdin = "pipe", stdout = "pipe" })
    assert.is_nil(child.stdout:read())
    child.stdin:write("\n")
    assert.equal(3, child:wait().code)
  end))

  it("gets null, inherited and given descriptors", clean(function()
    assert.equal("", out { "cat" }) -- stdin is null
    local r, w = sys.pipe()
    local child = assert(process.spawn { "sh", "-c", "echo one; echo two >&2; echo three >&5", stdin = "null",
      stdout = w, stderr = "stdout", fds = { [5] = w } })
    child:wait()
    sys.close(w)
    local pipe <close> = assert(async.net.from_fd(r))
    assert.equal("one\ntwo\nthree\n", pipe:read("a"))
  end))

  it("writes into files, of this module and of io", clean(function()
    local path = support.folder() .. "/f"
    local file = assert(async.fs.open(path, "w"))
    assert(file:write("lost?\n"))
    local ok, err = pcall(process.spawn, { "echo", "child", stdout = file })
    assert.is_false(ok)
    assert.matches("flush it first", err)
    assert(file:flush())
    assert.is_number(file:fd())
    file:close()
    file = assert(async.fs.open(path, "a"))
    assert.is_true(process.spawn { "echo", "child", stdout = file }:wait().ok)
    file:close()
    local f <close> = assert(io.open(path, "a"))
    f:write("io\n")
    assert.is_true(process.spawn { "echo", "again", stdout = f }:wait().ok)
    assert.equal("lost?\nchild\nio\nagain\n", async.fs.read_file(path))
    assert.same({ nil, "EBADF" }, { (file:fd()), select(2, file:fd()).code })
  end))

  it("takes a stream over", clean(function()
    local conn, fd = support.with_peer()
    sys.send(fd, "over the net\n")
    local child = assert(process.spawn { "head", "-1", stdin = conn, stdout = conn })
    assert.is_true(child:wait().ok)
    local ok, err = conn:read()
    assert.is_nil(ok)
    assert.equal("EBADF", err.code)
    assert.equal("over the net\n", sys.recv(fd, 100))
    sys.close(fd)
  end))

  it("feeds another", clean(function()
    local a = assert(process.spawn { "seq", "100000", stdout = "pipe" })
    local b = assert(process.spawn { "wc", "-l", stdin = a.stdout, stdout = "pipe" })
    assert.equal("100000\n", b.stdout:read("a"))
    assert.is_true(a:wait().ok and b:wait().ok)
    local _, err = a.stdout:read()
    assert.equal("EBADF", err.code)
  end))

  it("does not get a stream that is in use, was read ahead or is closed", clean(function()
    local a <close> = assert(process.spawn { stdin = "pipe", stdout = "pipe",
      "sh", "-c", "printf 'one\\ntwo\\n'; read x" })
    assert.equal("one", a.stdout:read())
    assert.error_matches(function() process.spawn { "cat", stdin = a.stdout } end, "read ahead")
    assert.equal("two", a.stdout:read())
    local t = async.spawn(a.stdout.read, a.stdout)
    async.yield()
    assert.error_matches(function() process.spawn { "cat", stdin = a.stdout } end, "another task reads")
    t:cancel()
    pcall(t.await, t)
    a.stdout:close()
    assert.error_matches(function() process.spawn { "cat", stdin = a.stdout } end, "closed")
  end))

  it("leaves what it was given alone when it cannot be started", clean(function()
    local a = assert(process.spawn { "seq", "3", stdout = "pipe" })
    local child, err = process.spawn { "/no/such/command", stdin = a.stdout }
    assert.is_nil(child)
    assert.equal("ENOENT", err.code)
    assert.equal("1\n2\n3\n", a.stdout:read("a"))
    a.stdout:close()
    a:wait()
  end))

  it("has the folder, the name and the environment that are asked for", clean(function()
    local dir = support.folder()
    assert.equal(dir .. "\n", out { "pwd", "-P", cwd = dir })
    assert.matches("^liar", out { "cat", "/proc/self/cmdline", argv0 = "liar" })
    assert.equal("A=1\nB=two\n", out { "sh", "-c", "env | grep -v ^PWD= | grep -v ^_= | grep -v SHLVL | sort",
      env = { A = 1, B = "two" } })
    sys.setenv("LA_OURS", "ours")
    sys.setenv("LA_GONE", "gone")
    assert.equal("ours - 1\n", out { "sh", "-c", "echo $LA_OURS ${LA_GONE:--} $A",
      env_add = { A = 1, LA_GONE = false } })
    assert.equal("ours gone\n", out { "sh", "-c", "echo $LA_OURS $LA_GONE" })
    sys.setenv("LA_OURS")
    sys.setenv("LA_GONE")
  end))

  it("can be somebody else", clean(function()
    if not sys.root() then return end
    assert.equal("65534 65534\n", out { "sh", "-c", "echo $(id -u) $(id -g)", uid = 65534, gid = 65534 })
  end))

  it("has signals as a program expects them", clean(function()
    -- Neither blocked nor ignored: SIGPIPE, too, which the run itself ignores.
    local text = out { "cat", "/proc/self/status" }
    assert.equal(0, tonumber(text:match("SigIgn:%s*(%x+)"), 16) & 1 << 12)
    assert.equal(0, tonumber(text:match("SigBlk:%s*(%x+)"), 16))
  end))

  it("gets no descriptor of ours", clean(function()
    local conn, fd = support.with_peer()
    local child <close> = assert(process.spawn { "sleep", "1000", stdin = "pipe" })
    local list = out { "sh", "-c", "ls /proc/self/fd | wc -l" }
    local pipes <close> = assert(process.spawn { "sleep", "1000", stdin = "pipe", stdout = "pipe" })
    assert.equal(list, out { "sh", "-c", "ls /proc/self/fd | wc -l" })
    conn:close()
    sys.close(fd)
  end))

  it("is killed with its tree", clean(function()
    local child = assert(process.spawn { "sh", "-c", "sleep 1000 & echo $!; wait", stdout = "pipe", group = true })
    local pid = tonumber(child.stdout:read())
    assert.is_true(process.kill(pid, 0))
    assert.is_true(child:kill("SIGKILL", { tree = true }))
    assert.equal("SIGKILL", child:wait().signal)
    assert.is_nil(child.stdout:read()) -- the grandchild has gone: nobody has the other end
    assert.error_matches(function() process.spawn { "true" }:kill("SIGTERM", { tree = true }) end, "group = true")
  end))

  it("that ignores SIGTERM is still closed", clean(function()
    local child = assert(process.spawn { "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done",
      stdout = "pipe", group = true })
    assert.equal("ready", child.stdout:read())
    assert.is_true(child:kill("SIGTERM"))
    assert.is_true(child:close())
    assert.is_true(child:close())
    local _, err = child:wait()
    assert.equal("EBADF", err.code)
    _, err = child:kill()
    assert.equal("EBADF", err.code)
  end))

  it("that is closed ends who waits for it", clean(function()
    local child = assert(process.spawn { "sleep", "1000" })
    local t = async.spawn(child.wait, child)
    async.yield()
    child:close()
    local status, err = t:await()
    assert.is_nil(status)
    assert.equal("ECANCELED", err.code)
  end))

  it("stays alive while one of its pipes is known", clean(function()
    local function start() return assert(process.spawn { "cat", stdin = "pipe", stdout = "pipe" }) end
    local function ends()
      local child = start()
      return child.stdin, child.stdout
    end
    local i, o = ends()
    collectgarbage()
    collectgarbage()
    i:write("alive\n")
    i:close()
    assert.equal("alive\n", o:read("a"))
    o:close()
  end))

  it("that is forgotten is killed", clean(function()
    local r, w = sys.pipe()
    local pipe <close> = assert(async.net.from_fd(r))
    do local _ = assert(process.spawn { "sleep", "1000", stdout = w }) end
    sys.close(w)
    collectgarbage()
    collectgarbage()
    assert.is_nil(pipe:read()) -- all ends are closed: it has died
  end))

  it("is killed when the run ends", clean(function()
    process.spawn { "sleep", "1000" }
    process.spawn { "sh", "-c", "sleep 1000 & wait", group = true }
    process.spawn { "sleep", "1000", stdin = "pipe", stdout = "pipe" }
  end))

  it("is killed when it ignores all it can and is stopped", clean(function()
    local child = process.spawn { "sleep", "1000" }
    child:kill("SIGSTOP")
  end))

  it("that is detached lives on, and is reaped later", function()
    local pid, r, w
    support.run(function()
      r, w = sys.pipe()
      local child <close> = assert(process.spawn { "cat", stdin = r, stdout = "null", detached = true })
      pid = child.pid
      sys.close(r)
      child:close()
    end)
    collectgarbage()
    assert.is_true(process.kill(pid, 0))
    sys.close(w)
    local limit = async.now() + 20
    while sys.children() and async.now() < limit do
      support.run(function() async.sleep(0.001) end)
    end
    assert.is_false(sys.children())
  end)

  it("that is detached is waited for as any other", clean(function()
    local child = assert(process.spawn { "sh", "-c", "exit 4", detached = true })
    assert.equal(4, child:wait().code)
  end))

  it("forks twice, and only the child is waited for", clean(function()
    local child = assert(process.spawn { "sh", "-c", "(sleep 0.05; echo late) & echo early", stdout = "pipe" })
    assert.is_true(child:wait().ok)
    assert.equal("early\nlate\n", child.stdout:read("a"))
    child.stdout:close()
  end))

  it("does not disturb os.execute and io.popen", clean(function()
    local child = assert(process.spawn { "sleep", "1000" })
    assert.is_true(os.execute("true"))
    local p = io.popen("echo popen")
    assert.equal("popen\n", p:read("a"))
    assert.is_true(p:close())
    child:kill()
    assert.equal("SIGTERM", child:wait().signal)
  end))

  it("may be forked by others between runs, and has runs of its own", function()
    support.child_ok [[
      local tracee = package.loadlib("build/spec/tracee.so", "luaopen_tracee")()
      local function work()
        assert(async.fs.read_file("LICENSE"))
        assert(#assert(async.net.resolve("localhost")) > 0)
        assert(async.process.output({ "echo", "hi" }).stdout == "hi\n")
      end
      async.run(work)
      local r, w = sys.pipe()
      if tracee.fork() == 0 then
        async.run(work)
        sys.inherit(w)
        os.execute("printf well >&" .. w)
        os.exit(0)
      end
      sys.close(w)
      async.run(function()
        work()
        local pipe <close> = assert(async.net.from_fd(r))
        assert(pipe:read("a") == "well")
      end)
      print "ok"
    ]]
  end)

  it("cannot be spawned outside of a run", function()
    assert.error_matches(function() process.spawn { "true" } end, "outside a runtime")
  end)
end)

describe("process.output #process", function()
  it("feeds and collects more than pipes hold, in both directions", clean(function()
    local r = assert(process.output { "sh", "-c", "tee /dev/stderr", input = big })
    assert.is_true(r.ok)
    assert.is_true(r.stdout == big and r.stderr == big)
  end))

  it("does many at once", clean(function()
    local list = {}
    for i = 1, 40 do list[i] = i end
    local results = async.map(list, function(i) return out { "sh", "-c", "echo $1", "sh", i } end, { limit = 8 })
    for i = 1, 40 do assert.equal(i .. "\n", results[i]) end
  end))

  it("tells how it ended, with what came", clean(function()
    assert.same({ code = 3, ok = false, stdout = "o", stderr = "e" },
      process.output { "sh", "-c", "printf o; printf e >&2; exit 3" })
    assert.same({ signal = "SIGKILL", ok = false, stdout = "o", stderr = "" },
      process.output { "sh", "-c", "printf o; kill -9 $$" })
    assert.same({ code = 0, ok = true, stdout = "oe" },
      process.output { "sh", "-c", "printf o; printf e >&2", stderr = "stdout" })
    assert.same({ code = 0, ok = true }, process.output { "echo", "x", stdout = "null", stderr = "null" })
  end))

  it("does not mind a child that reads nothing of the input", clean(function()
    assert.equal("done\n", out { "echo", "done", input = big })
    assert.equal("", out { "cat", input = "" })
  end))

  it("kills one that writes too much", clean(function()
    local r, err = process.output { "yes", max = 100000 }
    assert.is_nil(r)
    assert.equal("EFBIG", err.code)
    assert.equal("yes", err.path)
    assert.equal(100, #out { "head", "-c", 100, "/dev/zero", max = 100 })
  end))

  it("that times out kills, the tree too", clean(function()
    local r, w = sys.pipe()
    local pipe <close> = assert(async.net.from_fd(r))
    local t = async.spawn(process.output, { "sh", "-c", "sleep 1000 & echo ready >&4; wait", group = true,
      fds = { [4] = w } })
    async.yield()
    sys.close(w)
    assert.equal("ready", pipe:read())
    t:cancel()
    pcall(t.await, t)
    assert.is_nil(pipe:read())
  end))

  it("is lazy as a Future", clean(function()
    local fut = async.future(process.output, { "echo", "x" })
    assert.is_false(sys.children())
    assert.equal("x\n", fut:await().stdout)
  end))
end)

describe("process.pipeline #process", function()
  it("connects its children", clean(function()
    local line <close> = assert(process.pipeline({ "cat", stdin = "pipe" }, { "cat" },
      { "cat", stdout = "pipe" }))
    local text = ("a"):rep(1 << 20)
    local writer = async.spawn(function()
      assert(line.stdin:write(text))
      line.stdin:close()
    end)
    assert.is_true(line.stdout:read("a") == text)
    writer:await()
    local ok = { code = 0, ok = true }
    assert.same({ code = 0, ok = true, ok, ok, ok }, line:wait())
    assert.equal(3, #line)
    assert.equal(line[3].stdout, line.stdout)
    assert.is_nil(line[4])
  end))

  it("is ok when all were", clean(function()
    local line = assert(process.pipeline({ "sh", "-c", "exit 2" }, { "cat" }))
    local st = line:wait()
    assert.is_false(st.ok)
    assert.same({ 0, 2, 0 }, { st.code, st[1].code, st[2].code })
  end))

  it("ends the first by SIGPIPE when the last has had enough", clean(function()
    local line <close> = assert(process.pipeline({ "yes" }, { "head", "-1", stdout = "pipe" }))
    assert.equal("y\n", line.stdout:read("a"))
    assert.equal("SIGPIPE", line:wait()[1].signal)
  end))

  it("that cannot be started leaves nothing", clean(function()
    local line, err = process.pipeline({ "yes" }, { "cat" }, { "/no/such/command" })
    assert.is_nil(line)
    assert.same({ "ENOENT", "/no/such/command" }, { err.code, err.path })
    assert.error_matches(function() process.pipeline({ "yes" }, { "cat", stdin = "null" }) end, "stdin is the stdout")
    assert.error_matches(function() process.pipeline({ "yes", stdout = "null" }, { "cat" }) end, "stdout is the stdin")
    assert.error_matches(function() process.pipeline({ "yes" }, { 1, 2, nonsense = 1 }) end, "unknown option")
    assert.error_matches(function() process.pipeline() end, "no command")
  end))

  it("is killed, and closed, as a whole", clean(function()
    local line = assert(process.pipeline({ "sleep", "1000" }, { "sleep", "1000" }))
    assert.is_true(line:kill("SIGKILL"))
    assert.same({ "SIGKILL", "SIGKILL" }, { line:wait()[1].signal, line:wait()[2].signal })
    local _, err = line:kill()
    assert.equal("ESRCH", err.code)
    line = assert(process.pipeline({ "sleep", "1000" }, { "sleep", "1000" }))
    local t = async.spawn(line.wait, line)
    async.yield()
    assert.is_true(line:close())
    assert.equal("ECANCELED", select(2, t:await()).code)
    assert.equal("EBADF", select(2, line:wait()).code)
  end))
end)
