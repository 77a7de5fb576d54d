-- What a second round of hostile programs of threads found: what was lost, or used after it was gone.
local async = require "lua_async"
local support = require "spec.support"
local body = require("spec.support.threads").body
local run, thread = support.run, async.thread

-- For programs of their own with few descriptors.
local FEW <const> = [[
  local thread = async.thread
  local listener, hold
  local function pair()
    local _, port = listener:address()
    local client = assert(async.net.connect("127.0.0.1", port))
    return client, assert(listener:accept())
  end
  local function use_up(left)
    hold = {}
    repeat
      local f = io.open("/dev/null")
      hold[#hold + 1] = f
    until not f
    for i = 1, left or 0 do table.remove(hold):close() end
  end
  local function release()
    for _, f in ipairs(hold) do f:close() end
  end
  local function no_descriptor(ok, e) assert(not ok and e.code == "EMFILE", e) end
  async.run(function()
    listener = assert(async.net.listen("127.0.0.1", 0))
    %s
  end)
  print "ok"
]]

local function with_few(text) support.child_ok(FEW:format(text), { before = "ulimit -n 40;" }) end

describe("a message that cannot be unpacked for want of descriptors #process", function()
  it("keeps what was taken out of it already", function()
    with_few [[
      local a, a2 = pair()
      local b, b2 = pair()
      local another = assert(async.net.listen("127.0.0.1", 0))
      local tx, rx = thread.channel(1)
      assert(tx:send { a, another, b, listener })
      for left = 0, 1 do
        use_up(left)
        no_descriptor(pcall(rx.recv, rx))
        release()
        collectgarbage()
      end
      a2:write("A\n")
      b2:write("B\n")
      local v = rx:recv()
      assert(v[1]:read("l") == "A" and v[3]:read("l") == "B" and v[2]:address() and v[4]:address())
    ]]
  end)

  it("is not lost with others, and comes first", function()
    with_few [[
      local tx, rx = thread.channel(4)
      local waiting = {}
      for i = 1, 3 do waiting[i] = async.spawn(function() return pcall(rx.recv, rx) end) end
      async.yield()
      local ours, peers = {}, {}
      for i = 1, 3 do ours[i], peers[i] = pair() end
      for i = 1, 3 do assert(tx:try_send { ours[i], i }) end
      use_up()
      for i = 1, 3 do no_descriptor(waiting[i]:await()) end
      release()
      local got = {}
      for i = 1, 3 do
        got[i] = rx:recv()
        assert(got[i][2] == i)
        peers[i]:write(i, "\n")
        assert(got[i][1]:read("n") == i)
      end
    ]]
  end)

  it("is found by who comes when its budget is used up", function()
    for _, how in ipairs { "channel", "broadcast" } do
      with_few(([[
        local tx, rx
        if %q == "channel" then
          tx, rx = thread.channel(1)
        else
          tx = thread.broadcast(4)
          rx = tx:subscribe()
        end
        local another, other = assert(async.net.listen("127.0.0.1", 0)), async.sync.channel(math.huge)
        for count = 0, 200 do -- after some number of them the budget is used up
          assert(tx:send { another, count })
          use_up()
          no_descriptor(pcall(rx.recv, rx))
          release()
          async.yield()
          for i = 1, count do other:send(i) end
          local v = rx:recv()
          assert(v[2] == count)
          v[1]:close()
        end
      ]]):format(how))
    end
  end)

  it("is not lost by a broadcast's receiver that several tasks wait on", function()
    with_few [[
      local tx = thread.broadcast(4)
      local rx = tx:subscribe()
      local waiting = {}
      for i = 1, 3 do waiting[i] = async.spawn(function() return pcall(rx.recv, rx) end) end
      async.yield()
      local another = assert(async.net.listen("127.0.0.1", 0))
      for i = 1, 3 do tx:send { another, i } end
      use_up()
      for i = 1, 3 do no_descriptor(waiting[i]:await()) end
      release()
      for i = 1, 3 do assert(rx:recv()[2] == i) end
    ]]
  end)

  it("was not seen by a watch's receiver", function()
    with_few [[
      local tx, rx = thread.watch(0)
      local waiting = async.spawn(function() return pcall(rx.recv, rx) end)
      async.yield()
      tx:send { assert(async.net.listen("127.0.0.1", 0)), 1 }
      use_up()
      no_descriptor(waiting:await())
      release()
      assert(rx:has_changed())
      assert(rx:recv()[2] == 1)
    ]]
  end)
end)

describe("a message #seldom", function()
  it("that cannot be had here is lost outside a runtime, too, and the next one comes", function()
    local names = run(function()
      local tx, rx = thread.channel(2)
      package.loaded["only.here"] = { name = "only.here" }
      tx:send { package.loaded["only.here"] }
      tx:send "second"
      package.loaded["only.here"] = nil
      return thread.spawn_blocking(body [[
        local rx = ...
        local ok, e = pcall(rx.try_recv, rx)
        return ok, tostring(e), rx:try_recv()
      ]], rx):await()
    end)
    assert.is_false(names)
  end)

  it("keeps what it moves until there is room, whatever becomes of its table", function()
    run(function()
      local tx, rx = thread.channel(1)
      tx:send "fill"
      local mine, theirs = support.pair()
      local shared = thread.shared(7)
      local v = { connection = mine, shared = shared, held = function() return shared end }
      local sending = async.spawn(tx.send, tx, v)
      async.yield()
      v.connection, v.shared, v.held, mine, shared = nil, nil, nil, nil, nil
      collectgarbage()
      collectgarbage()
      assert.equal("fill", rx:recv())
      assert.is_true(sending:await())
      v = rx:recv()
      theirs:write("hello\n")
      assert.equal("hello", v.connection:read("l"))
      assert.equal(7, v.shared:get())
      assert.equal(7, v.held():get())
      v.connection:close()
      theirs:close()
    end)
  end)

  it("has modules, and what stands in them, by name, whatever else is in it", function()
    package.loaded["spec.sentinels"] = { null = {}, colours = { red = {} }, meta = {} }
    local m = package.loaded["spec.sentinels"]
    run(function()
      local tx, rx = thread.channel(1)
      for _, other in ipairs { false, print } do
        tx:send { m, null = m.null, red = m.colours.red, other, data = setmetatable({}, m.meta) }
        local v = rx:recv()
        assert.equal(m, v[1])
        assert.equal(m.null, v.null)
        assert.equal(m.colours.red, v.red)
        assert.equal(m.meta, getmetatable(v.data))
      end
      tx:send(m)
      assert.equal(m, rx:recv())
      local old = m.null
      m.null = { "another" } -- what stood there does not go by its name any more
      tx:send(old)
      assert.same({}, rx:recv())
      package.loaded["=odd"] = { 1 } -- no name that we could have given
      tx:send(package.loaded["=odd"])
      assert.same({ 1 }, rx:recv())
      package.loaded["=odd"] = nil
    end)
    package.loaded["spec.sentinels"] = nil
  end)
end)

describe("work for a thread that is cancelled before it began #seldom", function()
  it("lets go of what it was sent, though its Task is kept", function()
    run(function()
      for _, spawn in ipairs { thread.spawn, thread.spawn_blocking } do
        local tx, rx = thread.channel(1)
        local mine, theirs = support.pair()
        local task = spawn(body "return ...", tx, mine)
        assert.is_true(task:cancel())
        assert.is_false(pcall(task.await, task))
        tx:close()
        assert.is_nil(rx:recv())
        assert.is_nil(theirs:read(1))
        theirs:close()
      end
    end)
  end)

  it("as any Task lets go of its function's arguments", function()
    run(function()
      local weak = setmetatable({}, { __mode = "v" })
      local task
      do
        local argument = {}
        weak[1] = argument
        weak[2] = function() return argument end
        task = async.spawn(weak[2], argument)
      end
      task:cancel()
      assert.is_false(pcall(task.await, task))
      collectgarbage()
      assert.is_nil(weak[1])
      assert.is_nil(weak[2])
      assert.equal("cancelled", task:status())
    end)
  end)
end)

describe("an error of a thread that cannot be had here #seldom", function()
  it("is told by its text, awaited or not", function()
    run(function()
      local told = {}
      local old = async.on_error(function(e, traceback) told[#told + 1] = { tostring(e), traceback } end)
      local task = thread.spawn(body [[
        package.preload["my.errors"] = function()
          return { MT = { __tostring = function() return "mine" end, __name = "X" } }
        end
        local E = require "my.errors"
        async.spawn(error, setmetatable({}, E.MT))
        async.sleep(0)
        async.yield()
        error(setmetatable({}, E.MT))
      ]])
      local ok, e = pcall(task.await, task)
      async.on_error(old)
      assert.is_false(ok)
      for _, text in ipairs { e, told[1][1] } do
        assert.matches("^mine\n", text)
        assert.matches("cannot be had here: module 'my.errors' not found", text)
      end
      assert.matches("in another thread", told[1][2])
      assert.equal(1, #told)
    end)
  end)
end)

describe("a state of the pool #seldom", function()
  it("leaves no Loop to other threads #process", function()
    for _ = 1, 3 do
      support.child_ok [[
        local T = async.thread
        for _, left in ipairs { "L = loop", "" } do
          async.run(function()
            local ts = {}
            for k = 1, 8 do
              ts[k] = T.spawn_blocking(load([=[
                local async = require "lua_async"
                local loop = async.loop()
                loop:spawn(async.sleep, 1)
                loop:turn()
                os.execute("sleep 0.002")
                ]=] .. left))
            end
            for k = 1, 8 do ts[k]:await() end
            for k = 1, 8 do ts[k] = T.spawn_blocking(load "collectgarbage() return L and tostring(L)") end
            for k = 1, 8 do
              local text = ts[k]:await()
              assert(text == nil or text == "Loop (closed)", text)
            end
          end)
        end
        print "ok"
      ]]
    end
  end)

  it("is interrupted in a run in a coroutine, too #interrupt", function()
    run(function()
      local reports = 0
      local old = async.on_error(function() reports = reports + 1 end)
      for _, what in ipairs { "async.run(compute)", "local l = async.loop() l:spawn(compute) l:turn()",
                              "async.run(function() coroutine.wrap(compute)() end)" } do
        local begun = thread.shared(false)
        local task = thread.spawn_blocking(body([[
          local begun = ...
          async.on_error(function() end)
          local function compute() begun:set(true) while true do end end
          coroutine.wrap(function() ]] .. what .. [[ end)()
        ]]), begun)
        while not begun:get() do async.sleep(0.001) end
        task:cancel()
        local ok, e = pcall(task.await, task)
        assert.is_true(not ok and support.was_cancelled(e))
      end
      async.on_error(old)
      assert.equal(0, reports)
    end)
  end)
end)

describe("thread.init #seldom", function()
  after_each(function() thread.init() end)

  it("copies its function then and there", function()
    run(function()
      local x = { 1 }
      thread.init(load("local x = ... return function() X = x[1] end")(x))
      x[1] = 2
      for _, spawn in ipairs { thread.spawn, thread.spawn_blocking } do
        assert.equal(1, spawn(body "return X"):await())
      end
      thread.init(load("local x = ... return function() X = x[1] end")(x))
      assert.equal(2, thread.spawn(body "return X"):await())
      local tx = thread.channel(1)
      tx:close()
      local ok, e = thread.init(load("local tx = ... return function() tx:try_send(1) end")(tx))
      assert.is_nil(ok)
      assert.equal("EBADF", e.code)
    end)
  end)

  it("may take `require` away", function()
    run(function()
      thread.init(body "require = nil")
      local tx, rx = thread.channel(1)
      for _, spawn in ipairs { thread.spawn, thread.spawn_blocking } do
        spawn(load "local tx, m = ... tx:try_send { m, require }", tx, async):await()
        assert.equal(async, rx:recv()[1])
      end
    end)
  end)
end)

describe("functions of async.thread #seldom", function()
  it("take a callable table, and say what cannot be called or sent by its number", function()
    run(function()
      local callable = setmetatable({ 20 }, { __call = load "local self, x = ... return self[1] + (x or 0)" })
      assert.equal(22, thread.spawn(callable, 2):await())
      assert.equal(21, thread.spawn_blocking(callable, 1):await())
      assert.is_true(thread.workers(1, callable))
      for _, name in ipairs { "spawn", "spawn_blocking" } do
        local ok, e = pcall(thread[name], 3)
        assert.is_false(ok)
        assert.matches("function or callable table expected, got number", e)
      end
      local ok, e = pcall(thread.workers, 1, body "", "x", { y = coroutine.create(print) })
      assert.is_false(ok)
      assert.equal("argument 4.y: a coroutine cannot be sent to another thread", e)
      ok, e = pcall(thread.workers, 1, {})
      assert.is_false(ok)
      assert.matches("function or callable table expected, got table", e)
    end)
  end)
end)

describe("an end that was collected #seldom", function()
  it("says so to finalisers that come later #process", function()
    local text = support.child_ok [[
      local thread = async.thread
      KEPT = setmetatable({}, { __gc = function()
        for name, f in pairs { len = function() return #RX end, get = function() return WTX:get() end,
                               receivers = function() return WTX:receivers() end,
                               subscribers = function() return B:receivers() end } do
          local ok, e = pcall(f)
          assert(not ok and e:find("it has been collected"), e)
        end
        print "ok"
      end })
      TX, RX = thread.channel(1)
      WTX, WRX = thread.watch(1)
      B = thread.broadcast(1)
    ]]
    assert.equal("ok\n", text)
    support.child_ok [[
      local thread = async.thread
      local tx, rx = thread.channel(1)
      local wtx, wrx = thread.watch(1)
      local b = thread.broadcast(1)
      for _, x in ipairs { tx, rx, wtx, wrx, b, b:subscribe(), (thread.oneshot()) } do
        for _ = 1, 2 do getmetatable(x).__gc(x) end
      end
      collectgarbage()
      print "ok"
    ]]
  end)
end)

describe("a Unix listener in two threads #seldom", function()
  after_each(support.clean)

  it("leaves its path to the last of them", function()
    run(function()
      local path = support.folder() .. "/s"
      local listener = assert(async.net.listen_unix(path))
      local stop, stopped = thread.channel(1)
      local task = thread.spawn(body [[
        local listener, stopped = ...
        async.spawn(function() for c in listener:incoming() do c:write("there") c:close() end end)
        stopped:recv()
        listener:close()
      ]], listener, stopped)
      listener:close()
      local c <close> = assert(async.net.connect_unix(path))
      assert.equal("there", c:read("a"))
      stop:send(true)
      task:await()
      assert.equal("ENOENT", select(2, async.fs.stat(path)).code)
    end)
  end)
end)

describe("a worker that is to stop #process", function()
  it("has listeners closed that it makes from then on", function()
    support.child_ok [[
      local thread = async.thread
      async.run(function()
        local ready = thread.shared(0)
        async.on_error(function(e)
          print(e)
          os.exit(1)
        end)
        async.spawn(function()
          while ready:get() < 2 do async.sleep(0.001) end
          async.process.kill(sys.pid(), "SIGTERM")
        end)
        assert(thread.workers({ count = 2, drain = 60 }, load [=[
          local ready = ...
          local async = require "lua_async"
          local first <close> = async.net.listen("127.0.0.1", 0)
          ready:add(1)
          for _ in first:incoming() do end -- until it is closed
          local late = assert(async.net.listen("127.0.0.1", 0))
          assert(late:address() == nil)
          for _ in late:incoming() do end
          local path = os.tmpname()
          os.remove(path)
          for _ in assert(async.net.listen_unix(path)):incoming() do end
          assert(not io.open(path))
        ]=], ready))
      end)
      print "ok"
    ]]
  end)
end)
