-- The driver of spec/cancel_each_spec.lua: runs an operation in a task again and again, and
-- ends it after 0, 1, 2, … turns, until it is through before that.
--
-- A case is a table:
--   world(w)        makes what the operation works on, in the table w; w.own(x) closes x after
--   first(w)        opens what stays open to the end of the run
--   op(w)           the operation; what it returns is the result
--   turn(w, i)      what goes on beside it in turn i: a peer that sends, time that passes
--   want            the result of an operation that is not cut short: a list
--   after(w, done, ...)  in the same run: what it worked on is as it should be, and works on
--   final(w, done)  the same, when the run is over and so is all that was under way
--   timed           on a paused clock it is never through: a few turns are enough
--   lingers         it may leave a thread behind, with what that has open, for a while
--   least           how many of the attempts have to be cut short in the middle (1)
local assert = require "luassert"
local async = require "lua_async"
local support = require "spec.support"
local sys, time = support.sys, async.time

local function guard(f) return setmetatable({}, { __close = f }) end

local function never() return "pending" end

-- One attempt. `how`: "cancel" or "timeout" (which passes in the k-th turn), or "timeout(0)".
-- Returns whether the operation was through before, and whether it was cut in the middle.
local function attempt(case, how, k)
  local fds = support.fds()
  local w, owned = { paused = how == "timeout" }, {}
  function w.own(x) owned[#owned + 1] = x return x end
  local began, closed, through, done, left = false, 0, false, nil, nil

  local function body()
    if w.paused then time.pause() end
    local conn, fd = support.with_peer() -- the first accept of a run opens a descriptor in reserve
    conn:close()
    sys.close(fd)
    if case.first then case.first(w) end
    local before = sys.fds()
    if case.world then case.world(w) end
    local t = async.spawn(function()
      local _ <close> = guard(function() closed = closed + 1 end)
      began = true
      if how == "cancel" then return case.op(w) end
      return async.timeout(how == "timeout" and 1 or 0, case.op, w)
    end)
    for i = 1, k do
      if case.turn then case.turn(w, i) end
      async.yield()
    end
    through = t:status() == "done"
    if how == "cancel" then
      assert.equal(not through, t:cancel())
    elseif how == "timeout" then
      time.advance(1)
    end
    local r = table.pack(pcall(t.await, t))
    if how == "cancel" then
      done = r[1]
      if not done and not support.was_cancelled(r[2]) then error(r[2], 0) end
      if not done then assert.equal("cancelled", t:status()) end
    else
      if not r[1] then error(r[2], 0) end
      done = not (r[2] == nil and type(r[3]) == "table" and r[3].code == "ETIMEDOUT")
    end
    assert.equal(began and 1 or 0, closed)
    assert.equal(began, how ~= "cancel" or k > 0)
    if done and case.want then assert.same(case.want, { table.unpack(r, 2, r.n) }) end
    if case.after then case.after(w, done, table.unpack(r, 2, r.n)) end
    if done and type(r[2]) == "userdata" and r[2].close then r[2]:close() end
    for i = #owned, 1, -1 do owned[i]:close() end
    -- What runs on in the pool closes its descriptors a little later, but without a collection.
    local limit = async.now() + 20
    while sys.fds() > before do
      if async.now() > limit then error(sys.fds() - before .. " descriptors are left", 0) end
      async.sleep(0.001)
    end
    return true
  end

  local ok, e = pcall(async.run, function()
    if not async.timeout(120, body) then error("it hung", 0) end
    -- Nothing is left that could wake a task, nor a timer to which a paused clock would jump.
    time.pause()
    local now = async.now()
    local _ <close> = guard(function() left = async.now() - now end)
    async.await(async.poll_fn(never))
  end)
  assert.is_false(ok)
  if type(e) ~= "table" or e.code ~= "EDEADLK" then error(e, 0) end
  assert.equal(0, left)
  -- A thread that was abandoned closes what it has open when its lookup is over.
  local limit = os.time() + 20
  while case.lingers and support.fds() > fds and os.time() < limit do sys.fds() end
  assert.equal(fds, support.fds())
  if case.final then case.final(w, done) end
  return through, began and not done
end

local LAST = 1 << 24 -- turns: more than any operation takes

local function every(case, how)
  local k, cut, through = 0, 0, false
  local function try()
    local was_cut
    local ok, e = pcall(function() through, was_cut = attempt(case, how, k) end)
    if not ok then
      if type(e) == "table" and e.message then e = e.message end -- of luassert
      error(("after %d turns: %s"):format(k, tostring(e)), 0)
    end
    if was_cut then cut = cut + 1 end
  end
  try()
  local last = case.timed and how == "timeout" and 6 or LAST
  while how ~= "timeout(0)" and not through and k < last do
    -- Each turn at first; then what takes so long waits for a thread or for the time.
    k = k < (case.turns or 16) and k + 1 or k * 2
    try()
  end
  if how ~= "timeout(0)" then
    assert.is_true(k < LAST, "it is never through")
    -- A seed gives a turn another length.
    if support.seed then return end
    assert.is_true(cut >= (case.least or 1), ("cut in the middle %d times only"):format(cut))
  end
end

local ways = { "cancel", "timeout", "timeout(0)" }

return { ways = ways, attempt = attempt, every = every, guard = guard }
