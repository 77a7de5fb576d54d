-- async.loop { luv = true }: a luv program's handles and our tasks on one uv_loop_t, which uv.run drives.
local async = require "lua_async"
local support = require "spec.support"
local uv = require "luv"

-- uv.run() that fails instead of hanging.
local function run(loop)
  local limit = assert(uv.new_timer())
  local hung
  limit:start(60000, 0, function()
    hung = loop:dump()
    uv.stop()
  end)
  limit:unref()
  local left = uv.run()
  limit:close()
  uv.run("nowait") -- luv 1.44 crashes as the state closes if handles are still closing
  if hung then error("it hung\n" .. hung) end
  return left
end

local function error_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("a loop on luv's #seldom", function()
  it("is turned by uv.run, which ends after the last task", function()
    local loop <close> = async.loop { luv = true }
    local log = {}
    local t = loop:spawn(function(...)
      for i = 1, 3 do
        log[#log + 1] = i
        async.sleep(0.001)
      end
      return ...
    end, "result")
    assert.same({}, log)
    assert.is_false(run(loop))
    assert.same({ 1, 2, 3 }, log)
    assert.equal("result", t:await())
    loop:spawn(function() log[#log + 1] = "again" end)
    run(loop)
    assert.equal("again", log[4])
  end)

  it("has luv's timers beside our tasks, each waking the other", function()
    local loop <close> = async.loop { luv = true }
    local log = {}
    local tx, rx = async.channel(1)
    local timer = uv.new_timer()
    local count = 0
    local function tick()
      count = count + 1
      if count > 3 then
        timer:close()
        tx:close()
      else
        log[#log + 1] = "luv " .. count
        assert(tx:try_send(count))
      end
    end
    timer:start(1, 0, tick)
    loop:spawn(function()
      for n in rx do
        local woken = async.sync.notify()
        local idle = uv.new_idle() -- a callback of luv's that a task asks for
        idle:start(function()
          log[#log + 1] = "idle " .. n
          idle:close()
          woken:notify_one()
        end)
        woken:wait()
        log[#log + 1] = "task " .. n
        timer:start(1, 0, tick)
      end
    end)
    assert.is_false(run(loop))
    assert.same({ "luv 1", "idle 1", "task 1", "luv 2", "idle 2", "task 2", "luv 3", "idle 3", "task 3" }, log)
  end)

  it("connects luv's TCP to ours, both ways", function()
    local loop <close> = async.loop { luv = true }
    local server = uv.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(16, function()
      local client = uv.new_tcp()
      server:accept(client)
      client:read_start(function(_, data)
        if data then client:write("luv: " .. data) else client:close() end
      end)
    end)
    local ours
    local t = loop:spawn(function()
      local conn <close> = assert(async.net.connect("127.0.0.1", server:getsockname().port))
      conn:write("hello\n")
      local line = conn:read("l")
      conn:shutdown("send")
      assert.equal("", conn:read("a"))
      server:close()
      -- and the other way round
      ours = assert(async.net.listen("127.0.0.1", 0))
      local theirs = uv.new_tcp()
      local answer, answered = nil, async.sync.notify()
      theirs:connect("127.0.0.1", select(2, ours:address()), function()
        theirs:write("from luv\n")
        theirs:read_start(function(_, data)
          answer = (answer or "") .. (data or "")
          if data == nil then
            theirs:close()
            answered:notify_one()
          end
        end)
      end)
      do
        local peer <close> = assert(ours:accept())
        peer:write("ours: ", peer:read("L"))
      end
      answered:wait()
      ours:close()
      return line, answer
    end)
    assert.is_false(run(loop))
    assert.same({ "luv: hello", "ours: from luv\n" }, { t:await() })
  end)

  it("has files, names and the thread pool", function()
    local loop <close> = async.loop { luv = true }
    local t = loop:spawn(function()
      local text = assert(async.fs.read_file("LICENSE"))
      local listener <close> = assert(async.net.listen("localhost", 0))
      return #text > 500, (listener:address())
    end)
    run(loop)
    assert.is_true((t:await()))
  end)

  it("does not keep uv.run from ending when its tasks can only be woken by luv's handles", function()
    local loop <close> = async.loop { luv = true }
    local gate = support.gate()
    local t = loop:spawn(gate.wait)
    assert.is_false(run(loop))
    assert.equal("waiting", t:status())
    local timer = uv.new_timer()
    timer:start(1, 0, function() timer:close(gate.open) end) -- woken as the last callback of the loop
    assert.is_false(run(loop))
    assert.equal("done", t:status())
  end)

  it("is woken from other threads", function()
    local delay = require "delay_future"
    local loop <close> = async.loop { luv = true }
    local t = loop:spawn(function() return delay.wait(0.02) end)
    run(loop)
    assert.equal("done", t:status())
  end)

  it("lets luv's callbacks run between busy tasks, one turn each", function()
    local loop <close> = async.loop { luv = true }
    local n, at = 0, nil
    local timer = uv.new_timer()
    loop:spawn(function()
      timer:start(0, 0, function()
        at = n
        timer:close()
      end)
      repeat
        n = n + 1
        async.yield()
      until at
    end)
    run(loop)
    assert.is_true(at > 0)
  end)

  it("keeps errors off libuv: a task that fails is told, and luv goes on", function()
    local told
    local before = async.on_error(function(err) told = err end)
    local loop <close> = async.loop { luv = true }
    loop:spawn(error, "oh")
    loop:spawn(async.sleep, 0.001)
    assert.is_false(run(loop))
    async.on_error(before)
    assert.equal("oh", told)
  end)

  it("has a virtual clock of its own", function()
    local loop <close> = async.loop { luv = true }
    local t = loop:spawn(function()
      async.time.pause()
      async.sleep(3600)
      return "later"
    end)
    run(loop)
    assert.equal("later", t:await())
  end)

  it("has tasks that may run luv's loop, and go on", function()
    local loop <close> = async.loop { luv = true }
    local log = {}
    loop:spawn(function()
      local timer = assert(uv.new_timer())
      timer:start(1, 0, function()
        log[#log + 1] = "timer"
        timer:close()
      end)
      repeat uv.run("once") until #log == 1
      uv.run("nowait")
      log[#log + 1] = error_of(loop.close, loop):match("loop:close was called in") or "?"
      async.sleep(0.001)
      log[#log + 1] = "slept"
    end)
    assert.is_false(run(loop))
    assert.same({ "timer", "loop:close was called in", "slept" }, log)
  end)

  it("is one of several, beside a run and a uv.run inside of a task", function()
    local a <close> = async.loop { luv = true }
    local b <close> = async.loop { luv = true }
    local log = {}
    a:spawn(function() async.sleep(0.001) log[#log + 1] = "a" end)
    b:spawn(function() async.sleep(0.001) log[#log + 1] = "b" end)
    async.run(function() run(a) async.yield() end)
    table.sort(log)
    assert.same({ "a", "b" }, log)
  end)
end)

describe("the end of a loop on luv's #seldom", function()
  local function sleeper(log)
    local _ <close> = setmetatable({}, { __close = function()
      async.shield(async.sleep, 0.002)
      log[#log + 1] = "unwound"
    end })
    async.sleep(1000)
  end

  it("is at once outside of uv.run: all has unwound and closed", function()
    local before = support.fds()
    local loop = async.loop { luv = true }
    local log = {}
    loop:spawn(function()
      local listener = assert(async.net.listen("127.0.0.1", 0))
      async.spawn(listener.accept, listener)
      async.spawn(async.fs.open, "LICENSE")
      log.begun = true
      sleeper(log)
    end)
    while not log.begun do uv.run("nowait") end
    assert.is_true(loop:close())
    log.begun = nil
    assert.same({ "unwound" }, log)
    assert.equal("Loop (closed)", tostring(loop))
    assert.is_true(loop:close())
    assert.is_false(uv.loop_alive())
    assert.equal(before, support.fds())
  end)

  it("is waited for by uv.run when it comes in a callback of luv's", function()
    local before = support.fds()
    local loop = async.loop { luv = true }
    local log = {}
    local timer = uv.new_timer()
    local function close()
      timer:close()
      assert.is_true(loop:close())
      log[#log + 1] = tostring(loop):match("closing")
    end
    loop:spawn(function()
      local listener = assert(async.net.listen("127.0.0.1", 0))
      async.spawn(listener.accept, listener)
      timer:start(0, 0, close)
      sleeper(log)
    end)
    assert.is_false(run(loop))
    assert.same({ "closing", "unwound" }, log)
    assert.equal("Loop (closed)", tostring(loop))
    assert.equal(before, support.fds())
  end)

  it("may come in a task of another, with tasks of its own and without", function()
    for _, waits in ipairs { true, false } do
      for _, first in ipairs { true, false } do -- of which loop the turn comes first
        local before = support.fds()
        local a, b = async.loop { luv = true }, async.loop { luv = true }
        if first then a, b = b, a end
        if waits then b:spawn(async.sleep, 1000) end
        a:spawn(function()
          async.sleep(0.001)
          uv.run("nowait") -- luv takes its loop for one that nobody runs after it
          assert.is_true(b:close())
        end)
        assert.is_false(run(a))
        assert.equal("Loop (closed)", tostring(b))
        assert.is_true(a:close())
        assert.is_true(b:close())
        assert.equal(before, support.fds())
      end
    end
  end)

  it("waits for children and signal streams #process", function()
    local loop = async.loop { luv = true }
    local child
    loop:spawn(function()
      assert.equal("hello\n", assert(async.process.output { "echo", "hello" }).stdout)
      async.spawn(async.signal.wait, "SIGUSR2")
      child = assert(async.process.spawn { "sleep", "100" })
      async.sleep(1000)
    end)
    while not child do uv.run("once") end
    assert.is_true(loop:close())
    assert.is_false(uv.loop_alive())
    assert.equal("ESRCH", select(2, async.process.kill(child.pid, 0)).code)
  end)

  it("waits for what the pool has begun", function()
    local loop = async.loop { luv = true }
    loop:spawn(async.fs.read_file, "LICENSE")
    uv.run("nowait")
    loop:close()
    assert.is_false(uv.loop_alive())
  end)

  it("is refused in its own tasks", function()
    local loop <close> = async.loop { luv = true }
    local message
    loop:spawn(function() message = error_of(loop.close, loop) end)
    run(loop)
    assert.matches("one of the loop.s own tasks", message)
    assert.matches("uv.run%(%) drives", error_of(loop.turn, loop))
  end)

  it("comes with that of the state #process", function()
    for _, last in ipairs { "", "os.exit(0, true)" } do
      support.child_ok([[
        local uv = require "luv"
        local loop = async.loop { luv = true }
        local timer = uv.new_timer()
        loop:spawn(function()
          local listener = assert(async.net.listen("127.0.0.1", 0))
          async.spawn(listener.accept, listener)
          async.spawn(async.fs.read_file, "LICENSE")
          timer:start(1, 1, function() uv.stop() end)
          async.sleep(100)
        end)
        uv.run()
        uv.run()
        print "ok"
      ]] .. last)
    end
    support.child_ok [[
      local uv = require "luv"
      local loop = async.loop { luv = true }
      loop:spawn(function() async.yield() print "ok" os.exit(0, true) end)
      uv.run()
    ]]
  end)

  it("comes before that of luv, which takes all handles for its own #process", function()
    support.child_ok [[
      local loop = async.loop { luv = true } -- it is the first to load luv
      loop:spawn(async.sleep, 1000)
      require "luv".run("nowait")
      print "ok"
    ]]
    support.child_ok [[
      local uv = require "luv"
      local loop = async.loop { luv = true }
      loop:spawn(async.fs.read_file, "LICENSE")
      local timer = uv.new_timer()
      timer:start(0, 0, function()
        timer:close()
        loop:close()
        uv.stop()
      end)
      uv.run()
      uv.run("nowait") -- luv's own timer
      print "ok"
    ]]
  end)
end)

describe("the descriptor of a loop of its own #seldom", function()
  it("serves luv, too: in a uv_poll_t", function()
    local loop <close> = async.loop()
    local t = loop:spawn(function() async.sleep(0.002) return "done" end)
    local poll, timer = uv.new_poll(loop:fd()), uv.new_timer()
    local function turn()
      if not loop:turn() then
        poll:close()
        timer:close()
      elseif loop:timeout() then
        timer:start(math.ceil(loop:timeout() * 1000), 0, turn)
      end
    end
    poll:start("r", turn)
    turn()
    run(loop)
    assert.equal("done", t:await())
  end)
end)
