-- os.exit(code, true) in a task closes the Lua state around everything that is open and waits: quietly, and without
-- a leak (which LeakSanitizer finds where it looks).
local support = require "spec.support"

local holders = {
  ["a watch"] = [[async.fs.watch(".")]],
  ["a walk"] = [[async.fs.walk(".")]],
  ["a child"] = [[async.process.spawn { "sleep", "1000", stdin = "pipe" }]],
  ["a pipeline"] = [[async.process.pipeline({ "sleep", "1000" }, { "cat", stdout = "pipe" })]],
  ["a UDP socket"] = [[async.net.udp()]],
  ["a listener"] = [[async.net.listen("127.0.0.1", 0)]],
  ["a connection"] = [[async.net.connect(listener:address())]],
  ["a file"] = [[async.fs.open("/dev/null", "w")]],
  ["a stream of signals"] = [[(async.signal.stream("SIGUSR1"))]],
  ["an interval"] = [[(async.time.interval(1))]],
  ["a guard"] = [[async.sync.mutex():lock()]],
  ["a permit"] = [[async.sync.semaphore(1):acquire()]],
  ["a sender"] = [[(async.channel(1))]],
  ["a sender to threads"] = [[(async.thread.channel(1))]],
  ["a watch's sender"] = [[(async.sync.watch(1))]],
  ["a deferred call"] = [[async.defer(function() end)]],
}

local copies = {
  ["from a connection to itself"] = { "conn", "conn" },
  ["from a file to a connection"] = { [[assert(async.fs.open("/dev/zero"))]], "conn" },
  ["from a file to a file"] = { [[assert(async.fs.open(folder .. "/zeros"))]],
    [[assert(async.fs.open(folder .. "/copy", "w"))]] },
  ["from a connection to a child"] = { "conn",
    [[assert(async.process.spawn { "cat", stdin = "pipe", stdout = "null" }).stdin]] },
}

local PROGRAM = [[
  async.run(function()
    local listener = assert(async.net.listen("127.0.0.1", 0))
    local ready = async.sync.notify()
    %s
    ready:wait()
    os.exit(0, true)
  end)
]]

local function quiet(body)
  local text, status = support.child(PROGRAM:format(body))
  assert.equal("", text)
  assert.equal(0, status)
end

describe("os.exit(0, true) in a task #process", function()
  for name, made in pairs(holders) do
    it("closes " .. name .. " that a waiting task holds", function()
      quiet(([[
        async.spawn(function()
          local held <close> = %s
          ready:notify_one()
          async.sleep(math.huge)
        end)
      ]]):format(made))
    end)
  end

  for name, ends in pairs(copies) do
    it("ends a copy " .. name, function()
      quiet(([[
        local client = assert(async.net.connect(listener:address()))
        local conn = assert(listener:accept())
        local folder = "%s"
        local zeros = assert(async.fs.open(folder .. "/zeros", "w"))
        zeros:truncate(1 << 30)
        zeros:close()
        async.spawn(function() while true do client:write(("x"):rep(100000)) end end)
        async.spawn(function() async.copy(%s, %s) end)
        async.sleep(0.05)
        ready:notify_one()
      ]]):format(support.folder(), ends[1], ends[2]))
    end)
  end
end)
