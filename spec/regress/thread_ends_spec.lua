-- Handles of threads that are closed, and errors that cannot be sent as they are.
local async = require "lua_async"
local support = require "spec.support"
local body = require("spec.support.threads").body
local run, thread = support.run, async.thread

describe("a Shared #seldom", function()
  it("is closed as every handle is", function()
    local s = thread.shared(1)
    do
      local closed <close> = s
      assert.equal(1, closed:get())
    end
    assert.is_true(s:close())
    assert.equal("Shared (closed)", tostring(s))
    for _, call in ipairs { { "get" }, { "set", 1 }, { "swap", 1 }, { "add" }, { "compare_exchange", 1, 2 } } do
      local ok, err = s[call[1]](s, table.unpack(call, 2))
      assert.same({ nil, "EBADF", call[1] }, { ok, err.code, err.op })
    end
    local tx <close> = thread.channel(1)
    local ok, err = tx:try_send(s)
    assert.same({ nil, "EBADF" }, { ok, err.code })
  end)

  it("that is closed is open to others", function()
    run(function()
      local s = thread.shared(1)
      local t = thread.spawn_blocking(body "return (...):add(2)", s)
      s:close()
      assert.equal(3, t:await())
    end)
  end)
end)

describe("a watch #seldom", function()
  it("lets go of its value with its last end", function()
    run(function()
      local tx, rx = thread.channel(1)
      local wtx, wrx = thread.watch({ tx })
      tx:close()
      wtx:close()
      assert.is_nil(wtx:get())
      local there = wrx:clone()
      wrx:close()
      assert.is_nil(rx:try_recv()) -- EAGAIN: the value has a sender
      assert.equal("EAGAIN", select(2, rx:try_recv()).code)
      local keeps = there -- collected later than this
      there:close()
      assert.same({ nil, n = 1 }, table.pack(rx:try_recv()))
      assert.matches("closed", tostring(keeps))
    end)
  end)
end)

describe("an error that cannot be sent #seldom", function()
  local function raised(text)
    local e
    run(function()
      local t = thread.spawn_blocking(body(text))
      e = select(2, pcall(t.await, t))
    end)
    return tostring(e)
  end

  it("says what it says, and why it is not itself", function()
    local text = raised 'error({ code = "EXYZ", message = "disk is full", handle = io.tmpfile() })'
    assert.matches("^disk is full %(EXYZ%)\n", text)
    assert.matches("error.handle: a FILE* cannot be sent", text, 1, true)
    assert.matches("^no room\n", (raised 'error({ message = "no room", handle = io.tmpfile() })'))
    assert.matches("^17\n", (raised 'error({ code = 17, handle = io.tmpfile() })'))
    assert.matches("^own text\n", (raised [[
      local meta = { __tostring = function() return "own text" end }
      error(setmetatable({ message = "no", handle = io.tmpfile() }, meta))]]))
    assert.matches("^table: 0x", (raised 'error({ io.tmpfile() })'))
  end)
end)

describe("async.on_error set by one function on the pool #seldom", function()
  local fail = "local e = ... async.run(function() async.spawn(error, e, 0) async.yield() end)"
  -- Each of the functions alone, one after the other: in one state. What this thread's on_error is told.
  local function told(texts)
    local list = {}
    local old = async.on_error(function(e) list[#list + 1] = e end)
    local ok, err = pcall(run, function()
      for i, text in ipairs(texts) do thread.spawn_blocking(body(text), "failure " .. i):await() end
    end)
    async.on_error(old)
    assert(ok, err)
    return list
  end

  it("is gone with its call", function()
    assert.same({ "failure 1", "failure 3", "failure 5" }, told {
      fail, "async.on_error(nil)", fail, "async.on_error(function() end) " .. fail, fail,
    })
  end)

  it("gives way to the one that async.thread.init has set", function()
    thread.init(body "async.on_error(function(e) seen = e end)")
    local ok, list = pcall(told, { "async.on_error(nil)", fail .. " assert(seen == e)" })
    thread.init(nil)
    assert.is_true(ok, list)
    assert.same({}, list)
  end)
end)
