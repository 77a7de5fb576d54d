-- Coroutines that are dropped in the middle: what their <close> raises is told to on_error,
-- wherever they are dropped; os.exit with a close of the state from anywhere; finalisers.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"

local helpers = [[
  local function guard(f) return setmetatable({}, { __close = f }) end
  local function begun(f) -- a Future of f that waits in it
    local fut = async.future(f)
    async.poll_fn(function(cx) assert(fut:poll(cx) == "pending") return "ready" end):await()
    return fut
  end
  local function never() return "pending" end
  local function wait() return async.await(async.poll_fn(never)) end
  local function fails(message) -- what is collected as soon as nobody holds it
    return begun(function()
      local _ <close> = guard(function() error(message, 0) end)
      wait()
    end)
  end
  local function collect() collectgarbage() collectgarbage() end
  local told = {}
  local function tell(e, traceback, task)
    assert(traceback == "(no traceback)" and task == nil) -- it is nobody's
    told[#told + 1] = tostring(e)
  end
]]

local function child(program) return support.child_ok(helpers .. program, { seconds = 60 }) end

describe("a <close> that raises as its coroutine is dropped #process", function()
  it("by a collection in a task, is told to on_error and disturbs nobody", function()
    child [[
      local ok, e = pcall(async.run, function()
        async.on_error(tell)
        do local f <const> = fails("boom") end
        collect()
        assert(#told == 1 and told[1] == "boom", told[1])
        error({ own = true })
      end)
      assert(not ok and e.own, e)
      assert(#told == 1)
      print "ok"
    ]]
  end)

  it("by a collection in a poll function", function()
    child [[
      assert(async.run(function()
        async.on_error(tell)
        do local f <const> = fails("boom") end
        async.poll_fn(function() collect() return "ready" end):await()
        assert(#told == 1 and told[1] == "boom", told[1])
        return "end"
      end) == "end")
      print "ok"
    ]]
  end)

  it("by a collection in a drop function", function()
    child [[
      assert(async.run(function()
        async.on_error(tell)
        do local f <const> = fails("boom") end
        local t = async.spawn(function() async.poll_fn(never, collect):await() end)
        async.yield()
        t:cancel()
        pcall(t.await, t)
        assert(#told == 1 and told[1] == "boom", told[1])
        return "end"
      end) == "end")
      print "ok"
    ]]
  end)

  it("by a collection in an on_error handler", function()
    child [[
      assert(async.run(function()
        local inside
        async.on_error(function(e, ...)
          if e == "x" then collect() inside = true else tell(e, ...) end
        end)
        do local f <const> = fails("boom") end
        async.spawn(error, "x")
        while not inside do async.yield() end
        assert(#told <= 1 and (told[1] or "boom") == "boom", told[1])
        return "end"
      end) == "end")
      print "ok"
    ]]
  end)

  it("with the run, since it waits where nobody can", function()
    local text = child [[
      assert(async.run(function()
        keep = begun(function()
          local _ <close> = guard(function() async.yield() end)
          wait()
        end)
        return "end of main"
      end) == "end of main")
      io.stderr:flush()
      print "ok"
    ]]
    assert.matches("while closing an abandoned coroutine: [^\n]*cannot wait here", text)
  end)

  it("all of several, each with its own error", function()
    child [[
      async.run(function()
        async.on_error(tell)
        do local all <const> = { fails("a"), fails("b"), fails("c") } end
        async.poll_fn(function() collect() return "ready" end):await()
        table.sort(told)
        assert(table.concat(told, " ") == "a b c", table.concat(told, " "))
      end)
      print "ok"
    ]]
  end)
end)

describe("os.exit that closes the state #process", function()
  -- It has printed "ok" before; what failed as it was given up may be told after that.
  local function ended(program)
    local text, code = support.child(program, { seconds = 60 })
    if code ~= 0 or not text:find("ok\n", 1, true) then
      error(("the child ended with %s:\n%s"):format(code, text), 2)
    end
  end

  -- Where it is called; what was open is closed, what waited is unwound, and waits in vain.
  local function exit(where)
    ended(helpers .. [[
      local function bye() print "ok" os.exit(0, true) end
      async.run(function()
        local l = assert(async.net.listen("127.0.0.1", 0))
        async.spawn(function() l:accept() end)
        local _ <close> = guard(function() pcall(wait) end)
        local f = begun(function()
          local _ <close> = guard(function() wait() end)
          wait()
        end)
        async.spawn(function()
          local file <close> = assert(async.fs.open("/dev/null", "w"))
          file:write("hello")
          wait()
        end)
        async.yield()
        ]] .. where .. [[
      end)
    ]])
  end

  it("in a poll function", function() exit "async.poll_fn(bye):await()" end)
  it("in a drop function", function()
    exit [[
      local t = async.spawn(function() async.poll_fn(never, bye):await() end)
      async.yield()
      t:cancel()
      t:await()
    ]]
  end)
  it("in an on_error handler", function() exit [[ async.on_error(bye) async.spawn(error, "x") wait() ]] end)

  it("in a poll function, with a file that was written to", function()
    local folder = support.folder()
    ended(([[
      async.run(function()
        local f <close> = assert(async.fs.open("%s/f", "w"))
        f:write("hello")
        print "ok"
        async.poll_fn(function() os.exit(0, true) end):await()
      end)
    ]]):format(folder))
    local f <close> = assert(io.open(folder .. "/f"))
    assert.equal("hello", f:read("a"))
    support.clean()
  end)
end)

describe("a finaliser #process", function()
  it("cannot be called by hand, of no object", function()
    child [[
      async.run(function()
        local l <close> = assert(async.net.listen("127.0.0.1", 0))
        local conn <close> = assert(async.net.connect(l:address()))
        local file <close> = assert(async.fs.open("/dev/null"))
        local f = async.poll_fn(never)
        local reader = async.spawn(function() return conn:read() end)
        local t = async.spawn(function() return f:await() end)
        async.yield()
        local waker
        async.poll_fn(function(cx) waker = cx:waker() return "ready" end):await()
        for _, x in ipairs { f, conn, l, file, t, waker } do
          local mt = getmetatable(x)
          if type(mt) == "table" then pcall(function() mt.__gc(x) end) end
        end
        t:cancel()
        reader:cancel()
        assert(not pcall(t.await, t) and t:status() == "cancelled")
        assert(not pcall(reader.await, reader) and reader:status() == "cancelled")
      end)
      print "ok"
    ]]
  end)
end)

describe("what is spawned while a run unwinds #process", function()
  it("never begins", function()
    support.child_ok([[
      local began, spawned = false, 0
      async.run(function()
        async.time.pause()
        async.spawn(function()
          local _ <close> = setmetatable({}, { __close = function()
            async.spawn(function() began = true async.sleep(1000) end)
            spawned = spawned + 1
          end })
          async.await(async.poll_fn(function() return "pending" end))
        end)
        async.yield()
      end)
      assert(spawned == 1)
      assert(not began, "it began")
      print "ok"
    ]], { seconds = 20 })
  end)
end)

describe("an error in a drop function", function()
  it("is told to on_error, whatever its value is", function()
    local list = steps.told(function()
      support.run(function()
        local value = {}
        for _, fails in ipairs { function() error(value) end, function() async.yield() end } do
          local t = async.spawn(function()
            async.poll_fn(function() return "pending" end, fails):await()
          end)
          async.yield()
          t:cancel()
          pcall(t.await, t)
        end
      end)
    end)
    assert.equal("table", type(list[1]))
    assert.matches("cannot wait", tostring(list[2]))
    assert.equal(2, #list)
  end)
end)
