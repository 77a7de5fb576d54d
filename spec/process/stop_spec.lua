-- child:stop and pipeline:stop, and try_wait; spawn's hint about shells.
local async = require "lua_async"
local support = require "spec.support"

local pid = tonumber(io.open("/proc/self/stat"):read("a"):match("^%d+"))

local FOREVER <const> = "trap '' TERM; echo ready; while :; do sleep 1; done"

describe("stop #process", function()
  it("ends a child by SIGTERM, and waits for it", function()
    support.run(function()
      local child <close> = assert(async.process.spawn { "sleep", "1000" })
      local ok, err = child:try_wait()
      assert.same({ nil, "EAGAIN" }, { ok, err.code })
      assert.same({ signal = "SIGTERM", ok = false }, child:stop())
      assert.same({ signal = "SIGTERM", ok = false }, child:try_wait())
      assert.same({ signal = "SIGTERM", ok = false }, child:stop())
    end)
  end)

  it("try_wait sees the end of a child at once, though its task never waits", function()
    support.run(function()
      local child <close> = assert(async.process.spawn { "sh", "-c", "exit 5" })
      local line <close> = assert(async.process.pipeline({ "true" }, { "sh", "-c", "exit 6" }))
      local status, statuses
      repeat status = child:try_wait() until status
      repeat statuses = line:try_wait() until statuses
      assert.same({ code = 5, ok = false }, status)
      assert.same(6, statuses.code)
      assert.same({ code = 5, ok = false }, child:wait())
      assert.is_false(line:wait().ok)
    end)
  end)

  it("gives how a child ends that handles SIGTERM", function()
    support.run(function()
      local child <close> = assert(async.process.spawn { "sh", "-c",
        "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", stdout = "pipe" })
      assert.equal("ready", child.stdout:read("l"))
      assert.same({ code = 3, ok = false }, child:stop(1000))
    end)
  end)

  it("kills one that does not end in time, with its group", function()
    support.run(function()
      local child <close> = assert(async.process.spawn { "sh", "-c", FOREVER, stdout = "pipe", group = true })
      assert.equal("ready", child.stdout:read("l"))
      assert.same({ signal = "SIGKILL", ok = false }, child:stop(0.01))
      assert.is_nil((child.stdout:read("l"))) -- the sleep that had it, too, is gone
    end)
  end)

  it("gives the rest of its group the rest of the time, and kills what is left", function()
    support.run(function()
      local child <close> = assert(async.process.spawn { "sh", "-c",
        "(trap '' TERM; echo ready; exec sleep 1000) & wait", stdout = "pipe", group = true })
      assert.equal("ready", child.stdout:read("l"))
      assert.same({ signal = "SIGTERM", ok = false }, child:stop(0.05))
      assert.is_nil((async.timeout(60, child.stdout.read, child.stdout, "l")))
      assert.same({ "" }, { child.stdout:read("a") }) -- the end: nobody has it open

      local slow <close> = assert(async.process.spawn { "sh", "-c", "(trap 'sleep 0.2; echo done; exit' TERM; "
        .. "echo ready; while :; do sleep 0.01; done) & wait", stdout = "pipe", group = true })
      assert.equal("ready", slow.stdout:read("l"))
      assert.same({ signal = "SIGTERM", ok = false }, slow:stop(1000))
      assert.equal("done", slow.stdout:read("l"))
    end)
  end)

  it("that is cancelled leaves the child to its end", function()
    support.run(function()
      local child <close> = assert(async.process.spawn { "sh", "-c", FOREVER, stdout = "pipe", group = true })
      assert.equal("ready", child.stdout:read("l"))
      assert.is_nil((async.timeout(0.01, child.stop, child, 1000)))
      assert.is_nil((child:try_wait()))
    end)
  end)

  it("is for pipelines, too", function()
    support.run(function()
      local line <close> = assert(async.process.pipeline({ "sleep", "1000" }, { "cat" }))
      local ok, err = line:try_wait()
      assert.same({ nil, "EAGAIN" }, { ok, err.code })
      local status = line:stop(1000)
      assert.is_false(status.ok)
      assert.equal("SIGTERM", status[1].signal)
      assert.same(status, line:try_wait())
      local stubborn <close> = assert(async.process.pipeline({ "sh", "-c", FOREVER, stdin = "null" },
        { "cat", stdout = "pipe" }))
      assert.equal("ready", stubborn.stdout:read("l"))
      assert.equal("SIGKILL", stubborn:stop(0.01)[1].signal)
    end)
  end)

  it("is refused by what is closed, and checks its argument", function()
    support.run(function()
      local child = assert(async.process.spawn { "sleep", "1000" })
      assert.is_false((pcall(child.stop, child, "x")))
      child:close()
      for _, name in ipairs { "stop", "try_wait" } do
        local ok, err = child[name](child)
        assert.same({ nil, "EBADF" }, { ok, err.code })
      end
    end)
  end)
end)

describe("a pending signal #process", function()
  it("is received without waiting", function()
    support.run(function()
      local stream <close> = async.signal.stream("SIGUSR2")
      local name, err = stream:try_recv()
      assert.same({ nil, "EAGAIN" }, { name, err.code })
      async.process.kill(pid, "SIGUSR2")
      while not name do
        async.sleep(0)
        name = stream:try_recv()
      end
      assert.equal("SIGUSR2", name)
      assert.is_nil((stream:try_recv()))
    end)
  end)
end)

describe("spawn #process", function()
  it("says that no shell splits words, where that is the mistake", function()
    support.run(function()
      local child, err = async.process.spawn { "ls -l" }
      assert.is_nil(child)
      assert.equal("ENOENT", err.code)
      assert.matches("no shell splits the words", err.message)
      for _, words in ipairs { { "no-such-program" }, { "no such program", "-l" } } do
        child, err = async.process.spawn(words)
        assert.is_nil(child)
        assert.not_matches("shell", err.message)
      end
    end)
  end)
end)
