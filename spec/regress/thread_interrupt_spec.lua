-- Work on other threads that is interrupted, catches that, and goes on.
local async = require "lua_async"
local support = require "spec.support"
local body = require("spec.support.threads").body
local run, thread = support.run, async.thread

-- Cancels work once it has set the Shared that it gets. Returns what on_error was told: nothing, when it has ended.
local function cancelled(spawn, text)
  local told = {}
  local old = async.on_error(function(e) told[#told + 1] = tostring(e) end)
  run(function()
    local begun = thread.shared(false)
    local t = spawn(body("local begun = ... " .. text), begun)
    while not begun:get() do async.sleep(0.001) end
    t:cancel()
    assert.is_true(support.was_cancelled(select(2, pcall(t.await, t))))
  end)
  async.on_error(old)
  return told
end

describe("interrupted work that catches it is interrupted again #interrupt #seldom", function()
  local works = {
    ["in a coroutine made before"] = [[
      local co = coroutine.create(function() while true do end end)
      begun:set(true)
      pcall(function() while true do end end)
      coroutine.resume(co)]],
    ["in a coroutine of async.coroutine made before"] = [[
      local co = async.coroutine.create(function() while true do end end)
      begun:set(true)
      pcall(function() while true do end end)
      async.coroutine.resume(co)]],
    ["where it has resumed what was interrupted"] = [[
      local co = async.coroutine.create(function() begun:set(true) while true do end end)
      async.coroutine.resume(co)
      while true do end]],
    ["in a run, as its awaits fail at once"] = [[
      async.run(function() begun:set(true) while true do pcall(async.sleep, 0.001) end end)]],
    ["in a run, as it computes after the cancellation"] = [[
      async.run(function() begun:set(true) pcall(async.sleep, 1000) while true do end end)]],
    ["in a run, in a coroutine of async.coroutine"] = [[
      async.run(function()
        local co = async.coroutine.create(function() while true do end end)
        begun:set(true)
        pcall(function() while true do end end)
        async.coroutine.resume(co)
      end)]],
    ["in a poll function"] = [[
      async.run(function()
        async.await(async.poll_fn(function() begun:set(true) while true do end end))
      end)]],
    ["in a poll function that catches it"] = [[
      async.run(function()
        async.await(async.poll_fn(function()
          begun:set(true)
          while true do pcall(function() while true do end end) end
        end))
      end)]],
    ["in a drop function"] = [[
      async.run(function()
        local function drop() begun:set(true) while true do end end
        async.select { async.poll_fn(function() return "pending" end, drop), async.future(async.yield) }
      end)]],
    ["in a handler of async.on_error"] = [[
      async.on_error(function() begun:set(true) while true do end end)
      async.run(function() async.spawn(error, "x") async.sleep(1000) end)]],
    ["in a handler of async.on_error, in a plain coroutine"] = [[
      local function f() begun:set(true) while true do end end
      async.on_error(function() coroutine.wrap(f)() end)
      async.run(function() async.spawn(error, "x") async.sleep(1000) end)]],
    ["in functions of C that return"] = [[
      begun:set(true)
      while true do pcall(string.rep, "x", 1 << 20) end]],
  }
  for name, text in pairs(works) do
    it(name, function() assert.same({}, cancelled(thread.spawn_blocking, text)) end)
  end

  it("in a thread of its own", function()
    assert.same({}, cancelled(thread.spawn, [[
      local co = async.coroutine.create(function() while true do end end)
      begun:set(true)
      pcall(function() while true do end end)
      async.coroutine.resume(co)]]))
  end)
end)

describe("threads of a Loop that is collected #interrupt #seldom", function()
  for _, how in ipairs { "spawn_blocking", "spawn" } do
    it("end, though they compute: " .. how, function()
      local begun, ended = thread.shared(false), thread.shared(false)
      do
        local loop = async.loop()
        loop:spawn(function()
          thread[how](body [[
            local begun, ended = ...
            local _ <close> = setmetatable({}, { __close = function() ended:set(true) end })
            begun:set(true)
            while true do end]], begun, ended)
          async.sleep(1000)
        end)
        while not begun:get() do loop:turn() end
      end
      collectgarbage()
      collectgarbage()
      run(function()
        while not ended:get() do async.sleep(0.001) end
      end)
    end)
  end
end)

describe("what fails in a run on the pool with nobody awaiting it #seldom", function()
  it("is told to on_error here, as it happens", function()
    run(function()
      local told = {}
      local old = async.on_error(function(e, trace, task) told[#told + 1] = { e, trace, task } end)
      local go = thread.shared(false)
      local t = thread.spawn_blocking(body [[
        local go = ...
        async.run(function()
          async.spawn(error, "a failure there", 0)
          while not go:get() do async.sleep(0.001) end
        end)]], go)
      while #told == 0 do async.sleep(0.001) end
      assert.equal("waiting", t:status())
      go:set(true)
      t:await()
      async.on_error(old)
      assert.equal(1, #told)
      assert.same({ "a failure there", t }, { told[1][1], told[1][3] })
      assert.matches("in another thread", told[1][2])
    end)
  end)

  it("is not told when it is the interruption #interrupt", function()
    local text = support.child_ok [[
      async.on_error(function(e) print("told", e) end)
      async.run(function()
        local begun = async.thread.shared(0)
        local t = async.thread.spawn_blocking(function()
          local async = require "lua_async"
          async.run(function()
            for _ = 1, 3 do async.spawn(function() begun:add() while true do async.yield() end end) end
            async.sleep(1000)
          end)
        end)
        while begun:get() < 3 do async.sleep(0.001) end
        t:cancel()
        assert(not pcall(t.await, t) and t:status() == "cancelled")
      end)
      print "ok"
    ]]
    assert.equal("ok\n", text)
  end)
end)
