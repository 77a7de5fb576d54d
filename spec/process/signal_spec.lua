-- async.signal, and what SIGINT does to a run.
local async = require "lua_async"
local support = require "spec.support"
local sys, signal = support.sys, async.signal
local numbers = { SIGINT = 2, SIGUSR1 = 10, SIGUSR2 = 12, SIGPIPE = 13, SIGTERM = 15, SIGHUP = 1 }

local function send(name) assert(async.process.kill(sys.pid(), name)) end

-- Runs f in a run that has to leave every signal as it was.
local function clean(f)
  return function()
    local before, fds = {}, support.fds()
    for name, n in pairs(numbers) do before[name] = sys.handler(n) end
    support.run(f)
    for name, n in pairs(numbers) do assert.equal(before[name], sys.handler(n)) end
    assert.equal(fds, support.fds())
  end
end

describe("a stream of signals", function()
  it("gives the names of those that came", clean(function()
    local stream <close> = assert(signal.stream("SIGUSR1", "SIGHUP"))
    local waits = async.spawn(stream.recv, stream)
    async.yield()
    assert.equal("waiting", waits:status())
    send "SIGUSR1"
    assert.equal("SIGUSR1", waits:await())
    send "SIGHUP"
    assert.equal("SIGHUP", stream:recv())
    assert.matches("^SignalStream: ", tostring(stream))
  end))

  it("is an iterator, which closes", clean(function()
    local seen = {}
    send "SIGPIPE" -- nobody listens: nothing
    async.spawn(function()
      for i = 1, 3 do
        send "SIGUSR1"
        while #seen < i do async.yield() end
      end
    end)
    for name in signal.stream("SIGUSR1") do
      seen[#seen + 1] = name
      if #seen == 3 then break end
    end
    assert.same({ "SIGUSR1", "SIGUSR1", "SIGUSR1" }, seen)
    assert.equal("default", sys.handler(numbers.SIGUSR1))
  end))

  it("keeps those that come while nobody waits, each kind once, in order", clean(function()
    local stream <close> = signal.stream("SIGUSR1", "SIGUSR2", "SIGHUP")
    local seen <close> = signal.stream("SIGUSR1", "SIGUSR2", "SIGHUP")
    for _, name in ipairs { "SIGUSR2", "SIGUSR1", "SIGUSR2", "SIGUSR1", "SIGHUP" } do
      send(name)
      seen:recv() -- it has come
    end
    assert.equal("SIGUSR2", stream:recv())
    assert.equal("SIGUSR1", stream:recv())
    assert.equal("SIGHUP", stream:recv())
    assert.equal("ETIMEDOUT", select(2, async.timeout(0, stream.recv, stream)).code)
  end))

  it("is one of many", clean(function()
    local tasks, streams = {}, {}
    for i = 1, 4 do
      streams[i] = signal.stream("SIGUSR1")
      tasks[i] = async.spawn(streams[i].recv, streams[i])
    end
    async.yield()
    send "SIGUSR1"
    for i = 1, 4 do assert.equal("SIGUSR1", tasks[i]:await()) end
    for i = 2, 4 do streams[i]:close() end
    send "SIGUSR1" -- one still listens
    assert.equal("SIGUSR1", streams[1]:recv())
    streams[1]:close()
  end))

  it("that is closed ends who waits, and later ones", clean(function()
    local stream = signal.stream("SIGUSR1")
    local t = async.spawn(stream.recv, stream)
    async.yield()
    assert.is_true(stream:close())
    assert.is_true(stream:close())
    assert.equal("ECANCELED", select(2, t:await()).code)
    assert.equal("EBADF", select(2, stream:recv()).code)
    for _ in stream do error("it is closed") end
  end))

  it("has one who waits at a time", clean(function()
    local stream <close> = signal.stream("SIGUSR1")
    local t = async.spawn(stream.recv, stream)
    async.yield()
    assert.error_matches(function() stream:recv() end, "another task is already waiting")
    t:cancel()
    pcall(t.await, t)
    send "SIGUSR1"
    assert.equal("SIGUSR1", stream:recv())
  end))

  it("is closed by the collector and by the end of the run", clean(function()
    do local _ = signal.stream("SIGUSR1") end
    collectgarbage()
    collectgarbage()
    assert.equal("default", sys.handler(numbers.SIGUSR1))
    _G.kept = signal.stream("SIGUSR1")
    async.spawn(_G.kept.recv, _G.kept)
    async.yield()
  end))

  it("outlives its run as a closed one", function()
    support.run(function() assert.equal("ECANCELED", select(2, _G.kept:recv()).code) end)
    _G.kept = nil
  end)

  it("gives a handler back that was there before", function()
    sys.handler(numbers.SIGHUP, "ignore")
    clean(function()
      local stream <close> = signal.stream("SIGHUP")
      assert.equal("handler", sys.handler(numbers.SIGHUP))
      send "SIGHUP"
      assert.equal("SIGHUP", stream:recv())
    end)()
    assert.equal("ignore", sys.handler(numbers.SIGHUP))
    sys.handler(numbers.SIGHUP, "default")
  end)

  it("refuses what is not a signal or cannot be caught", clean(function()
    for _, name in ipairs { "SIGKILL", "SIGSTOP", "SIGSEGV", "SIGFPE", "SIGBUS", "SIGILL" } do
      assert.error_matches(function() signal.stream("SIGUSR1", name) end, name .. " cannot be waited for")
    end
    assert.error_matches(function() signal.stream("TERM") end, "'TERM' is not a signal")
    assert.error_matches(function() signal.stream() end, "string expected")
    assert.error_matches(function() signal.wait() end, "string expected")
  end))

  it("cannot be opened outside of a run", function()
    assert.error_matches(function() signal.stream("SIGUSR1") end, "outside a runtime")
  end)
end)

describe("signal.wait", function()
  it("gives the one that came", clean(function()
    local t = async.spawn(signal.wait, "SIGUSR1", "SIGUSR2")
    async.yield()
    send "SIGUSR2"
    assert.equal("SIGUSR2", t:await())
  end))

  it("listens while it waits, and from its first poll on", clean(function()
    local fut = async.future(signal.wait, "SIGUSR1")
    assert.equal("default", sys.handler(numbers.SIGUSR1))
    local t = async.spawn(fut)
    async.yield()
    assert.equal("handler", sys.handler(numbers.SIGUSR1))
    t:cancel()
    pcall(t.await, t)
    assert.equal("default", sys.handler(numbers.SIGUSR1))
  end))

  it("is how a server stops #process", function()
    support.child_ok [[
      async.run(function()
        async.spawn(async.process.kill, sys.pid(), "SIGTERM")
        local what, name = async.select { stop = async.future(async.signal.wait, "SIGTERM"),
          late = async.future(async.sleep, 100) }
        assert(what == "stop" and name == "SIGTERM")
      end)
      print "ok"
    ]]
  end)
end)

describe("SIGINT #process", function()
  local function program(text, how)
    return support.child("local function int() assert(async.process.kill(sys.pid(), 'SIGINT')) end\n" .. text, how)
  end
  local function ok(text)
    local out, code = program(text)
    assert.equal(0, code, out)
    assert.matches("ok\n$", out)
  end

  it("cancels the root task, which unwinds", function()
    ok [[
      local unwound = 0
      local done, e = pcall(async.run, function()
        local _ <close> = setmetatable({}, { __close = function() unwound = unwound + 1 end })
        async.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() unwound = unwound + 1 end })
          async.sleep(100)
        end)
        async.spawn(int)
        async.sleep(100)
      end)
      assert(not done and e.code == "EINTR" and unwound == 2)
      print "ok"
    ]]
  end)

  it("wakes a run that waits for nothing but time", function()
    ok [[
      local begun = os.tmpname() -- while os.execute runs SIGINT is ignored
      os.remove(begun)
      os.execute("(until [ -e " .. begun .. " ]; do :; done; kill -INT " .. sys.pid() .. ") &")
      local done, e = pcall(async.run, function()
        io.open(begun, "w"):close()
        async.sleep(100)
      end)
      os.remove(begun)
      assert(not done and e.code == "EINTR")
      print "ok"
    ]]
  end)

  it("ends a script that does nothing about it with the error", function()
    local out, code = program "async.run(function() async.spawn(int) async.sleep(100) end)"
    assert.equal(1, code)
    assert.equal("lua5.4: interrupted!\n", out)
  end)

  it("ends the process when it comes again", function()
    local out, code = program [[
      io.stdout:setvbuf("no")
      async.run(function()
        async.spawn(int)
        local ok, e = pcall(async.sleep, 100)
        assert(async.is_cancelled(e))
        print "once"
        async.shield(function()
          async.spawn(int)
          async.sleep(100)
        end)
      end)
      print "never"
    ]]
    assert.equal(130, code)
    assert.equal("once\n", out)
  end)

  it("ends the process when it comes again, even when Lua never returns to the loop", function()
    local _, code = program [[
      async.run(function()
        int()
        int()
        while true do end
      end)
    ]]
    assert.equal(130, code)
  end)

  it("ends a run that unwinds for too long when it comes again", function()
    local _, code = program [[
      async.run(function()
        async.spawn(function()
          async.shield(function() async.sleep(0.01) int() int() while true do async.sleep(0.01) end end)
        end)
        async.yield()
      end)
    ]]
    assert.equal(130, code)
  end)

  it("does what it did before and after the run", function()
    local _, code = program "async.run(function() end) int() while true do end"
    assert.equal(1, code) -- lua5.4's own handler: "interrupted!"
    ok [[
      sys.handler(2, "default")
      async.run(function() assert(sys.handler(2) == "handler") end)
      assert(sys.handler(2) == "default")
      print "ok"
    ]]
  end)

  it("is not lost when it comes too late to cancel anything", function()
    local _, code = program [[
      sys.handler(2, "default")
      async.run(function()
        async.spawn(function() async.shield(function() async.yield() async.yield() int() async.yield() end) end)
        async.yield()
      end)
      print "never"
    ]]
    assert.equal(130, code)
  end)

  it("stays ignored when it was", function()
    ok [[
      sys.handler(2, "ignore")
      async.run(function()
        assert(sys.handler(2) == "ignore")
        int() int()
        async.sleep(0)
      end)
      assert(sys.handler(2) == "ignore")
      print "ok"
    ]]
  end)

  it("is left alone when the program says so", function()
    ok [[
      sys.handler(2, "default")
      async.run({ sigint = false }, function() assert(sys.handler(2) == "default") end)
      print "ok"
    ]]
    assert.error_matches(function() async.run({ sigint = 1 }, print) end, "'sigint' must be a boolean")
  end)

  it("belongs to a stream while one is open, and cancels again after it", function()
    ok [[
      local count = 0
      local done, e = pcall(async.run, function()
        local stream <close> = async.signal.stream("SIGINT")
        for _ = 1, 3 do
          int()
          assert(stream:recv() == "SIGINT")
          count = count + 1
        end
        local t = async.spawn(async.signal.wait, "SIGINT")
        async.yield()
        int()
        assert(t:await() == "SIGINT" and stream:recv() == "SIGINT")
        stream:close()
        async.spawn(int)
        async.sleep(100)
      end)
      assert(count == 3 and not done and e.code == "EINTR")
      print "ok"
    ]]
  end)

  it("goes back to whom it was from, also when a stream outlives the root task", function()
    ok [[
      sys.handler(2, "default")
      async.run(function()
        async.spawn(function()
          local stream <close> = async.signal.stream("SIGINT")
          async.shield(function() for _ = 1, 5 do async.yield() end end)
        end)
        async.yield()
      end)
      assert(sys.handler(2) == "default")
      print "ok"
    ]]
  end)

  it("does not reach a child that has a group of its own", function()
    ok [[
      async.run({ sigint = false }, function()
        local child = assert(async.process.spawn { "sh", "-c", "echo; read x", stdin = "pipe", stdout = "pipe",
          group = true })
        child.stdout:read()
        local stat = assert(async.fs.read_file(("/proc/%d/stat"):format(child.pid)))
        local group, session = stat:match("%) %a %d+ (%d+) (%d+)")
        assert(tonumber(group) == child.pid and tonumber(session) == child.pid)
        child.stdin:close()
        child:wait()
      end)
      print "ok"
    ]]
  end)
end)

describe("SIGPIPE #process", function()
  it("never ends a program, whoever reads no more", function()
    support.child_ok [[
      async.run(function()
        local child = assert(async.process.spawn { "true", stdin = "pipe" })
        child:wait()
        local ok, err = child.stdin:write("x")
        assert(ok == nil and err.code == "EPIPE")
        async.process.kill(sys.pid(), "SIGPIPE")
        local r, w = sys.pipe()
        sys.close(r)
        local pipe = assert(async.net.from_fd(w))
        ok, err = pipe:write(("x"):rep(100000))
        assert(ok == nil and err.code == "EPIPE")
      end)
      print "ok"
    ]]
  end)

  it("is ignored in a run and with a Loop, and as it was afterwards; SIGINT is left to a Loop's host", function()
    support.child_ok [[
      local function mask(kind)
        for line in io.lines "/proc/self/status" do
          local bits = line:match("^" .. kind .. ":%s*(%x+)")
          if bits then return tonumber(bits, 16) end
        end
      end
      local PIPE = 1 << 12
      local function ignored() return mask "SigIgn" & PIPE ~= 0 end
      sys.handler(2, "default") -- SIGINT; the lua5.4 program handles it while it runs a script
      sys.handler(13, "default") -- SIGPIPE; who started this may ignore it, and we inherit that
      assert(not ignored())
      async.run(function()
        assert(ignored() and sys.handler(2) == "handler")
        local p <close> = io.popen "grep SigIgn /proc/self/status" -- inherited there, and not by children of ours
        assert(tonumber(p:read("a"):match("%x+%s*$"), 16) & PIPE ~= 0)
      end)
      assert(not ignored())
      local loop = async.loop()
      loop:spawn(function() assert(ignored() and sys.handler(2) == "default") end)
      while loop:turn() do end
      loop:close()
      assert(not ignored())
      print "ok"
    ]]
  end)
end)
