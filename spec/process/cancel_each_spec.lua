-- Cancelled at every await of every operation on processes and signals, as spec/cancel_each_spec.lua does.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local sys, process, signal = support.sys, async.process, async.signal

local big = ("0123456789abcdef"):rep(1 << 14) -- 256 KiB

local function no_child() assert.is_false(sys.children()) end

local function own_child(w, t)
  w.child = w.own(assert(process.spawn(t)))
  for _, name in ipairs { "stdin", "stdout" } do
    if w.child[name] then w.own(w.child[name]) end
  end
end

-- (A paused clock does not wait for other processes.)
local real = { "cancel", "timeout(0)" }

local cases = {
  { "child:wait", want = { true }, ways = real,
    world = function(w) own_child(w, { "cat", stdin = "pipe" }) end,
    turn = function(w, i) if i == 3 then w.child.stdin:close() end end,
    op = function(w) return w.child:wait().ok end,
    after = function(w) -- it is there for the next
      w.child.stdin:close()
      assert.is_true(w.child:wait().ok)
    end, final = no_child },
  { "child:wait of one that is killed", want = { "SIGKILL" }, ways = real,
    world = function(w) own_child(w, { "sleep", "1000" }) end,
    turn = function(w, i) if i == 2 then w.child:kill("SIGKILL") end end,
    op = function(w) return w.child:wait().signal end,
    after = function(w)
      w.child:kill("SIGKILL")
      assert.equal("SIGKILL", w.child:wait().signal)
    end, final = no_child },
  { "process.output, with much to go in and out", want = { true }, ways = real,
    op = function() return assert(process.output { "cat", input = big }).stdout == big end, final = no_child },
  { "process.output of one that never ends", timed = true,
    op = function() return process.output { "sleep", "1000" } end, ways = { "timeout", "timeout(0)" },
    final = no_child },
  { "reading from a child", want = { true }, ways = real,
    world = function(w) own_child(w, { "cat", stdin = "pipe", stdout = "pipe" }) w.got = {} end,
    op = function(w)
      local writer = async.spawn(function()
        w.child.stdin:write(("line\n"):rep(1000))
        w.child.stdin:close()
      end)
      local _ <close> = each.guard(function() w.writer = writer end)
      for line in w.child.stdout:lines("L") do w.got[#w.got + 1] = line end
      return true
    end,
    after = function(w)
      if w.writer then pcall(w.writer.await, w.writer) end
      if not w.writer then w.child.stdin:close() end
      local rest = w.child.stdout:read("a") or ""
      if w.writer then assert.equal(("line\n"):rep(1000), table.concat(w.got) .. rest) end
    end, final = no_child },
  { "pipeline:wait", want = { true }, ways = real,
    world = function(w)
      w.line = w.own(assert(process.pipeline({ "cat", stdin = "pipe" }, { "cat" }, { "cat", stdout = "null" })))
    end,
    turn = function(w, i) if i == 3 then w.line.stdin:close() end end,
    op = function(w) return w.line:wait().ok end,
    after = function(w)
      w.line.stdin:close()
      assert.is_true(w.line:wait().ok)
    end, final = no_child },
  { "stream:recv", want = { "SIGUSR1" },
    world = function(w) w.stream = w.own(signal.stream("SIGUSR1")) end,
    turn = function(w, i)
      if i == 3 then
        process.kill(sys.pid(), "SIGUSR1")
        w.sent = true
      end
    end,
    op = function(w) return w.stream:recv() end,
    after = function(w, done) -- none is lost, and none comes twice
      if done then process.kill(sys.pid(), "SIGUSR1") end
      if not w.sent then process.kill(sys.pid(), "SIGUSR1") end
      assert.equal("SIGUSR1", w.stream:recv())
    end },
  { "signal.wait", want = { "SIGUSR1" },
    world = function(w) w.own(signal.stream("SIGUSR1")) end, -- else one that comes late ends us
    turn = function(_, i) if i == 3 then process.kill(sys.pid(), "SIGUSR1") end end,
    op = function() return signal.wait("SIGUSR1") end,
    final = function() assert.equal("default", sys.handler(10)) end },
}

describe("cancelled at every await, #process", function()
  for _, case in ipairs(cases) do
    it(case[1], function()
      for _, how in ipairs(case.ways or each.ways) do each.every(case, how) end
    end)
  end
end)
