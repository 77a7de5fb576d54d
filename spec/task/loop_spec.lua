-- async.loop: a runtime that a host drives, from a loop of its own.
local async = require "lua_async"
local support = require "spec.support"
local socket = require "socket" -- LuaSocket: the host's select
local sys = support.sys

-- What a host of few lines does: waits for the loop's descriptor, or until it wants a turn. Returns when
-- no task is left.
local function drive(loop, limit)
  local stop = os.time() + (limit or 60)
  local watched = { { getfd = function() return loop:fd() end, dirty = function() return false end } }
  while loop:turn() do
    if os.time() > stop then error("the loop hung\n" .. loop:dump()) end
    socket.select(watched, nil, loop:timeout() or 5)
  end
end

-- The same, until `done()`.
local function drive_until(loop, done)
  local stop = os.time() + 60
  while true do
    if os.time() > stop then error("it hung\n" .. loop:dump()) end
    loop:turn()
    if done() then return end
    socket.select({ { getfd = function() return loop:fd() end, dirty = function() return false end } }, nil,
      math.min(loop:timeout() or 5, 5))
  end
end

local function error_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("async.loop #seldom", function()
  it("runs nothing by itself: tasks begin in the host's turn", function()
    local loop <close> = async.loop()
    local log = {}
    local t = loop:spawn(function(...)
      log[#log + 1] = "task"
      return ...
    end, 1, nil, 3)
    log[#log + 1] = "host"
    assert.equal("ready", t:status())
    assert.is_false(loop:turn())
    assert.same({ "host", "task" }, log)
    assert.equal("done", t:status())
    assert.same({ 1, nil, 3, n = 3 }, table.pack(t:await())) -- over: the host may have its results
  end)

  it("says how long it can do without a turn", function()
    local loop <close> = async.loop()
    assert.is_nil(loop:timeout())
    loop:spawn(async.sleep, 1000)
    assert.equal(0, loop:timeout())
    loop:turn()
    local left = loop:timeout()
    assert.is_true(left > 0 and left < 1001)
    loop:spawn(function() async.await(async.poll_fn(function() return "pending" end)) end)
    assert.equal(0, loop:timeout())
    assert.is_true(loop:turn())
    assert.is_true(loop:timeout() > 0)
  end)

  it("does timers, sockets, files and the pool's work from a host's select", function()
    local loop <close> = async.loop()
    local t = loop:spawn(function()
      local listener <close> = assert(async.net.listen("127.0.0.1", 0))
      local host, port = listener:address()
      async.spawn(function()
        for accepted in listener:incoming() do
          async.spawn(function()
            local conn <close> = accepted
            for line in conn:lines("L") do conn:write(line) end
          end)
        end
      end)
      local conn <close> = assert(async.net.connect(host, port))
      local back = {}
      for i = 1, 20 do
        conn:write("line ", tostring(i), "\n")
        back[#back + 1] = conn:read("l")
        async.sleep(0.001)
      end
      local text = assert(async.fs.read_file("LICENSE"))
      return #back, back[20], #text > 500
    end)
    drive_until(loop, function() return t:status() ~= "waiting" and t:status() ~= "ready" end)
    assert.same({ 20, "line 20", true }, { t:await() })
  end)

  it("has all that its tasks wait for in its descriptor when a turn has ended", function()
    local loop <close> = async.loop()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local host, port = listener:getsockname()
    local waits = false
    local t = loop:spawn(function()
      local conn <close> = assert(async.net.connect(host, math.tointeger(tonumber(port))))
      waits = true
      return conn:read("l")
    end)
    drive_until(loop, function() return waits end)
    local peer = assert(listener:accept())
    local watched = { { getfd = function() return loop:fd() end, dirty = function() return false end } }
    assert.same({}, (socket.select(watched, nil, 0)))
    peer:send("line\n")
    assert.equal(1, #socket.select(watched, nil, 20)) -- without a turn in between
    drive(loop)
    assert.equal("line", t:await())
    peer:close()
    listener:close()
  end)

  it("is woken by its descriptor when the host itself wakes a task", function()
    local loop <close> = async.loop()
    local tx, rx = async.channel(1)
    local t = loop:spawn(function() return rx:recv() end)
    loop:turn()
    assert.is_nil(loop:timeout())
    local watched = { { getfd = function() return loop:fd() end, dirty = function() return false end } }
    assert.same({}, (socket.select(watched, nil, 0)))
    assert(tx:try_send("from the host"))
    assert.equal(1, #socket.select(watched, nil, 60))
    drive(loop)
    assert.equal("from the host", t:await())
  end)

  it("is woken by its descriptor from another thread", function()
    local delay = require "delay_future"
    local loop <close> = async.loop()
    local t = loop:spawn(function() return delay.wait(0.02) end)
    loop:turn()
    assert.is_nil(loop:timeout())
    drive(loop)
    assert.equal("done", t:status())
  end)

  it("takes a task that yields on and on to be ready", function()
    local loop <close> = async.loop()
    local n = 0
    loop:spawn(function() for _ = 1, 1000 do n = n + 1 async.yield() end end)
    local turns = 0
    while loop:turn() do
      turns = turns + 1
      assert.equal(0, loop:timeout())
    end
    assert.equal(1000, n)
    assert.is_true(turns > 1)
  end)

  it("raises no deadlock: the host may wake them yet", function()
    local loop <close> = async.loop()
    local gate = support.gate()
    local t = loop:spawn(gate.wait)
    for _ = 1, 3 do assert.is_true(loop:turn()) end
    gate.open()
    assert.is_false(loop:turn())
    assert.equal("done", t:status())
  end)

  it("tells on_error what fails and nobody awaits, and gives the error to a host that asks", function()
    local told
    local before = async.on_error(function(err, traceback, task) told = { err, traceback, task } end)
    local loop <close> = async.loop()
    local t = loop:spawn(error, { "thing" })
    loop:turn()
    async.on_error(before)
    assert.same({ "thing" }, told[1])
    assert.equal(t, told[3])
    assert.equal("failed", t:status())
    local ok, err = pcall(t.await, t)
    assert.is_false(ok)
    assert.equal(told[1], err)
  end)

  it("has a virtual clock like every runtime", function()
    local loop <close> = async.loop()
    local t = loop:spawn(function()
      async.time.pause()
      local start = async.now()
      async.sleep(3600)
      return async.now() - start
    end)
    local turns = 0
    while loop:turn() do turns = turns + 1 end
    assert.is_true(math.abs(t:await() - 3600) < 0.01)
    assert.is_true(turns < 10)
  end)

  it("dumps its tasks", function()
    local loop <close> = async.loop()
    loop:spawn(async.sleep, 10):name("sleeper")
    loop:turn()
    assert.matches("task 1 'sleeper': waiting, waits for sleep, spawned at .*loop_spec", loop:dump())
    assert.equal("Loop (1 tasks)", tostring(loop))
  end)

  it("takes a seed", function()
    local function order(seed)
      local loop <close> = async.loop { seed = seed }
      local log = {}
      for i = 1, 12 do loop:spawn(function() log[#log + 1] = i end) end
      while loop:turn() do end
      return table.concat(log, " ")
    end
    assert.equal(order(7), order(7))
    assert.are_not.equal(order(7), order(8))
  end)

  it("is one of several, beside async.run", function()
    local a <close> = async.loop()
    local b <close> = async.loop()
    local log = {}
    local function task(name) return function() for i = 1, 2 do log[#log + 1] = name .. i async.yield() end end end
    a:spawn(task "a")
    b:spawn(task "b")
    a:turn()
    assert.equal("run", async.run(function() async.yield() return "run" end))
    while a:turn() or b:turn() do end
    while b:turn() do end
    table.sort(log)
    assert.same({ "a1", "a2", "b1", "b2" }, log)
  end)
end)

describe("loop:close #seldom", function()
  it("cancels every task, and returns when they have unwound", function()
    local loop = async.loop()
    local log = {}
    local function sleeper(name)
      local _ <close> = setmetatable({}, { __close = function()
        async.shield(async.sleep, 0.01)
        log[#log + 1] = name
      end })
      async.sleep(1000)
    end
    local t, u = loop:spawn(sleeper, "a"), loop:spawn(sleeper, "b")
    local never = nil
    loop:turn()
    never = loop:spawn(sleeper, "c")
    assert.is_true(loop:close())
    table.sort(log)
    assert.same({ "a", "b" }, log)
    for _, task in ipairs { t, u, never } do assert.equal("cancelled", task:status()) end
    assert.equal("Loop (closed)", tostring(loop))
    assert.is_true(loop:close())
  end)

  it("leaves no descriptor, with connections, files and futures open", function()
    local before = support.fds()
    do
      local loop <close> = async.loop()
      local kept = {}
      loop:spawn(function()
        kept[1] = assert(async.net.listen("127.0.0.1", 0))
        kept[2] = assert(async.net.connect(kept[1]:address()))
        kept[3] = assert(async.fs.open("LICENSE"))
        kept[4] = async.future(kept[2].read, kept[2], "l")
        async.spawn(kept[1].accept, kept[1])
        async.await(async.poll_fn(function(cx)
          if not kept.begun then kept.begun = kept[4]:poll(cx) end
          return "pending"
        end))
      end)
      drive_until(loop, function() return kept.begun end)
      loop:turn()
    end
    assert.equal(before, support.fds())
  end)

  it("is done by the collector for one that nobody has", function()
    local before = support.fds()
    local closed = false
    do
      local loop = async.loop()
      loop:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        async.sleep(1000)
      end)
      loop:turn()
    end
    assert.equal(before, support.fds())
    assert.is_true(closed)
  end)

  it("leaves a Future that was begun in it to be collected at any time", function()
    local loop <close> = async.loop()
    local closed = 0
    loop:spawn(function()
      for _ = 1, 3 do
        local fut = async.future(function()
          local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
          async.sleep(1000)
        end)
        async.await(async.poll_fn(function(cx) fut:poll(cx) return "ready" end))
      end
    end)
    loop:turn()
    collectgarbage() -- here no runtime is entered
    collectgarbage()
    assert.equal(3, closed)
    async.run(function() loop:spawn(async.yield) end)
    while loop:turn() do end
  end)

  it("knows when the host closes a coroutine that waits", function()
    local loop <close> = async.loop()
    local co = async.coroutine.create(function() async.sleep(1000) end)
    local t = loop:spawn(async.coroutine.resume, co)
    loop:turn()
    assert.is_true(coroutine.close(co))
    loop:turn()
    loop:turn()
    assert.are_not.equal("waiting", t:status())
  end)
end)

describe("a loop is misused and says so: #seldom", function()
  it("in its own tasks", function()
    local loop <close> = async.loop()
    local errors = {}
    loop:spawn(function()
      errors[1] = error_of(loop.turn, loop)
      errors[2] = error_of(loop.close, loop)
      errors[3] = error_of(async.run, print)
    end)
    loop:turn()
    assert.matches("one of the loop.s own tasks", errors[1])
    assert.matches("loop:close was called in one of the loop.s own tasks", errors[2])
    assert.matches("async.run cannot be called inside async.run", errors[3])
  end)

  it("in a run, or another loop", function()
    local a <close> = async.loop()
    local b <close> = async.loop()
    a:spawn(function() assert.matches("inside another runtime", error_of(b.turn, b)) end)
    a:turn()
    async.run(function() assert.matches("inside another runtime", error_of(b.turn, b)) end)
  end)

  it("when it is closed", function()
    local loop = async.loop()
    loop:close()
    for _, method in ipairs { "turn", "spawn", "fd", "timeout", "dump" } do
      assert.matches("loop:" .. method .. ": this loop is closed", error_of(loop[method], loop, print))
    end
  end)

  it("with what is no loop, no function, no option", function()
    local loop <close> = async.loop()
    assert.matches("Loop expected", error_of(loop.turn, {}))
    assert.matches("function, Future or Task expected", error_of(loop.spawn, loop, 1))
    assert.matches("unknown option 'fd'", error_of(async.loop, { fd = 1 }))
    assert.matches("option 'seed' must be an integer", error_of(async.loop, { seed = "x" }))
    assert.matches("option 'luv' must be a boolean", error_of(async.loop, { luv = 1 }))
  end)

  it("by waiting in the host", function()
    local loop <close> = async.loop()
    assert.matches("outside a runtime", error_of(async.sleep, 1))
    local t = loop:spawn(async.sleep, 1)
    assert.matches("outside a runtime", error_of(t.await, t)) -- not over
  end)
end)

describe("a host #process", function()
  it("that closes the state with tasks alive ends them", function()
    support.child_ok [[
      loop = async.loop()
      loop:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() print "ok" end })
        assert(async.net.listen("127.0.0.1", 0))
        async.sleep(100)
      end)
      loop:turn()
    ]]
  end)

  it("whose task closes the state ends", function()
    support.child_ok [[
      loop = async.loop()
      loop:spawn(function() async.yield() print "ok" os.exit(0, true) end)
      while loop:turn() do end
    ]]
  end)

  it("in C, with a poll(2) loop of its own", function()
    local out = assert(io.popen("printf 'one\\ntwo\\nthree\\n' | " ..
      "timeout 60 build/spec/poll_host examples/host/lines.lua 2>&1"))
    local text = out:read("a")
    assert.is_true(out:close(), text)
    local lines = {}
    for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ "answer: one", "answer: three", "answer: two", "host: closed", "host: the input is over" }, lines)
  end)

  it("in Lua, with LuaSocket's select", function()
    local out = assert(io.popen("timeout 60 lua5.4 examples/host/select.lua 2>&1"))
    local text = out:read("a")
    assert.is_true(out:close(), text)
    assert.equal("task: hello from the host's own socket\nhost: echoed by a task\nclosed\n", text)
  end)
end)
