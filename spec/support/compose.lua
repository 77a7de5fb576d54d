-- What the specs of join and select share.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local compose = {}

function compose.never() return "pending" end
function compose.forever() return async.poll_fn(compose.never):await() end

function compose.value(...)
  local r = table.pack(...)
  return function() return table.unpack(r, 1, r.n) end
end

-- Ready in the n-th turn.
function compose.later(n, ...)
  local r = table.pack(...)
  return function()
    for _ = 1, n do async.yield() end
    return table.unpack(r, 1, r.n)
  end
end

function compose.spin(n) for _ = 1, n or 5 do async.yield() end end

function compose.run(f)
  return support.run(function()
    async.time.pause()
    return f()
  end)
end

-- The error with which f(...) fails.
function compose.fails(f, ...)
  local ok, e = pcall(f, ...)
  assert(not ok, "it did not fail")
  return e
end

-- Runs f with what on_error is told in a list.
function compose.told(f)
  local list = {}
  local old = async.on_error(function(e) list[#list + 1] = e end)
  local _ <close> = each.guard(function() async.on_error(old) end)
  f(list)
  return list
end

function compose.live() return select(2, async.dump():gsub("[^\n]*, spawned at ", "")) end

return compose
