-- Signals, where threads of ours start programs, and where workers are stopped.
local async = require "lua_async"
local support = require "spec.support"
local body = require("spec.support.threads").body
local run, thread = support.run, async.thread

describe("a program that another thread starts #process", function()
  for _, how in ipairs { "spawn_blocking", "spawn" } do
    it("has the signal mask of this one: " .. how, function()
      run(function()
        local spawn = thread[how]
        assert.same({ nil, "signal", 15, n = 3 }, table.pack(spawn(os.execute, "kill -TERM $$; exit 1"):await()))
        assert.same({ true, "exit", 0, n = 3 }, table.pack(spawn(os.execute, "exit 0"):await()))
        assert.same({ nil, "exit", 3, n = 3 }, table.pack(spawn(os.execute, "exit 3"):await()))
        assert.is_true(spawn(os.execute):await())
        assert.same({ "one\ntwo\n", nil, "signal", 15, n = 4 }, table.pack(spawn(body [[
          local p = io.popen("echo one; echo two; kill -TERM $$; exit 1")
          return p:read("a"), p:close()]]):await()))
        assert.same({ true, "exit", 0, n = 3 }, table.pack(spawn(body [[
          local p = io.popen("read x; test x$x = xhello", "w")
          p:write("hello\n")
          return p:close()]]):await()))
        assert.matches("invalid mode", select(2, spawn(pcall, io.popen, "true", "x"):await()))
      end)
    end)
  end

  it("and is started by a thread of that thread", function()
    run(function()
      local _, what, signal = thread.spawn(body [[
        return thread.spawn_blocking(os.execute, "kill -TERM $$; exit 1"):await()]]):await()
      assert.same({ "signal", 15 }, { what, signal })
    end)
  end)
end)

describe("workers #seldom", function()
  it("that fail as their listener is closed at SIGTERM have not failed, and are not waited for #process", function()
    for _, restarts in ipairs { 0, 5 } do
      support.child_ok(([[
        async.on_error(function(e) print("told", e) end)
        async.run(function()
          local tx, rx = async.thread.channel(4)
          async.spawn(function()
            rx:recv()
            async.process.kill(sys.pid(), "SIGTERM")
          end)
          async.thread.workers({ count = 1, delay = 1000, restarts = %d }, function(started)
            local async = require "lua_async"
            local listener <close> = assert(async.net.listen("127.0.0.1", 0))
            started:send(true)
            while true do assert(listener:accept()):close() end
          end, tx)
        end)
        print "ok"
      ]]):format(restarts), { seconds = 60 })
    end
  end)

  it("that fail while they are stopped are told, and not waited for #process", function()
    local text = support.child_ok([[
      async.on_error(function(e) print("told", e) end)
      async.run(function()
        local tx, rx = async.thread.channel(4)
        async.spawn(function()
          rx:recv()
          async.process.kill(sys.pid(), "SIGTERM")
        end)
        async.thread.workers({ count = 1, delay = 1000 }, function(started)
          local async = require "lua_async"
          local listener <close> = assert(async.net.listen("127.0.0.1", 0))
          started:send(true)
          for conn in listener:incoming() do conn:close() end
          error("of its own", 0)
        end, tx)
      end)
      print "ok"
    ]], { seconds = 60 })
    assert.equal("told\tof its own\nok\n", text)
  end)

  it("refuse at once what only one of them could have", function()
    run(function()
      local conn, peer = support.pair()
      local _ <close> = support.closing(conn, peer)
      local told = 0
      local old = async.on_error(function() told = told + 1 end)
      for _, x in ipairs { conn, { { conn } }, (thread.oneshot()) } do
        local ok, e = pcall(thread.workers, { count = 2, delay = 0, restarts = 1 }, body "", x)
        assert.is_false(ok)
        assert.matches("only one thread can own", tostring(e))
      end
      async.on_error(old)
      assert.equal(0, told)
      assert(conn:write("still here\n"))
      assert.equal("still here", peer:read("l"))
    end)
  end)
end)
