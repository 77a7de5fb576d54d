-- Debug hooks: what runs in a task is seen by the hook of the main thread, as coverage tools and
-- debuggers set it.
local async = require "lua_async"
local support = require "spec.support"

local function child(program) return support.child_ok(program, { seconds = 60 }) end

-- Lines of `work` are marked where they are run.
local helpers = [[
  local seen = {}
  local function hook(_, line)
    local s = debug.getinfo(2, "S").source
    seen[s] = seen[s] or {}
    seen[s][line] = (seen[s][line] or 0) + 1
  end
  local work = load("local x = 0\nfor i = 1, 3 do\nx = x + i\nend\nreturn ...", "=work")
  local function count() local n = seen["=work"] and seen["=work"][3] or 0 seen = {} return n end
  local function own(f, ...) -- like luacov, which sets it once, in the main thread
    debug.sethook(hook, "l")
    async.run(f, ...)
    debug.sethook()
  end
]]

describe("a hook of the main thread #process", function()
  it("sees every line of tasks, Futures, coroutines, poll functions and callbacks", function()
    child(helpers .. [[
      own(function()
        work()
        assert(count() == 3)
        async.spawn(work):await()
        assert(count() == 3)
        async.join(work, work)
        assert(count() == 6)
        async.scope(function(s) s:spawn(work) end)
        assert(count() == 3)
        local f = async.future(work)
        async.await(async.poll_fn(function(cx) return f:poll(cx) end))
        assert(count() == 3)
        async.coroutine.wrap(work)()
        assert(count() == 3)
        async.coroutine.wrap(function() async.yield() work() async.coroutine.yield() end)()
        assert(count() == 3)
        async.poll_fn(function() return "ready", work() end):await()
        assert(count() == 3)
        async.timeout(1, work)
        assert(count() == 3)
      end)
      local co = async.coroutine.wrap(work)
      count() co()
      assert(count() == 0)
      debug.sethook(hook, "l")
      async.coroutine.wrap(work)()
      assert(count() == 3)
      print "ok"
    ]])
  end)

  it("is taken over when it changes, and when it goes", function()
    child(helpers .. [[
      local main = coroutine.running()
      async.run(function()
        local gate, go = async.channel(1)
        local t = async.spawn(function()
          for _ in go.recv, go do work() async.yield() end
        end)
        gate:send(1) for _ = 1, 5 do async.yield() end
        assert(count() == 0)
        debug.sethook(main, hook, "l")
        gate:send(1) for _ = 1, 5 do async.yield() end
        assert(count() == 3)
        local other = 0
        debug.sethook(main, function() other = other + 1 end, "l") -- the same C function
        gate:send(1) for _ = 1, 5 do async.yield() end
        assert(count() == 0 and other > 3)
        debug.sethook(main)
        async.yield()
        other = 0
        gate:send(1) for _ = 1, 5 do async.yield() end
        assert(other == 0)
        gate:close()
        t:await()
        local co = async.coroutine.wrap(function() while true do work() async.coroutine.yield() end end)
        co()
        debug.sethook(main, hook, "l")
        async.yield()
        count() co()
        assert(count() == 3)
      end)
      print "ok"
    ]])
  end)

  it("leaves a task its own hook, which no later task gets", function()
    child(helpers .. [[
      own(function()
        local mine = 0
        async.spawn(function()
          debug.sethook(function() mine = mine + 1 end, "l")
          async.yield()
          mine = 0
          work()
          assert(mine > 3 and count() == 0)
          debug.sethook(function() error "computes too long" end, "", 1000)
        end):await()
        for _ = 1, 3 do async.spawn(work):await() end
        assert(count() == 9)
        async.spawn(function() for i = 1, 10000 do end end):await()
      end)
      assert(debug.gethook() == nil)
      local kept = setmetatable({}, { __mode = "k" })
      async.run(function()
        async.spawn(function()
          local function f() end
          kept[f] = true
          debug.sethook(f, "", 1000000)
        end):await()
        async.spawn(function() assert(debug.gethook() == nil) end):await()
        collectgarbage() collectgarbage()
        assert(next(kept) == nil)
      end)
      print "ok"
    ]])
  end)

  it("does not hide where a task yields astray", function()
    child(helpers .. [[
      own(function()
        local ok, e = pcall(coroutine.yield)
        assert(not ok and e:find("^attempt to yield from outside a coroutine"))
        assert(debug.gethook() == hook)
        count() work()
        assert(count() == 3)
      end)
      print "ok"
    ]])
  end)

  it("is set in threads by thread.init, for each state once", function()
    child [[
      async.run(function()
        async.thread.init(function()
          _G.lines = 0
          debug.sethook(function() _G.lines = _G.lines + 1 end, "l")
        end)
        local work = load("local a = require 'lua_async'\nlocal n = _G.lines\n" ..
          "for i = 1, 10 do\nlocal x = i\nend\nreturn _G.lines - n", "=work")
        local in_task = load("local a = require 'lua_async'\nlocal n = _G.lines\n" ..
          "a.spawn(function()\nfor i = 1, 10 do\nlocal x = i\nend end):await()\nreturn _G.lines - n", "=task")
        for _ = 1, 3 do
          assert(async.thread.spawn_blocking(work):await() > 20)
          assert(async.thread.spawn(work):await() > 20)
          assert(async.thread.spawn(in_task):await() > 20)
        end
        -- It does not keep anybody from interrupting.
        for _, how in ipairs { "spawn", "spawn_blocking" } do
          local t = async.thread[how](load "while true do end")
          async.sleep(0.05)
          t:cancel()
          assert(not pcall(t.await, t) and t:status() == "cancelled")
          local u = async.thread[how](load [=[
            local a = require "lua_async"
            a.run(function() a.spawn(function() while true do end end):await() end)]=])
          if how == "spawn" then assert(not pcall(u.await, u)) end
          async.sleep(0.05)
          u:cancel()
          assert(not pcall(u.await, u))
        end
        assert(async.thread.spawn_blocking(work):await() > 20)
      end)
      print "ok"
    ]]
  end)
end)

describe("coroutine.yield in a task", function()
  it("raises where it stands, in Lua's own words and ours, again and again", function()
    support.run(function()
      for _ = 1, 3 do
        local ok, e = pcall(coroutine.yield, 1, 2)
        assert.is_false(ok)
        assert.equal("attempt to yield from outside a coroutine: a task is none; " ..
          "to give the others a turn call async.yield()", e)
      end
      local t = async.spawn(function() return (coroutine.yield()) end)
      assert.matches("^attempt to yield", select(2, pcall(t.await, t)))
      local f = async.future(function() return pcall(coroutine.yield) end)
      assert.is_false(f:await())
      local closed
      assert.is_false(pcall(function()
        local _ <close> = setmetatable({}, { __close = function() async.yield() closed = true end })
        coroutine.yield()
      end))
      assert.is_true(closed)
    end)
  end)
end)
