-- Many of everything, fairness, and descriptors that run out.
local async = require "lua_async"
local support = require "spec.support"
local run, sys = support.run, support.sys
local flavour = os.getenv("LUA_ASYNC_FLAVOUR")
local checked = flavour == "asan" or flavour == "valgrind"

-- Lua's longjmps leave libtsan with frames that never return: it dies of some ten thousand.
if flavour == "tsan" then return end

describe("limits #nogc #noseeds", function()
  it("runs many tasks, a million of them unless checked, to their end", function()
    local total = checked and 50000 or 1000000
    local ended = run(function()
      local n = 0
      local function count() n = n + 1 end
      for i = 1, total do
        async.spawn(count)
        if i % 1000 == 0 then async.yield() end
      end
      async.yield()
      return n
    end)
    assert.equal(total, ended)
  end)

  it("lets 200,000 sleep at once, and wakes each", function()
    local total = checked and 20000 or 200000
    local woken = 0
    run(function()
      local early = 0
      local t0 = async.now()
      local last
      for i = 1, total do
        last = async.spawn(function()
          local s = i % 300 / 1000
          async.sleep(s)
          if async.now() - t0 < s - 1e-6 then early = early + 1 end
          woken = woken + 1
        end)
      end
      while woken < total do async.sleep(0.01) end
      last:await()
      assert.equal(0, early)
    end)
    assert.equal(total, woken)
  end)

  it("lets 100 tasks await one, and gives each its results or its error", function()
    run(function()
      for _, fails in ipairs { false, true } do
        local one = async.spawn(function()
          async.sleep(0.005)
          if fails then error({ "mine" }) end
          return 1, nil, 3
        end)
        local tasks = {}
        for i = 1, 100 do tasks[i] = async.spawn(function() return table.pack(pcall(one.await, one)) end) end
        local first
        for i = 1, 100 do
          local r = tasks[i]:await()
          if fails then
            assert.is_false(r[1])
            first = first or r[2]
            assert.equal(first, r[2])
          else
            assert.same({ n = 4, true, 1, nil, 3 }, r)
          end
        end
      end
    end)
  end)

  it("nests 180 awaits of tasks in tasks and 150 calls in timeouts", function()
    run(function()
      local function down(n)
        if n == 0 then
          async.sleep(0.001)
          return 0
        end
        return 1 + async.spawn(down, n - 1):await()
      end
      assert.equal(180, down(180))
      local function within(n)
        if n == 0 then
          async.sleep(0.001)
          return 0
        end
        return 1 + async.timeout(100, within, n - 1)
      end
      assert.equal(150, within(150))
    end)
  end)
end)

describe("fairness #nogc #noseeds", function()
  -- Lateness of a 10 ms ticker beside `busy`: the 99th percentile, in seconds of our own CPU
  -- time, for nobody here can help what other processes take.
  local function lateness(busy)
    return run(function()
      local others = busy()
      local late = {}
      for i = 1, 100 do
        local before = sys.cpu()
        async.sleep(0.01)
        late[i] = sys.cpu() - before - 0.01
      end
      for _, t in ipairs(others) do t:cancel() end
      for _, t in ipairs(others) do pcall(t.await, t) end
      table.sort(late)
      return late[99]
    end)
  end
  local margin = checked and 0.5 or 0.02

  it("of an always-ready task beside a ticker", function()
    local p99 = lateness(function()
      local function spin()
        while true do async.yield() end
      end
      return { async.spawn(spin), async.spawn(spin), async.spawn(spin) }
    end)
    assert.is_true(p99 < margin, ("the 99th percentile is %.1f ms"):format(p99 * 1000))
  end)

  it("of tasks that wake one another without end", function()
    local p99 = lateness(function()
      local function generations()
        while true do async.spawn(function() end):await() end
      end
      return { async.spawn(generations), async.spawn(generations) }
    end)
    assert.is_true(p99 < margin, ("the 99th percentile is %.1f ms"):format(p99 * 1000))
  end)

  it("of a socket that is never empty", function()
    local p99 = lateness(function()
      local a, b = support.pair()
      local chunk = ("x"):rep(65536)
      return {
        async.spawn(function()
          local _ <close> = a
          while a:write(chunk) do end
        end),
        async.spawn(function()
          local _ <close> = b
          while b:read(65536) do end
        end),
      }
    end)
    assert.is_true(p99 < margin, ("the 99th percentile is %.1f ms"):format(p99 * 1000))
  end)

  it("of a buffer that is never empty: one byte at a time lets the others run", function()
    run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      assert(a:write(("x"):rep(60000)))
      local got, turns = 0, 0
      local reader = async.spawn(function()
        while got < 60000 do got = got + #b:read(1) end
      end)
      while got < 60000 do
        if got > 0 then turns = turns + 1 end
        async.yield()
      end
      reader:await()
      assert.equal(60000, got)
      assert.is_true(turns > 60000 // 1000, tostring(turns))
    end)
  end)

  it("of an accept beside many that are ready", function()
    run(function()
      local listener <close> = assert(async.net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local spinning = true
      for _ = 1, 50 do
        async.spawn(function() while spinning do async.yield() end end)
      end
      local client <close> = assert(async.net.connect("127.0.0.1", port))
      local server <close> = assert(listener:accept())
      client:write("in\n")
      assert.equal("in", server:read())
      spinning = false
    end)
  end)
end)

describe("descriptors #process", function()
  it("10,000 connections at once echo, then close: descriptors and memory are back", function()
    local _, hard = sys.nofile()
    -- Both ends in one process when its limit allows, else fewer: the server and its clients
    -- are processes of their own.
    local total = checked and 1000 or math.min(10000, hard - 100)
    local server = ([[
      local total, ready = %d, %q
      sys.nofile(select(2, sys.nofile()))
      async.run(function() async.fs.stat("/") end)
      collectgarbage() collectgarbage()
      local fds = sys.fds()
      local rss
      local function round()
        async.run(function()
          local listener = assert(async.net.listen("127.0.0.1", 0, { backlog = 4096 }))
          local most, alive, served = 0, 0, 0
          local f = assert(io.open(ready .. ".new", "w"))
          f:write(select(2, listener:address()))
          f:close()
          os.rename(ready .. ".new", ready)
          for conn in listener:incoming() do
            alive = alive + 1
            most = math.max(most, alive)
            async.spawn(function()
              local conn <close> = conn
              assert(conn:write("accepted\n"))
              for line in conn:lines("L") do assert(conn:write(line)) end
              alive, served = alive - 1, served + 1
              if served == total then listener:close() end
            end)
          end
          while alive > 0 do async.sleep(0.01) end
          assert(most == total, "at once: " .. most)
          assert(served == total)
        end)
        collectgarbage() collectgarbage()
        assert(sys.fds() == fds, sys.fds() .. " descriptors, not " .. fds)
      end
      round()
      rss = sys.rss()
      round() -- what the first has left is all there ever is
      assert(sys.rss() - rss < 4 << 20, ("grew by %%d bytes"):format(sys.rss() - rss))
      print "ok"
    ]])
    local client = [[
      local total, ready = %d, %q
      sys.nofile(select(2, sys.nofile()))
      for round = 1, 2 do
        local f
        repeat f = io.open(ready) if not f then sys.block(0.01) end until f
        local port = f:read("n")
        f:close()
        os.remove(ready)
        async.run(function()
          local arrived, all, gate = 0, {}, false
          for i = 1, total do
            all[i] = async.spawn(function()
              local conn <close> = assert(async.net.connect("127.0.0.1", port))
              assert(conn:read("l") == "accepted")
              arrived = arrived + 1
              while not gate do async.sleep(0.02) end -- all are open by now
              for k = 1, 3 do
                local line = ("connection %%d line %%d\n"):format(i, k)
                assert(conn:write(line))
                assert(conn:read("L") == line)
              end
            end)
            if i %% 200 == 0 then while arrived < i do async.sleep(0.002) end end
          end
          while arrived < total do async.sleep(0.005) end
          gate = true
          for i = 1, total do all[i]:await() end
        end)
        collectgarbage()
      end
      print "ok"
    ]]
    local ready = os.tmpname()
    os.remove(ready)
    -- The client runs beside, in the background of a shell.
    local file, out = os.tmpname(), os.tmpname()
    do
      local f <close> = assert(io.open(file, "w"))
      f:write("local sys = package.loadlib('build/spec/sys.so', 'luaopen_sys')()\n",
        "local async = require 'lua_async'\n", client:format(total, ready))
    end
    os.execute(("timeout -k 5 300 lua5.4 %s >%s 2>&1 </dev/null &"):format(file, out))
    local ok, e = pcall(support.child_ok, server:format(total, ready))
    local text
    for _ = 1, 6000 do
      local f <close> = assert(io.open(out))
      text = f:read("a")
      if text ~= "" then break end
      sys.block(0.01)
    end
    for _, name in ipairs { file, out, ready } do os.remove(name) end
    assert(ok, tostring(e) .. "\nthe client: " .. text)
    assert.equal("ok\n", text)
  end)

  it("that run out at accept: it backs off without spinning, and recovers", function()
    support.child_ok([[
      async.run(function()
        local listener <close> = assert(async.net.listen("127.0.0.1", 0))
        local _, port = listener:address()
        local accepted = 0
        local server = async.spawn(function()
          for conn in listener:incoming() do
            accepted = accepted + 1
            async.spawn(function()
              local conn <close> = conn
              conn:write("served\n")
            end)
          end
        end)
        local clients = { sys.connect(port) }
        while accepted < 1 do async.sleep(0.001) end
        -- All but a few descriptors are taken, then clients take the rest.
        local held = {}
        while true do
          local fd = sys.dup()
          if not fd then break end
          held[#held + 1] = fd
        end
        for _ = 1, 3 do
          sys.close(table.remove(held))
          clients[#clients + 1] = sys.connect(port)
        end
        assert(not sys.dup(), "there is a descriptor left")
        local before, cpu = accepted, sys.cpu()
        async.sleep(1)
        cpu = sys.cpu() - cpu
        assert(accepted == before, "accepted without a descriptor")
        assert(server:status() == "waiting", "accept failed")
        assert(cpu < 0.3, ("spins: %.2f s of CPU in 1 s"):format(cpu))
        for _, fd in ipairs(held) do sys.close(fd) end
        while accepted < 4 do async.sleep(0.01) end
        for _, fd in ipairs(clients) do
          local s, err
          repeat
            async.sleep(0.001)
            s, err = sys.recv(fd, 100)
          until err ~= "EAGAIN"
          assert(s == "served\n", err)
          sys.close(fd)
        end
      end)
      print "ok"
    ]], { before = "ulimit -n 64;" })
  end)

  it("that run out before a run: it fails with EMFILE, and works when there are some", function()
    support.child_ok([[
      local held = {}
      while true do
        local fd = sys.dup()
        if not fd then break end
        held[#held + 1] = fd
      end
      local ok, e = pcall(async.run, function() end)
      assert(not ok and e.code == "EMFILE", tostring(e))
      assert(tostring(e):find "run: too many open files %(EMFILE%)", tostring(e))
      for n = 1, 12 do -- at each step of the way in
        sys.close(table.remove(held))
        local ok, e = pcall(async.run, function() async.sleep(0) return true end)
        assert(ok or e.code == "EMFILE", tostring(e))
        if n == 12 then assert(ok) end
      end
      print "ok"
    ]], { before = "ulimit -n 40;" })
  end)
end)
