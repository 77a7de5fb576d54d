-- What the specs of composition, time and sync share: things to wait for, and turns to take.
local luassert = require "luassert"
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local steps = {}

function steps.never() return "pending" end
function steps.forever() return async.poll_fn(steps.never):await() end

function steps.value(...)
  local r = table.pack(...)
  return function() return table.unpack(r, 1, r.n) end
end

-- Polls a Future once, by hand, and returns it.
function steps.begin(fut)
  async.await(async.poll_fn(function(cx)
    fut:poll(cx)
    return "ready"
  end))
  return fut
end

-- Ready in the n-th turn.
function steps.later(n, ...)
  local r = table.pack(...)
  return function()
    for _ = 1, n do async.yield() end
    return table.unpack(r, 1, r.n)
  end
end

function steps.spin(n) for _ = 1, n or 5 do async.yield() end end

function steps.run(f)
  return support.run(function()
    async.time.pause()
    return f()
  end)
end

-- The error with which f(...) fails.
function steps.fails(f, ...)
  local ok, e = pcall(f, ...)
  assert(not ok, "it did not fail")
  return e
end

-- Runs f with what on_error is told in a list.
function steps.told(f)
  local list = {}
  local old = async.on_error(function(e) list[#list + 1] = e end)
  local _ <close> = each.guard(function() async.on_error(old) end)
  f(list)
  return list
end

-- How many tasks are alive.
function steps.tasks() return select(2, async.dump():gsub("[^\n]*, spawned at ", "")) end

-- Seconds of the paused clock that f(...) took, then its results.
function steps.took(f, ...)
  local t0 = async.now()
  local r = table.pack(f(...))
  return math.floor((async.now() - t0) * 1000 + 0.5) / 1000, table.unpack(r, 1, r.n)
end

-- A function that waits for ever, and takes `s` seconds to unwind.
function steps.slow(log, name, s)
  return function()
    local _ <close> = each.guard(function(_, e)
      log[#log + 1] = name .. (async.is_cancelled(e) and " cancelled" or " closed")
      async.shield(async.sleep, s or 0)
      log[#log + 1] = name .. " over"
    end)
    steps.forever()
  end
end

-- A Future that was polled once, and waits.
function steps.begun(...)
  local f = async.future(...)
  async.await(async.poll_fn(function(cx)
    assert(f:poll(cx) == "pending", "it does not wait")
    return "ready"
  end))
  return f
end

-- `nil, err` with that code.
function steps.code(expected, ok, err)
  luassert.is_nil(ok)
  luassert.equal(expected, err and err.code)
end

-- nil and nothing else: the end.
function steps.is_end(...)
  luassert.equal(1, select("#", ...))
  luassert.is_nil((...))
end

return steps
