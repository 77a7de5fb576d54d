-- Futures that wait for one another, however many: what tasks can do, they can.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"

-- A Future that awaits a Future that … awaits `bottom`.
local function chain(n, bottom)
  local f = async.future(bottom)
  for _ = 1, n do
    local inner = f
    f = async.future(function() return inner:await() end)
  end
  return f
end

describe("100,000 Futures, each of which awaits the next #large, #notsan", function()
  local N <const> = 100000

  it("give the result of the last: awaited, polled by hand, as a task", function()
    support.run(function()
      local function bottom() async.yield() return "bottom", 2 end
      assert.same({ "bottom", 2 }, { chain(N, bottom):await() })
      local f = chain(N, bottom)
      assert.equal("bottom", (async.await(async.poll_fn(function(cx) return f:poll(cx) end))))
      assert.equal("bottom", (async.join(chain(N, bottom))))
      assert.equal("bottom", (async.spawn(chain(N, bottom)):await()))
    end)
  end)

  it("raise its error, which is the same", function()
    support.run(function()
      local e = {}
      local f = chain(N, function() async.yield() error(e) end)
      assert.equal(e, steps.fails(f.await, f))
    end)
  end)

  it("are cancelled, time out, and are dropped", function()
    support.run(function()
      local closed = 0
      local function bottom()
        local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        steps.forever()
      end
      local t = async.spawn(chain(N, bottom))
      for _ = 1, 5000 do async.yield() end
      t:cancel()
      assert.is_true(support.was_cancelled(steps.fails(t.await, t)))
      assert.equal(1, closed)
      steps.code("ETIMEDOUT", async.timeout(1, chain(N, bottom)))
      assert.equal(2, closed)
      local f = chain(N, bottom)
      async.await(async.poll_fn(function(cx) f:poll(cx) return "ready" end))
      f = nil
      collectgarbage()
      assert.is_nil(f)
    end)
  end)
end)

describe("Futures that wait for one another #notsan", function()
  it("are refused where the C stack would end, with what to do #large", function()
    support.run(function()
      local function begin(f)
        return async.await(async.poll_fn(function(cx) return "ready", f:poll(cx) end))
      end
      local f = async.future(steps.forever)
      local n, ok, e = 0, true, begin(f)
      while ok and n < 10000 do
        n = n + 1
        local inner = f
        f = async.future(function() return inner:await() end)
        ok, e = pcall(begin, f)
      end
      assert.is_false(ok)
      assert.equal(5000, n) -- and the one that forever() awaits
      assert.matches("C stack overflow: too many futures wait for one another: spawn some of them", e)
    end)
  end)
end)
