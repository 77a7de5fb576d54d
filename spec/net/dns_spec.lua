-- Names: the system's answers, name servers that are slow, lie or say nothing, lookups side by side.
-- Where the system allows it, with a name server of our own in a private network.
local async = require "lua_async"
local support = require "spec.support"
local net = async.net

local function run(f)
  return function() support.run(f) end
end

describe("net.resolve and net.reverse", function()
  it("know what the system knows", run(function()
    local list = assert(net.resolve("localhost"))
    local seen = {}
    for _, a in ipairs(list) do
      assert.is_true(a == "127.0.0.1" or a == "::1")
      assert.is_nil(seen[a])
      seen[a] = true
    end
    assert.same({ "127.0.0.1" }, net.resolve("localhost", { family = "ipv4" }))
    assert.matches("^%a", assert(net.reverse("127.0.0.1")))
  end))

  it("take numeric addresses for what they are", run(function()
    assert.same({ "192.0.2.1" }, net.resolve("192.0.2.1"))
    assert.same({ "2001:db8::1" }, net.resolve("2001:0DB8:0::1"))
    local none, err = net.resolve("::1", { family = "ipv4" })
    assert.is_nil(none)
    assert.equal("EAI_ADDRFAMILY", err.code)
  end))

  it("fail with the name", run(function()
    local none, err = net.resolve("no.such.name.invalid")
    assert.is_nil(none)
    assert.matches("^EAI_", err.code)
    assert.equal("no.such.name.invalid", err.address)
    assert.equal("resolve", err.op)
  end))

  it("refuse what is none", run(function()
    local function raises(message, ...)
      local ok, e = pcall(...)
      assert.is_false(ok)
      assert.matches(message, e, 1, true)
    end
    raises("the host is empty", net.resolve, "")
    raises("zero byte", net.resolve, "a\0b")
    raises("must be \"ipv4\" or \"ipv6\"", net.resolve, "x", { family = 4 })
    raises("unknown option", net.resolve, "x", { famly = "ipv4" })
    raises("numeric address expected", net.reverse, "localhost")
  end))

  it("leave no thread behind #process", function()
    support.child_ok [[
      for _ = 1, 20 do
        async.run(function()
          async.map({ "localhost", "localhost", "localhost" }, async.net.resolve)
        end)
        assert(sys.threads() == 1, sys.threads())
      end
      print "ok"
    ]]
  end)
end)

describe("a lookup that is never answered #process", function()
  it("holds up neither files nor names nor the end of the run", function()
    support.child_ok([[
      local waiting = package.loadlib("./build/spec/slow.so", "luaopen_slow")()
      async.run(function()
        for i = 1, 63 do async.spawn(async.net.resolve, i .. ".silent") end
        while waiting() < 63 do async.sleep(0.001) end
        assert(async.net.resolve("localhost"))
        for i = 64, 100 do async.spawn(async.net.resolve, i .. ".silent") end
        while waiting() < 64 do async.sleep(0.001) end
        for _ = 1, 50 do assert(#async.fs.read_file("spec/net/dns_spec.lua") > 1000) end
        assert(waiting() == 64)
      end)
      assert(sys.threads() > 64)
      async.run(async.sleep, 0)
      io.stdout:write("ok\n")
      os.exit(0, true)
    ]], { under = 'env LD_PRELOAD="$LD_PRELOAD ./build/spec/slow.so"' })
  end)
end)

describe("a lookup that outlives the Lua state #process", function()
  it("returns into a module that is still there", function()
    local text, code = support.child([[
      local waiting = package.loadlib("./build/spec/slow.so", "luaopen_slow")()
      async.run(function()
        for i = 1, 3 do async.spawn(async.net.resolve, i .. ".late") end
        while waiting() < 3 do async.sleep(0.001) end
      end)
      assert(sys.threads() == 4)
      print "ended"
      os.exit(0, true) -- closes the state, and what it had loaded
    ]], { under = 'env LD_PRELOAD="$LD_PRELOAD ./build/spec/slow.so"', seconds = 60 })
    assert.equal("ended\n", text)
    assert.equal(0, code)
  end)
end)

-- Where a process may not have a network of its own, the cases above are all.
local private = os.getenv("LUA_ASYNC_FLAVOUR") ~= "tsan"
  and os.execute("env -u LD_PRELOAD sh spec/support/private '' 2>/dev/null") == true
local there = private and describe or pending

-- The program has `names` and `fs`, and a name server that answers by `answer`.
local function child(conf, program, opts)
  opts = opts or {}
  opts.under = "sh spec/support/private '" .. conf .. "'"
  return support.child_ok([[
    package.path = "./?.lua;" .. package.path
    local names, net, fs = require "spec.support.nameserver", async.net, async.fs
    local support = require "spec.support"
  ]] .. program, opts)
end

local SILENT = "nameserver 127.0.0.1\\noptions timeout:20 attempts:5\\n"
local QUICK = "nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n"

there("a name server #process", function()
  it("is asked, in both families, and backwards", function()
    child(QUICK, [[
      async.run(function()
        local server <close> = names.serve(function(name, kind, reply)
          if name == "two.test" and kind == "A" then return reply { "192.0.2.1", "192.0.2.2", "192.0.2.1" } end
          if name == "two.test" and kind == "AAAA" then return reply { "2001:db8::7" } end
          if name == "7.2.0.192.in-addr.arpa" then return reply { "seven.test" } end
          if name == "xn--bcher-kva.test" and kind == "A" then return reply { "192.0.2.9" } end
          reply "NXDOMAIN"
        end)
        local four = net.resolve("two.test", { family = "ipv4" })
        table.sort(four)
        assert(table.concat(four, " ") == "192.0.2.1 192.0.2.2")
        assert(table.concat(net.resolve("two.test", { family = "ipv6" }), " ") == "2001:db8::7")
        assert(#net.resolve("two.test") == 3)
        assert(net.resolve("b\u{fc}cher.test", { family = "ipv4" })[1] == "192.0.2.9")
        assert(net.reverse("192.0.2.7") == "seven.test")
        local none, err = net.reverse("192.0.2.8")
        assert(none == nil and err.code == "EAI_NONAME" and err.address == "192.0.2.8")
        none, err = net.resolve("nobody.test")
        assert(none == nil and err.code == "EAI_NONAME")
      end)
      print "ok"
    ]])
  end)

  it("that lies or drops does not get through", function()
    child(QUICK, [[
      async.run(function()
        local server <close> = names.serve(function(name, kind, reply)
          if name == "garbage.test" then reply.raw(("\xff"):rep(100)) end
          if name == "other.test" then reply.raw("\0\0" .. ("x"):rep(30)) end -- another question's number
          if name == "empty.test" then reply.raw("") end
          if name == "late.test" and kind == "A" then reply { "192.0.2.1" } reply { "192.0.2.66" } end
        end)
        local tasks = {}
        for i, name in ipairs { "garbage.test", "other.test", "empty.test", "dropped.test" } do
          tasks[i] = async.spawn(net.resolve, name, { family = "ipv4" })
        end
        assert(net.resolve("late.test", { family = "ipv4" })[1] == "192.0.2.1")
        for _, t in ipairs(tasks) do
          local none, err = t:await()
          assert(none == nil and err.code == "EAI_AGAIN", tostring(err))
        end
      end)
      print "ok"
    ]])
  end)

  it("that drops the question for IPv6 keeps no connection waiting", function()
    child(SILENT, [[
      async.run(function()
        local listener <close> = assert(net.listen("127.0.0.1", 0))
        local _, port = listener:address()
        local server <close> = names.serve(function(name, kind, reply)
          if kind == "A" and name == "here.test" then reply { "127.0.0.1" } end
          if kind == "A" and name == "wrong.test" then reply { "127.0.0.9" } end
          if kind == "A" and name == "none.test" then reply "NXDOMAIN" end
          if kind == "AAAA" and name == "wrong.test" then async.spawn(function()
            async.sleep(0.6) -- longer than the hesitation
            reply { "::1" }
          end) end
        end)
        local both = async.spawn(net.resolve, "here.test")
        local conn <close> = assert(async.timeout(15, net.connect, "here.test", port))
        assert(conn:peer() == "127.0.0.1" and both:status() == "waiting")
        both:cancel()
        do -- what answers too late is there for those whose addresses do not answer
          local six <close> = assert(net.listen("::1", 0))
          local conn <close> = assert(async.timeout(15, net.connect, "wrong.test", select(2, six:address())))
          assert(conn:peer() == "::1")
        end
        local none = async.spawn(net.connect, "none.test", port)
        assert(not async.timeout(1, none)) -- there may be others
        assert(none:cancel() and not pcall(none.await, none))
      end)
      print "ok"
    ]], { seconds = 60 })
  end)

  it("that says nothing holds up neither files nor tasks, nor the end of the run", function()
    child(SILENT, [[
      local asked, count = {}, 0
      local enough = support.gate()
      async.run(function()
        names.serve(function(name)
          if not asked[name] then asked[name], count = true, count + 1 end
          if count == 64 then enough.open() end
        end)
        for i = 1, 100 do async.spawn(net.resolve, "n" .. i .. ".test", { family = "ipv4" }) end
        enough.wait() -- so many are under way at once
        for _ = 1, 50 do assert(#fs.read_file("spec/net/dns_spec.lua") > 1000) end
        assert(count == 64)
      end)
      assert(sys.threads() > 64) -- they still wait, and nobody for them
      -- A new run has room: the old lookups keep their threads, not its own.
      local ok = async.run(function() return #fs.read_file("spec/net/dns_spec.lua") > 1000 end)
      assert(ok)
      print "ok"
    ]])
  end)

  it("that is slow answers many side by side, each in the end", function()
    child(SILENT, [[
      async.run(function()
        local held, most = {}, 0
        names.serve(function(name, _, reply)
          held[#held + 1] = function() reply { "192.0.2." .. name:match("%d+") } end
          most = math.max(most, #held)
          local left = name == "n200.test"
          if #held < 64 and not left then return end
          for _, send in ipairs(held) do send() end
          held = {}
        end)
        local tasks = {}
        for i = 1, 128 do tasks[i] = async.spawn(net.resolve, "n" .. i .. ".test", { family = "ipv4" }) end
        for i, t in ipairs(tasks) do assert(t:await()[1] == "192.0.2." .. i) end
        assert(most == 64)
      end)
      print "ok"
    ]])
  end)

  it("is asked no more for lookups that were given up in the queue", function()
    child(SILENT, [[
      async.run(function()
        local asked, count = {}, 0
        local full = support.gate()
        names.serve(function(name, _, reply)
          if not asked[name] then asked[name], count = true, count + 1 end
          if count == 64 then full.open() end
          if name == "last.test" then reply { "192.0.2.1" } end
        end)
        local running, queued = {}, {}
        for i = 1, 64 do running[i] = async.spawn(net.resolve, "n" .. i .. ".test", { family = "ipv4" }) end
        full.wait()
        for i = 1, 20 do queued[i] = async.spawn(net.resolve, "q" .. i .. ".test", { family = "ipv4" }) end
        async.yield()
        local wanted = async.spawn(net.resolve, "last.test", { family = "ipv4" })
        async.yield()
        for _, t in ipairs(queued) do t:cancel() end
        for _, t in ipairs(queued) do assert(not pcall(t.await, t)) end
        for _, t in ipairs(running) do t:cancel() end -- at once, though their threads wait on
        for _, t in ipairs(running) do assert(not pcall(t.await, t)) end
        assert(wanted:await()[1] == "192.0.2.1") -- which has the place of one of those
        for name in pairs(asked) do assert(not name:find("^q"), name) end
      end)
      print "ok"
    ]])
  end)

  it("is waited for by a paused clock, unless nobody wants its answer", function()
    child(SILENT, [[
      async.run(function()
        names.serve(function(name, _, reply)
          if name == "slow.test" then
            fs.stat("/") -- some real time
            reply { "192.0.2.1" }
          end
        end)
        async.time.pause()
        local list = async.timeout(5, net.resolve, "slow.test", { family = "ipv4" })
        assert(list and list[1] == "192.0.2.1")
        local t = async.spawn(net.resolve, "silent.test", { family = "ipv4" })
        async.yield()
        t:cancel()
        local before = async.now()
        async.sleep(1000)
        assert(async.now() - before > 999) -- but for the rounding of large numbers
      end)
      print "ok"
    ]], { seconds = 60 })
  end)

  it("that is silent does not hold up net.connect that is given up, nor the end of the state", function()
    child(SILENT, [[
      async.run(function()
        local asked = support.gate()
        names.serve(function() asked.open() end)
        local t = async.spawn(net.connect, "silent.test", 80)
        asked.wait()
        t:cancel()
        assert(not pcall(t.await, t))
        async.spawn(net.connect, "silent.test", 80)
        async.yield()
      end)
      assert(sys.threads() > 1)
      io.stdout:write("ok\n")
      os.exit(0, true)
    ]])
  end)
end)

local dnsmasq = private and os.execute("command -v dnsmasq >/dev/null || test -x /usr/sbin/dnsmasq") == true
;(dnsmasq and describe or pending)("dnsmasq #process", function()
  it("answers, refuses and forwards to nobody", function()
    child(QUICK, [[
      local pid = os.tmpname()
      local _ <close> = setmetatable({}, { __close = function()
        os.execute("kill $(cat " .. pid .. "); rm -f " .. pid)
      end })
      assert(os.execute("env -u LD_PRELOAD PATH=$PATH:/usr/sbin dnsmasq --conf-file=/dev/null --no-hosts --no-resolv "
        .. "--user=root --interface=lo --bind-interfaces --pid-file=" .. pid
        .. " --host-record=one.test,192.0.2.1,2001:db8::1 --address=/wild.test/192.0.2.5 --server=/far.test/127.0.0.9"))
      async.run(function()
        assert(table.concat(net.resolve("one.test", { family = "ipv4" })) == "192.0.2.1")
        assert(table.concat(net.resolve("one.test", { family = "ipv6" })) == "2001:db8::1")
        assert(#net.resolve("one.test") == 2)
        assert(net.reverse("192.0.2.1") == "one.test" and net.reverse("2001:db8::1") == "one.test")
        local names = {}
        for i = 1, 300 do names[i] = ("n%d.wild.test"):format(i) end
        for _, list in ipairs(async.map(names, net.resolve, { limit = 100 })) do assert(list[1] == "192.0.2.5") end
        local none, err = net.resolve("x.far.test") -- to a server that is not there
        assert(none == nil and err.code:find("^EAI_"), tostring(err))
        none, err = net.reverse("192.0.2.77")
        assert(none == nil and err.code:find("^EAI_"), tostring(err))
      end)
      print "ok"
    ]])
  end)
end)
