-- Lua states and processes that end in the middle, and several of them side by side.
local async = require "lua_async"
local support = require "spec.support"

-- Tasks in every kind of wait, left alive; `at_end` runs in the root task among them.
local function busy(at_end)
  return ([[
    local async = require "lua_async"
    local closed = 0
    local function guard()
      return setmetatable({}, { __close = function() closed = closed + 1 end })
    end
    local path = %q
    async.run(function()
      local listener = assert(async.net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local function task(f, ...)
        local args = table.pack(...)
        return async.spawn(function()
          local _ <close> = guard()
          return f(table.unpack(args, 1, args.n))
        end)
      end
      task(function() for conn in listener:incoming() do task(conn.read, conn, "a") end end)
      local conn = assert(async.net.connect("127.0.0.1", port))
      task(conn.read, conn, "l")
      task(conn.write, conn, ("x"):rep(32 << 20))
      task(async.sleep, 1000)
      task(async.timeout, 1000, async.sleep, 2000)
      task(async.shield, async.sleep, 0)
      local sleeper = task(async.sleep, 1000)
      for _ = 1, 3 do task(sleeper.await, sleeper) end
      task(async.await, async.poll_fn(function() return "pending" end, function() end))
      task(function() for _ in async.coroutine.wrap(function() async.sleep(1000) end) do end end)
      local started = async.future(function() local _ <close> = guard() async.sleep(1000) end)
      task(function() async.await(async.poll_fn(function(cx) return started:poll(cx) end)) end)
      local file = assert(async.fs.open(path, "w"))
      file:write("buffered")
      async.spawn(function() while true do async.yield() end end)
      async.spawn(function() while true do async.fs.stat("/") end end)
      async.spawn(function() async.net.connect("localhost", 1) end)
      async.sleep(0.01)
      %s
    end)
    os.remove(path)
  ]]):format(support.folder() .. "/f", at_end)
end

local HOST = "build/spec/host"

local function contents(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

describe("the end in the middle #process", function()
  after_each(support.clean)

  it("os.exit(code, true) in a task closes the state, and the process ends with its code", function()
    for _, where in ipairs { "os.exit(7, true)", "async.spawn(os.exit, 7, true):await()",
                             "pcall(os.exit, 7, true)", "async.timeout(10, os.exit, 7, true)",
                             "table.sort({ 1, 2 }, function() os.exit(7, true) end)",
                             "async.coroutine.wrap(function() os.exit(7, true) end)()",
                             "local _ <close> = setmetatable({}, { __close = function() os.exit(7, true) end })" } do
      local text, code = support.child(busy(where))
      assert.equal(7, code, where .. ": " .. text)
      assert.equal("", text)
    end
  end)

  it("os.exit(code, false) in a task ends at once", function()
    local text, code = support.child(busy "os.exit(5, false)")
    assert.equal(5, code, text)
    text, code = support.child(busy "os.exit(true)")
    assert.equal(0, code, text)
  end)

  it("os.exit writes first what Files have accepted, in its order", function()
    local path = support.folder() .. "/f"
    support.sys.mkfifo(path .. ".fifo")
    for _, run in ipairs { "async.run(%s)", "async.run(function() async.thread.spawn(%s):await() end)" } do
      local text, code = support.child(("local path = %q\n"):format(path) .. run:format [[function()
        local async = require "lua_async"
        local f = assert(async.fs.open(path, "w"))
        f:write("begin\n")
        f:flush()
        f:write(("x"):rep(200000), "\n")
        local left = assert(async.fs.open(path, "r+"))
        left:write("BEGIN")
        left = nil
        collectgarbage() -- it is being closed
        local added = assert(async.fs.open(path .. ".add", "a"))
        async.spawn(async.fs.open, path .. ".fifo", "w") -- the pool has nobody left
        async.yield()
        for i = 1, 20000 do added:write(i, "\n") end
        for i = 1, 100 do async.stdout:write(i, "\n") end -- a file, too
        os.exit(7)
      end]], { before = "UV_THREADPOOL_SIZE=1" })
      assert.equal(7, code, text)
      local lines = {}
      for i = 1, 20000 do lines[i] = i .. "\n" end
      assert.equal(table.concat(lines), contents(path .. ".add"))
      assert.equal("BEGIN\n" .. ("x"):rep(200000) .. "\n", contents(path))
      assert.equal(table.concat(lines, "", 1, 100), text)
      os.remove(path .. ".add")
    end
  end)

  it("an error in main with tasks alive unwinds them, and ends the process with 1", function()
    local text, code = support.child(busy([[
      setmetatable(_G, { __gc = function() io.stderr:write(closed, " closed\n") end })
      async.spawn(print, "never begun")
      error "in main"
    ]]))
    assert.equal(1, code, text)
    assert.matches("in main", text)
    assert.matches("spawned at", text)
    assert.matches("%d%d closed\n$", text)
    assert.is_nil(text:find("never begun"))
  end)

  it("a state may be closed by the program that embeds it, from inside of a task", function()
    support.child_ok(busy "close_now()", { with = HOST .. " close" })
    support.child_ok(busy "async.spawn(close_now):await()", { with = HOST .. " close" })
    support.child_ok(busy "pcall(string.gsub, 'x', 'x', function() close_now() end)",
      { with = HOST .. " close" })
  end)

  it("a state may be closed while a coroutine that held a run's values is suspended", function()
    support.child_ok([[
      local kept = {}
      async.run(function()
        local l = assert(async.net.listen("127.0.0.1", 0))
        local _, port = l:address()
        kept = { l, assert(async.net.connect("127.0.0.1", port)), assert(l:accept()),
                 assert(async.fs.open("/dev/null", "w")), async.spawn(async.sleep, 1000),
                 async.future(async.sleep, 1), async.current(),
                 async.coroutine.create(function() async.sleep(1) end) }
        local cx
        async.await(async.poll_fn(function(c) cx = c:waker() return "ready" end))
        kept[#kept + 1] = cx
        pcall(async.timeout, 0, kept[6])
      end)
      kept[#kept]:wake()
      coroutine.yield() -- to the host, which closes
    ]], { with = HOST .. " close" })
  end)

  it("a run inside of a coroutine that is never resumed ends with its state", function()
    support.child_ok([[
      local co = coroutine.wrap(function()
        async.run(function() async.sleep(0.001) end)
        coroutine.yield()
        async.run(function() error "not reached" end)
      end)
      co()
      coroutine.yield()
    ]], { with = HOST .. " close" })
  end)
end)

describe("several Lua states #process", function()
  it("run side by side on threads of their own", function()
    local f <close> = assert(io.open("spec/support/threads.lua"))
    support.child_ok(f:read("a"), { with = HOST .. " threads 8" })
  end)

  it("one inside of the other on one thread: each has its own runtime", function()
    support.child_ok([[
      local outer = {}
      async.run(function()
        outer[1] = async.spawn(function() async.sleep(0.001) return "outer" end)
        assert(sys.nested([=[
          local async = require "lua_async"
          assert(async.run(function()
            local t = async.spawn(function() async.sleep(0.002) return "inner" end)
            return t:await()
          end) == "inner")
        ]=]))
        assert(outer[1]:await() == "outer")
        async.sleep(0)
      end)
      print "ok"
    ]])
  end)
end)
