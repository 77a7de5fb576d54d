-- async.defer and async.retry.
local async = require "lua_async"
local support = require "spec.support"

local function error_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

describe("defer", function()
  it("calls its function when the scope is left, last first, however it is left", function()
    local log = {}
    local function note(word) log[#log + 1] = word end
    local function body(fails)
      local _ <close> = async.defer(note, "first")
      local _ <close> = async.defer(note, "second")
      note "body"
      if fails then error("failed", 0) end
      return "result"
    end
    assert.equal("result", body())
    assert.equal("failed", error_of(body, true))
    assert.same({ "body", "second", "first", "body", "second", "first" }, log)
  end)

  it("calls it once, at once when it is closed by hand, and never when it was cancelled", function()
    local calls = 0
    do
      local d <close> = async.defer(function() calls = calls + 1 end)
      assert.is_true(d:close())
      assert.equal(1, calls)
      assert.is_false(d:cancel())
    end
    assert.equal(1, calls)
    do
      local d <close> = async.defer(function() calls = calls + 1 end)
      assert.is_true(d:cancel())
    end
    assert.equal(1, calls)
  end)

  it("passes arguments, nils too, and takes whatever can be called", function()
    local got
    do
      local callable = setmetatable({}, { __call = function(_, ...) got = table.pack(...) end })
      local _ <close> = async.defer(callable, nil, 2, nil)
    end
    assert.same({ n = 3, [2] = 2 }, got)
  end)

  it("may wait, and is called when its task is cancelled", function()
    support.run(function()
      local log = {}
      local t = async.spawn(function()
        local _ <close> = async.defer(async.shield, function()
          async.sleep(0)
          log[#log + 1] = "waited"
        end)
        async.sleep(math.huge)
      end)
      async.yield()
      t:cancel()
      pcall(t.await, t)
      assert.same({ "waited" }, log)
    end)
  end)

  it("raises what its function raises, and refuses what cannot be called", function()
    assert.equal("from defer", error_of(function() local _ <close> = async.defer(error, "from defer", 0) end))
    assert.matches("control_spec.lua:%d+: bad argument #1 to 'lua_async.defer' %(function expected, got table%)",
      error_of(function() async.defer({}) end))
    assert.matches("calling 'close' on bad self", error_of(async.defer(print).close))
  end)
end)

-- A function that fails n times with an error object, then returns; and how often it was called.
local function failing(n)
  local calls = 0
  return function()
    calls = calls + 1
    if calls <= n then return async.fs.read_file("/nothing/there") end
    return "done", calls
  end, function() return calls end
end

describe("retry", function()
  -- Virtual time that passes in a call.
  local function timed(f, ...)
    async.time.pause()
    local began = async.now()
    local results = table.pack(f(...))
    return math.floor((async.now() - began) * 1000 + 0.5) / 1000, table.unpack(results, 1, results.n)
  end

  it("returns what the first try that succeeds returns", function()
    support.run(function()
      async.time.pause()
      assert.same({ "done", 1 }, { async.retry((failing(0))) })
      assert.same({ "done", 4 }, { async.retry((failing(3))) })
      assert.same({ n = 0 }, table.pack(async.retry(function() end)))
    end)
  end)

  it("waits twice as long after each try, up to the limit", function()
    support.run(function()
      local f, calls = failing(9)
      local seconds = timed(async.retry, f, { tries = 7, base = 1, max = 10, jitter = false })
      assert.equal(1 + 2 + 4 + 8 + 10 + 10, seconds)
      assert.equal(7, calls())
    end)
  end)

  it("waits less than that with jitter, as the seed of the run has it", function()
    local function run(seed)
      local seconds
      async.run({ seed = seed }, function()
        seconds = timed(async.retry, (failing(9)), { tries = 5, base = 1, max = 100 })
      end)
      return seconds
    end
    local a, b = run(1), run(2)
    assert.is_true(a > 0 and a < 15 and b > 0 and b < 15)
    assert.are_not.equal(a, b)
    assert.equal(a, run(1))
  end)

  it("gives the last failure as it came", function()
    support.run(function()
      async.time.pause()
      local ok, err = async.retry((failing(9)), { tries = 2 })
      assert.is_nil(ok)
      assert.equal("ENOENT", err.code)
      local calls = 0
      err = error_of(async.retry, function()
        calls = calls + 1
        error(select(2, async.fs.read_file("/nothing/there")), 0)
      end, { tries = 3 })
      assert.equal("ENOENT", err.code)
      assert.equal(3, calls)
    end)
  end)

  it("does not try again what raised anything but an error object", function()
    support.run(function()
      for _, value in ipairs { "a bug", {}, 12 } do
        local calls = 0
        assert.equal(value, error_of(async.retry, function()
          calls = calls + 1
          error(value, 0)
        end))
        assert.equal(1, calls)
      end
    end)
  end)

  it("asks whether to try again, and how long to wait", function()
    support.run(function()
      local asked = {}
      local seconds, ok, err = timed(async.retry, (failing(9)), { base = 100, tries = math.huge,
        when = function(e, tries)
          asked[#asked + 1] = e.code .. tries
          return tries < 3 and 2.5
        end })
      assert.same({ "ENOENT1", "ENOENT2", "ENOENT3" }, asked)
      assert.equal(5, seconds)
      assert.is_nil(ok)
      assert.equal("ENOENT", err.code)
    end)
  end)

  it("ends when its task is cancelled, or a timeout passes, in a try or between two", function()
    support.run(function()
      async.time.pause()
      local ok, err = async.timeout(3, async.retry, (failing(99)), { base = 2, tries = 99, jitter = false })
      assert.is_nil(ok)
      assert.equal("ETIMEDOUT", err.code)
      local calls = 0
      local t = async.spawn(async.retry, function()
        calls = calls + 1
        async.sleep(math.huge)
      end)
      async.yield()
      t:cancel()
      pcall(t.await, t)
      assert.equal("cancelled", t:status())
      assert.equal(1, calls)
    end)
  end)

  it("says which option is wrong", function()
    for text, options in pairs {
      ["unknown option 'times'"] = { times = 3 },
      ["option 'tries' must be"] = { tries = 0 },
      ["option 'base' must be"] = { base = -1 },
      ["option 'max' must be"] = { max = "x" },
      ["option 'jitter' must be"] = { jitter = 1 },
      ["option 'when' must be"] = { when = true },
    } do
      local message = error_of(function() async.retry(print, options) end)
      assert.matches("^spec/task/control_spec.lua:%d+: bad argument #2 to 'lua_async.retry'", message)
      assert.matches(text, message)
    end
    assert.matches("bad argument #1 to 'lua_async.retry'", error_of(async.retry, 5))
  end)
end)
