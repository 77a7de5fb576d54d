-- Programs that were started with signals blocked or ignored: what is waited for comes, and the mask is as it was.
local support = require "spec.support"

local function run(how, program)
  local text, status = support.child(program, { under = "env " .. how })
  assert.equal(0, status, text)
  return text
end

local MASK = [[
  local function mask() return io.open("/proc/self/status"):read("a"):match("SigBlk:%s+(%x+)") end
  local pid = tonumber(io.open("/proc/self/stat"):read("a"):match("^%d+"))
  local before = mask()
]]

describe("started with signals blocked, #process", function()
  it("a run knows that its children have ended", function()
    for _, how in ipairs { "--block-signal=CHLD", "--ignore-signal=CHLD" } do
      assert.matches("^7 true\n$", run(how, MASK .. [[
        local code
        async.run(function()
          code = async.process.output({ "sh", "-c", "exit 7" }).code
          async.process.spawn { "true" } -- reaped at the end of the run
        end)
        print(code .. " " .. tostring(mask() == before))
      ]]))
    end
  end)

  it("a signal that is waited for comes, in the thread of the program and in others", function()
    assert.equal("SIGTERM SIGUSR1 SIGTERM true\n", run("--block-signal=TERM,USR1", MASK .. [[
      local words = {}
      async.run(function()
        local stream <close> = async.signal.stream("SIGUSR1")
        local waits = async.spawn(async.signal.wait, "SIGTERM")
        async.yield()
        async.process.kill(pid, "SIGTERM")
        words[1] = waits:await()
        async.process.kill(pid, "SIGUSR1")
        words[2] = stream:recv()
        words[3] = async.thread.spawn(function(pid)
          local async = require "lua_async"
          local stream <close> = async.signal.stream("SIGTERM")
          async.process.kill(pid, "SIGTERM")
          return stream:recv()
        end, pid):await()
      end)
      words[4] = tostring(mask() == before)
      print(table.concat(words, " "))
    ]]))
  end)

  it("a thread that began meanwhile can wait for it afterwards", function()
    assert.equal("SIGTERM\n", run("--block-signal=TERM", MASK .. [[
      async.run(function()
        local stream = async.signal.stream("SIGTERM")
        local go, gone = async.thread.channel(1)
        local thread = async.thread.spawn(function(gone, pid)
          local async = require "lua_async"
          gone:recv()
          local stream <close> = async.signal.stream("SIGTERM")
          async.process.kill(pid, "SIGTERM")
          return stream:recv()
        end, gone, pid)
        stream:close()
        go:send(true)
        print(thread:await())
      end)
    ]]))
  end)
end)
