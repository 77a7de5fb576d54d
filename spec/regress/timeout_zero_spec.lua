-- A deadline that has passed: what need not wait gives its result all the same, whatever it is.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local sync, value = async.sync, steps.value

-- Each makes what is to be called, then its arguments: it need not wait.
local ready = {
  ["notify:wait with a stored permit"] = function()
    local n = sync.notify()
    n:notify_one()
    return n.wait, n
  end,
  ["watch: recv of a new value"] = function()
    local tx, rx = sync.watch(1)
    tx:send(2)
    return rx.recv, rx
  end,
  ["watch: changed"] = function()
    local tx, rx = sync.watch(1)
    tx:send(2)
    return rx.changed, rx
  end,
  ["thread watch: changed"] = function()
    local tx, rx = async.thread.watch(1)
    tx:send(2)
    return rx.changed, rx
  end,
  ["barrier(1)"] = function()
    local b = sync.barrier(1)
    return b.wait, b
  end,
  ["mutex"] = function()
    local m = sync.mutex()
    return m.lock, m
  end,
  ["semaphore"] = function()
    local s = sync.semaphore(1)
    return s.acquire, s
  end,
  ["rwlock"] = function()
    local l = sync.rwlock()
    return l.write, l
  end,
  ["once"] = function()
    local o = sync.once(value(1))
    return o
  end,
  ["channel: recv"] = function()
    local tx, rx = async.channel(1)
    tx:send(1)
    return rx.recv, rx
  end,
  ["channel: send"] = function()
    local tx, rx = async.channel(1)
    return function(...) return tx:send(...), rx end, 1
  end,
  ["broadcast"] = function()
    local b = sync.broadcast(2)
    local r = b:subscribe()
    b:send(1)
    return r.recv, r
  end,
  ["thread channel"] = function()
    local tx, rx = async.thread.channel(2)
    tx:send(1)
    return rx.recv, rx
  end,
  ["sleep(0)"] = function() return async.sleep, 0 end,
  ["the first tick of an interval"] = function() return (async.time.interval(10)) end,
  ["a task that has ended"] = function()
    local t = async.spawn(value(1))
    async.yield()
    return t
  end,
  ["join of values"] = function() return async.join, value(1), value(2) end,
  ["join of joins"] = function()
    return async.join, function() return async.join(function() return async.join(value(1), value(2)) end) end
  end,
  ["select"] = function() return async.select, { value(1), steps.forever } end,
  ["map"] = function() return async.map, { 1, 2, 3 }, value(1) end,
  ["map, one at a time"] = function() return async.map, { 1, 2, 3 }, value(1), { limit = 1 } end,
  ["scope"] = function()
    return async.scope, function(s)
      s:spawn(value(1))
      return 1
    end
  end,
  ["a Future of what is there"] = function()
    local n = sync.notify()
    n:notify_one()
    return async.future(n.wait, n)
  end,
  ["timeout in timeout"] = function() return async.timeout, 0, async.timeout, 0, async.sleep, 0 end,
  ["a deadline long ago"] = function()
    local n = sync.notify()
    n:notify_one()
    return async.deadline, 0, n.wait, n
  end,
}

local function test(name, make)
  it(name, function()
    support.in_order(function() -- what is bounded in turns depends on who comes first
      for _, turns in ipairs { 0, 1 } do
        for _ = 1, turns do async.yield() end
        local r = table.pack(async.timeout(0, make()))
        local err = r[2]
        assert.is_false(r[1] == nil and type(err) == "table" and err.code == "ETIMEDOUT")
      end
    end)
  end)
end

describe("past a deadline, what need not wait gives its result:", function()
  for name, make in pairs(ready) do test(name, make) end
end)

describe("past a deadline, what the system has ready gives its result: #process", function()
  after_each(support.clean)
  test("a child that has ended", function()
    local child = assert(async.process.spawn { "true" })
    -- A zombie: it has ended, and nobody has been told.
    local path = ("/proc/%d/stat"):format(child.pid)
    while not assert(io.open(path)):read("a"):find("%) Z") do end
    return child.wait, child
  end)
  test("a pending signal", function()
    local s = assert(async.signal.stream("SIGUSR1"))
    assert(async.process.kill(support.sys.pid(), "SIGUSR1"))
    return function() return s:recv() end
  end)
  test("a waiting connection", function()
    local l = assert(async.net.listen("127.0.0.1", 0))
    support.sys.connect(select(2, l:address()))
    return l.accept, l
  end)
  test("bytes that have come", function()
    local a, b = support.pair()
    a:write("line\n")
    return function() return b:read("l"), a end
  end)
  test("a write for which there is room", function()
    local a, b = support.pair()
    return function() return a:write("line\n"), b end
  end)
  test("a datagram", function()
    local a, b = assert(async.net.udp("127.0.0.1", 0)), assert(async.net.udp("127.0.0.1", 0))
    assert(a:send("x", b:address()))
    return b.recv, b
  end)
  test("a datagram to send", function()
    local a, b = assert(async.net.udp("127.0.0.1", 0)), assert(async.net.udp("127.0.0.1", 0))
    return a.send, a, "x", b:address()
  end)
  test("poll_fd", function()
    local a, b = support.pair()
    return function() return async.poll_fd(a:fd(), "w"), b end
  end)
end)

describe("past a deadline", function()
  after_each(support.clean)

  it("what has to wait says so, and loses nothing", function()
    support.run(function()
      local tx, rx = async.channel(1)
      steps.code("ETIMEDOUT", async.timeout(0, rx.recv, rx))
      tx:send(1)
      assert.equal(1, rx:recv())
      local n = sync.notify()
      steps.code("ETIMEDOUT", async.timeout(0, n.wait, n))
      n:notify_one()
      assert.is_true(n:wait())
      steps.code("ETIMEDOUT", async.timeout(0, async.join, steps.forever, value(1)))
      steps.code("ETIMEDOUT", async.timeout(0, async.sleep, 0.001))
      steps.code("ETIMEDOUT", async.timeout(0, async.map, { 1, 2 }, steps.forever))
      assert.equal(1, steps.tasks())
    end)
  end)

  it("what would go on without us is not begun", function()
    support.run(function()
      local path = support.folder() .. "/f"
      assert(async.fs.write_file(path, "x"))
      steps.code("ETIMEDOUT", async.timeout(0, async.fs.remove, path))
      assert(async.fs.stat(path))
      local f <close> = assert(async.fs.open(path, "r+"))
      steps.code("ETIMEDOUT", async.timeout(0, f.truncate, f, 0))
      assert.equal(1, assert(f:stat()).size)
      local l <close> = assert(async.net.listen("127.0.0.1", 0))
      local _, port = l:address()
      steps.code("ETIMEDOUT", async.timeout(0, async.net.connect, "127.0.0.1", port))
      steps.code("ETIMEDOUT", async.timeout(0.05, l.accept, l))
    end)
  end)

  it("it is soon over for a loop that always finds something", function()
    support.run(function()
      local tx, rx = async.channel(1000)
      local producer = async.spawn(function() while true do tx:send(1) async.yield() end end)
      local n = 0
      steps.code("ETIMEDOUT", async.timeout(0, function() while true do rx:recv() n = n + 1 end end))
      assert.is_true(n < 10000)
      local notify = sync.notify()
      steps.code("ETIMEDOUT", async.timeout(0, function()
        while true do notify:notify_one() notify:wait() end
      end))
      steps.code("ETIMEDOUT", async.timeout(0, function() while true do async.join(value(1)) end end))
      producer:cancel()
    end)
  end)

  it("a task that is cancelled, and not only late, gets nothing more", function()
    support.run(function()
      local got
      local t = async.spawn(function()
        pcall(steps.forever)
        local n = sync.notify()
        n:notify_one()
        got = { pcall(async.timeout, 0, n.wait, n) }
        assert(n:close())
      end)
      async.yield()
      t:cancel()
      t:await()
      assert.is_false(got[1])
      assert.is_true(async.is_cancelled(got[2]))
    end)
  end)
end)
