-- async.thread.workers: one function on several threads, kept running, stopped gracefully.
local async = require "lua_async"
local support = require "spec.support"
local body = require("spec.support.threads").body
local run, thread, net = support.run, async.thread, async.net

local function wait_for(shared, value)
  while shared:get() < value do async.sleep(0.001) end
end

-- A port that several may listen on.
local function free_port()
  local l <close> = assert(net.listen("127.0.0.1", 0, { reuseport = true }))
  return (select(2, l:address()))
end

describe("thread.workers", function()
  it("runs a function on so many threads, and ends with them", function()
    run(function()
      local n = thread.shared(0)
      assert.is_true(thread.workers(3, body "local n, by = ... n:add(by)", n, 5))
      assert.equal(15, n:get())
      n:set(0)
      assert.is_true(thread.workers(nil, body "(...):add()", n))
      assert.equal(thread.cores(), n:get())
      assert.is_true(thread.workers({ count = 2 }, body "(...):add()", n))
    end)
  end)

  it("raises for what makes no sense", function()
    run(function()
      for _, bad in ipairs { 0, -1, 0.5, "x", { count = 0 }, { counts = 1 }, { drain = "x" }, { delay = -1 } } do
        assert.has_error(function() thread.workers(bad, body "") end)
      end
      assert.has_error(function() thread.workers(1) end)
      assert.has_error(function() thread.workers(1, coroutine.wrap(print)) end)
    end)
    assert.has_error(function() thread.workers(1, body "") end)
  end)

  it("starts those that fail again, and reports each failure", function()
    run(function()
      local n, told = thread.shared(0), {}
      local old = async.on_error(function(e) told[#told + 1] = e end)
      assert.is_true(thread.workers({ count = 1, delay = 0.001 },
        body "if (...):add() < 3 then error('failure', 0) end", n))
      async.on_error(old)
      assert.same({ "failure", "failure" }, told)
      assert.equal(3, n:get())
    end)
  end)

  it("gives up after so many failures in a row: stops the others, and raises the last one", function()
    run(function()
      local n, told = thread.shared(0), 0
      local old = async.on_error(function() told = told + 1 end)
      local ok, e = pcall(thread.workers, { count = 2, restarts = 2, delay = 0.001, drain = 0.01 }, body [[
        local n = ...
        if n:add() == 1 then async.sleep(1000) end
        error("for good", 0)]], n)
      async.on_error(old)
      assert.same({ false, "for good", 2, 4 }, { ok, e, told, n:get() })
    end)
  end)

  it("waits longer and longer between failures #process", function()
    support.child_ok [[
      async.run(function()
        local at = {}
        async.on_error(function() at[#at + 1] = async.now() end)
        pcall(async.thread.workers, { count = 1, restarts = 4, delay = 0.02 }, function() error "x" end)
        assert(#at == 4)
        for i = 2, 4 do assert(at[i] - at[i - 1] > 0.02 * 2 ^ (i - 2) - 0.001, i) end
      end)
      print "ok"
    ]]
  end)

  it("cancelled, cancels them and waits", function()
    run(function()
      local n = thread.shared(0)
      local t = async.spawn(thread.workers, 2, body [[
        local n = ...
        local _ <close> = setmetatable({}, { __close = function() n:add(10) end })
        n:add()
        async.sleep(1000)]], n)
      wait_for(n, 2)
      t:cancel()
      assert.is_true(support.was_cancelled(select(2, pcall(t.await, t))))
      assert.equal(22, n:get())
    end)
  end)

  local server = body [[
    local port, ready = ...
    local listener <close> = assert(async.net.listen("127.0.0.1", port, { reuseport = true }))
    ready:add()
    for conn in listener:incoming() do
      async.spawn(function()
        local c <close> = conn
        for line in c:lines() do c:write(line:upper(), "\n") end
      end)
    end]]

  it("serve one port together, and at SIGTERM close their listeners and drain #process", function()
    support.child_ok(([[
      local thread, net = async.thread, async.net
      local server = assert(load(%q))
      async.run(function()
        local l = assert(net.listen("127.0.0.1", 0, { reuseport = true }))
        local _, port = l:address()
        local ready = thread.shared(0)
        local w = async.spawn(thread.workers, 2, server, port, ready)
        while ready:get() < 2 do async.sleep(0.001) end
        l:close()
        local conns = {}
        for i = 1, 20 do
          conns[i] = assert(net.connect("127.0.0.1", port))
          conns[i]:write("hello\n")
          assert(conns[i]:read("l") == "HELLO")
        end
        async.process.kill(sys.pid(), "SIGTERM")
        repeat
          async.sleep(0.001)
          local c, err = net.connect("127.0.0.1", port)
          if c then c:close() end
        until not c and err.code == "ECONNREFUSED"
        assert(w:status() == "waiting")
        for i = 1, 20 do -- those that are open are served to their end
          conns[i]:write("again\n")
          assert(conns[i]:read("l") == "AGAIN")
          conns[i]:close()
        end
        assert(w:await() == true)
      end)
      print "ok"
    ]]):format("local async = require 'lua_async' " .. [[
    local port, ready = ...
    local listener <close> = assert(async.net.listen("127.0.0.1", port, { reuseport = true }))
    ready:add()
    for conn in listener:incoming() do
      async.spawn(function()
        local c <close> = conn
        for line in c:lines() do c:write(line:upper(), "\n") end
      end)
    end]]))
  end)

  it("what is not drained by the deadline is cancelled", function()
    run(function()
      local port, ready = free_port(), thread.shared(0)
      local w = async.spawn(thread.workers, { count = 1, drain = 0.02 }, server, port, ready)
      wait_for(ready, 1)
      local conn <close> = assert(net.connect("127.0.0.1", port))
      conn:write("hello\n")
      assert.equal("HELLO", conn:read("l"))
      async.process.kill(support.sys.pid(), "SIGTERM")
      assert.is_true(w:await())
      assert.is_nil(conn:read("l")) -- it was closed
    end)
  end)
end)
