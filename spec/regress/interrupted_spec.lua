-- Ctrl-C: what async.run raises for it, and how a program ends by it as the shell expects.
local async = require "lua_async"
local support = require "spec.support"

-- A program that runs to its end: how that was, as process.output says.
local function program(text)
  local file = os.tmpname()
  local f <close> = assert(io.open(file, "w"))
  f:write("local async = require 'lua_async'\nlocal sys = package.loadlib('build/spec/sys.so', 'luaopen_sys')()\n",
    "local function int() assert(async.process.kill(sys.pid(), 'SIGINT')) end\n", text)
  f:close()
  local r
  support.run(function() r = assert(async.timeout(60, async.process.output, { "lua5.4", file })) end)
  os.remove(file)
  return r
end

local function died_of_sigint(r, stdout, stderr)
  assert.equal(stderr or "", r.stderr)
  assert.equal(stdout or "", r.stdout)
  assert.equal("SIGINT", r.signal)
end

describe("a run that SIGINT interrupts #process", function()
  it("raises an error that lua5.4 tells as it tells its own", function()
    local r = program [[
      async.run(function() async.spawn(int) async.sleep(100) end)
    ]]
    assert.equal("lua5.4: interrupted!\n", r.stderr)
    assert.equal(1, r.code)
  end)

  it("raises an error of its own, which is no other cancellation", function()
    local r = program [[
      local ok, e = pcall(async.run, function()
        local ok, own = pcall(function() async.spawn(int) async.sleep(100) end)
        assert(not ok and async.is_cancelled(own))
        error(own)
      end)
      assert(not ok and not async.is_cancelled(e) and e.code == "EINTR" and e.errno == 4)
      assert(tostring(e) == "interrupted!")
      local ok, e = pcall(async.run, function() async.current():cancel() async.yield() end)
      assert(not ok and e.code == "ECANCELED")
      assert(tostring(e) == "await: task 1 was cancelled (ECANCELED)")
      print "ok"
    ]]
    assert.equal("ok\n", r.stdout .. r.stderr)
  end)

  it("returns, or fails with, what the root task makes of it", function()
    local r = program [[
      local function wait() async.spawn(int) async.sleep(100) end
      assert(async.run(function() pcall(wait) return "result" end) == "result")
      local ok, e = pcall(async.run, function() pcall(wait) error("mine", 0) end)
      assert(not ok and e:match("^mine\n"))
      print "ok"
    ]]
    assert.equal("ok\n", r.stdout .. r.stderr)
  end)
end)

describe("async.run{ sigint = \"exit\" } #process", function()
  it("ends the process by SIGINT once all has unwound, with all output flushed", function()
    died_of_sigint(program [[
      local function guard(name) return setmetatable({}, { __close = function() print(name) end }) end
      local main <close> = guard "main"
      io.write("io ")
      async.run({ sigint = "exit" }, function()
        local root <close> = guard "root"
        async.spawn(function()
          local other <close> = setmetatable({}, { __close = function()
            async.shield(function() async.sleep(0.01) async.stdout:write("other\n") end)
          end })
          async.sleep(100)
        end)
        async.spawn(int)
        async.sleep(100)
      end)
      print "never"
    ]], "io root\nother\nmain\n")
  end)

  it("is what a shell sees as 130", function()
    local file = os.tmpname()
    local f <close> = assert(io.open(file, "w"))
    f:write [[
      local async = require "lua_async"
      local sys = package.loadlib("build/spec/sys.so", "luaopen_sys")()
      async.run({ sigint = "exit" }, function() print(sys.pid()) io.stdout:flush() async.sleep(100) end)
    ]]
    f:close()
    support.run(function()
      local child = assert(async.process.spawn { "sh", "-c", "lua5.4 '" .. file .. "'; echo $?", stdout = "pipe" })
      assert(async.process.kill(tonumber(child.stdout:read("l")), "SIGINT"))
      assert.equal("130\n", child.stdout:read("a"))
      child:wait()
    end)
    os.remove(file)
  end)

  it("tells what failed meanwhile", function()
    local r = program [[
      async.run({ sigint = "exit" }, function()
        pcall(function() async.spawn(int) async.sleep(100) end)
        error "as it cleaned up"
      end)
    ]]
    assert.equal("SIGINT", r.signal)
    assert.matches("^lua_async: task 1 failed: [^\n]*: as it cleaned up\nstack traceback", r.stderr)
    r = program [[
      async.on_error(function(e) print(e) end)
      async.run({ sigint = "exit" }, function()
        async.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() error("in a task", 0) end })
          async.sleep(100)
        end)
        async.spawn(int)
        async.sleep(100)
      end)
    ]]
    died_of_sigint(r, "in a task\n")
  end)

  it("also when the root task returns, or SIGINT comes as the others unwind", function()
    died_of_sigint(program [[
      async.run({ sigint = "exit" }, function()
        pcall(function() async.spawn(int) async.sleep(100) end)
        return 1
      end)
    ]])
    died_of_sigint(program [[
      async.run({ sigint = "exit" }, function()
        async.spawn(function() async.shield(function() async.yield() async.yield() int() async.sleep(0.01) end) end)
        async.yield()
      end)
    ]])
  end)

  it("is a plain run without SIGINT, and one more ends the process at once", function()
    local r = program "print(async.run({ sigint = 'exit' }, function() async.yield() return 'fine' end))"
    assert.equal("fine\n", r.stdout)
    assert.equal(0, r.code)
    died_of_sigint(program [[
      async.run({ sigint = "exit" }, function()
        int()
        int()
        while true do end
      end)
    ]])
  end)

  it("ends threads, and workers", function()
    died_of_sigint(program [[
      async.run({ sigint = "exit" }, function()
        async.thread.spawn(async.sleep, 100)
        async.thread.spawn_blocking(function() while true do end end)
        async.sleep(0.05)
        int()
        async.sleep(100)
      end)
    ]])
    died_of_sigint(program [[
      package.path = "src/lua/?.lua;" .. package.path
      async.run({ sigint = "exit" }, function()
        async.spawn(function() async.sleep(0.1) int() end)
        async.thread.workers(2, async.sleep, 100)
      end)
    ]])
  end)

  it("takes nothing else for the option", function()
    assert.error_matches(function() async.run({ sigint = "quit" }, print) end,
      "option 'sigint' must be a boolean or \"exit\"")
  end)
end)
