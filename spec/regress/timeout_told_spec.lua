-- What the error of a timeout tells: how long it was, and what was waited for.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"

describe("the error of a timeout", function()
  local function error_of(...)
    local r, e = ...
    assert.is_nil(r)
    return e
  end

  it("tells how long it was, and what waited", function()
    steps.run(function()
      local _, rx = async.channel(1)
      local e = error_of(async.timeout(5, rx.recv, rx))
      assert.equal("timeout: no result from channel.recv within 5 s (ETIMEDOUT)", tostring(e))
      assert.equal("timeout", e.op)
      assert.equal(5, e.seconds)
      assert.equal("ETIMEDOUT", e.code)
      assert.equal("timeout: no result from channel.recv within 0 s (ETIMEDOUT)",
        tostring(error_of(async.timeout(0, rx.recv, rx))))
      assert.equal("timeout: no result from sleep within 0.25 s (ETIMEDOUT)",
        tostring(error_of(async.timeout(0.25, async.sleep, 10))))
      assert.equal("timeout: no result from join within 0.1 s (ETIMEDOUT)",
        tostring(error_of(async.timeout(0.1, async.join, steps.forever))))
      assert.equal("timeout: no result from sleep within 1 s (ETIMEDOUT)",
        tostring(error_of(async.timeout(1, function()
          async.timeout(0.5, rx.recv, rx)
          async.sleep(10)
        end))))
      e = error_of(async.deadline(async.now() + 2, async.sleep, 10))
      assert.equal("deadline: no result from sleep within 2 s (ETIMEDOUT)", tostring(e))
    end)
  end)

  it("tells it for I/O as well", function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      assert.equal("timeout: no result from read within 0.01 s (ETIMEDOUT)",
        tostring(error_of(async.timeout(0.01, a.read, a))))
    end)
  end)

  it("names what waited first when that was caught", function()
    steps.run(function()
      local _, rx = async.channel(1)
      assert.equal("timeout: no result from channel.recv within 1 s (ETIMEDOUT)",
        tostring(error_of(async.timeout(1, function()
          pcall(rx.recv, rx)
          async.sleep(1)
        end))))
    end)
  end)
end)

describe("time.advance", function()
  it("says that a number is too large", function()
    steps.run(function()
      assert.matches("bad argument #1 to 'advance' %(number of seconds too large for the clock",
        steps.fails(function() async.time.advance(1e300) end))
    end)
  end)
end)
