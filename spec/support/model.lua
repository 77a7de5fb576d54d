-- Random trees of tasks, scopes, channels, locks, timeouts and cancellations, and what has to
-- hold of them whatever they do: each message that was sent is received once or left in its
-- channel, each that was not sent is not received; permits and locks are conserved; no task
-- outlives its scope. Everything follows from the seed, the order of tasks too.
local async = require "lua_async"
local sync = async.sync

local model = {}

-- xorshift32 (G. Marsaglia, "Xorshift RNGs", 2003): the same on every machine.
local function generator(seed)
  local x = (seed * 2654435761 + 1) & 0xffffffff
  if x == 0 then x = 1 end
  return function(n)
    x = x ~ (x << 13) & 0xffffffff
    x = x ~ (x >> 17)
    x = x ~ (x << 5) & 0xffffffff
    return x % n + 1
  end
end

local function new_world(seed)
  local w = { below = generator(seed), next = 0, sent = {}, received = {}, alive = 0, tasks = {}, depth = 0, ops = 0 }
  w.channels, w.locks, w.semaphores, w.rwlocks = {}, {}, {}, {}
  for i = 1, 3 do
    local tx, rx = sync.channel(w.below(4) - 1)
    w.channels[i] = { tx = tx, rx = rx }
  end
  for i = 1, 2 do
    local n = w.below(3)
    w.locks[i] = { lock = sync.mutex(), held = 0 }
    w.semaphores[i] = { semaphore = sync.semaphore(n), total = n, held = 0 }
    w.rwlocks[i] = { lock = sync.rwlock(), readers = 0, writers = 0 }
  end
  return w
end

local function any(w, list) return list[w.below(#list)] end
local function closing(f) return setmetatable({}, { __close = f }) end

local body

-- ---- leaves --------------------------------------------------------------------------------

local ops = {}

function ops.sleep(w) async.sleep(w.below(50) / 10) end
function ops.yield() async.yield() end

local function send(w)
  w.next = w.next + 1
  local id = w.next
  if any(w, w.channels).tx:send(id) then w.sent[id] = true end
end

local function take(w, id)
  if id then w.received[id] = (w.received[id] or 0) + 1 end
end

function ops.send(w) send(w) end
function ops.send_more(w) for _ = 1, w.below(5) do send(w) end end
function ops.recv(w) take(w, any(w, w.channels).rx:recv()) end
function ops.try_recv(w) take(w, (any(w, w.channels).rx:try_recv())) end

function ops.try_send(w)
  w.next = w.next + 1
  local id = w.next
  if any(w, w.channels).tx:try_send(id) then w.sent[id] = true end
end

-- What a timeout lets through is the whole result.
function ops.recv_in_time(w)
  local rx = any(w, w.channels).rx
  take(w, (async.timeout(w.below(30) / 10, rx.recv, rx)))
end

-- Futures of operations as arms: the winner's value comes out, the others gave up nothing.
function ops.select_recv(w)
  local arms = { stop = async.future(async.sleep, w.below(20) / 10) }
  for i, channel in ipairs(w.channels) do
    arms[i] = w.below(2) == 1 and channel.rx or async.future(channel.rx.recv, channel.rx)
  end
  local key, id = async.select(arms)
  if key ~= "stop" then take(w, id) end
end

function ops.lock(w)
  local l = any(w, w.locks)
  local _ <close> = l.lock:lock()
  l.held = l.held + 1
  local _ <close> = closing(function() l.held = l.held - 1 end)
  assert(l.held == 1, "two hold one lock")
  async.sleep(w.below(10) / 10)
end

function ops.rwlock(w)
  local l, write = any(w, w.rwlocks), w.below(3) == 1
  local _ <close> = write and l.lock:write() or l.lock:read()
  local kind = write and "writers" or "readers"
  l[kind] = l[kind] + 1
  local _ <close> = closing(function() l[kind] = l[kind] - 1 end)
  assert(l.writers == 0 or (l.writers == 1 and l.readers == 0), "a writer is not alone")
  async.sleep(w.below(10) / 10)
end

function ops.acquire(w)
  local s = any(w, w.semaphores)
  local k = w.below(s.total)
  local _ <close> = s.semaphore:acquire(k)
  s.held = s.held + k
  local _ <close> = closing(function() s.held = s.held - k end)
  assert(s.held <= s.total, "more permits than there are")
  async.sleep(w.below(10) / 10)
end

function ops.fail(w) if w.below(3) == 1 then error({ "an error of the model" }) end end

-- ---- what runs others -------------------------------------------------------------------------

function ops.cleaning_leaf(w)
  local _ <close> = closing(function() pcall(async.sleep, w.below(10) / 10) end)
  ops.recv(w)
end

local function part(w, depth)
  return function() return body(w, depth - 1) end
end

local function parts(w, depth)
  local list = {}
  for i = 1, w.below(4) do list[i] = part(w, depth) end
  return list
end

function ops.timeout(w, depth) async.timeout(w.below(40) / 10, part(w, depth)) end
-- Nothing may wait for ever where no cancellation comes.
function ops.shield(w, depth) async.shield(async.timeout, w.below(40) / 10, part(w, depth)) end
function ops.join(w, depth) async.join(parts(w, depth)) end
function ops.select(w, depth) async.select(parts(w, depth)) end
function ops.future(w, depth) async.future(part(w, depth)):await() end
function ops.coroutine(w, depth) async.coroutine.wrap(part(w, depth))() end

function ops.caught(w, depth)
  local ok, e = pcall(part(w, depth))
  if not ok and async.is_cancelled(e) then error(e, 0) end
end

-- A clean-up that waits.
function ops.cleaning(w, depth)
  local _ <close> = closing(function() async.shield(async.sleep, w.below(10) / 10) end)
  body(w, depth - 1)
end

function ops.scope(w, depth)
  local alive = 0
  local _ <close> = closing(function() assert(alive == 0, "a task outlives its scope") end)
  async.scope(function(scope)
    for _ = 1, w.below(4) do
      local t = scope:spawn(function()
        alive = alive + 1
        local _ <close> = closing(function() alive = alive - 1 end)
        body(w, depth - 1)
      end)
      if w.below(4) == 1 then w.tasks[#w.tasks + 1] = t end
    end
    body(w, depth - 1)
    if w.below(4) == 1 then scope:cancel() end
  end)
end

function ops.map(w, depth)
  async.map({ 1, 2, 3, 4 }, part(w, depth), { limit = w.below(3) })
end

-- Tasks of their own, and the end of one of them.
function ops.spawn(w, depth) w.tasks[#w.tasks + 1] = async.spawn(part(w, depth)) end
function ops.cancel(w) if #w.tasks > 0 then any(w, w.tasks):cancel() end end
function ops.await(w)
  if #w.tasks > 0 then pcall(async.timeout, w.below(20) / 10, any(w, w.tasks)) end
end

function ops.collect(w) collectgarbage(w.below(4) == 1 and "collect" or "step") end

-- A Future that is begun, and left to the collector: what it runs is closed where it stands.
-- (No select in it: its winner's value would be dropped with it.)
local simple = { "sleep", "send", "recv", "recv_in_time", "lock", "rwlock", "acquire", "cleaning_leaf" }
function ops.left(w)
  local fut = async.future(function()
    for _ = 1, w.below(3) do ops[any(w, simple)](w) end
  end)
  async.await(async.poll_fn(function(cx)
    fut:poll(cx)
    return "ready"
  end))
  if w.below(2) == 1 then collectgarbage() end
end

local leaves = { "sleep", "yield", "send", "send_more", "recv", "try_recv", "try_send", "recv_in_time",
                 "select_recv", "lock", "rwlock", "acquire", "fail", "cancel", "await", "collect" }
local branches = { "timeout", "shield", "join", "select", "future", "coroutine", "caught", "cleaning", "scope",
                   "map", "spawn", "left" }

function body(w, depth)
  w.alive = w.alive + 1
  local _ <close> = closing(function() w.alive = w.alive - 1 end)
  for _ = 1, w.below(3) do
    w.ops = w.ops + 1
    if w.ops > 3000 then return end
    local branch = depth > 0 and w.below(5) <= 3
    ops[any(w, branch and branches or leaves)](w, depth)
  end
end

-- ---- a run, and what has to hold after it ------------------------------------------------------

local function check(w)
  for _, channel in ipairs(w.channels) do -- what is left in the channels was sent, too
    while true do
      local id = channel.rx:try_recv()
      if not id then break end
      take(w, id)
    end
  end
  for id in pairs(w.sent) do assert(w.received[id], "message " .. id .. " was sent, and is lost") end
  for id, n in pairs(w.received) do
    assert(n == 1, "message " .. id .. " was received " .. n .. " times")
    assert(w.sent[id], "message " .. id .. " was received, and had not been sent")
  end
  for _, l in ipairs(w.locks) do
    local guard <close> = assert(l.lock:try_lock(), "a lock is held by nobody")
    assert(l.held == 0 and guard)
  end
  for _, l in ipairs(w.rwlocks) do
    local guard <close> = assert(l.lock:try_write(), "a lock is held by nobody")
    assert(l.readers == 0 and l.writers == 0 and guard)
  end
  for _, s in ipairs(w.semaphores) do
    assert(s.semaphore:available() == s.total, "permits are lost, or came out of nothing")
  end
  assert(w.alive == 0, w.alive .. " calls have not unwound")
end

-- Raises when something does not hold; returns how many steps it took, and messages.
function model.run(seed)
  local w = new_world(seed)
  local old = async.on_error(function() end) -- detached tasks may fail
  local ok, e = pcall(async.run, { seed = seed }, function()
    async.time.pause()
    async.timeout(100, async.scope, function(scope)
      for _ = 1, 3 do scope:spawn(pcall, body, w, 4) end
      body(w, 4)
    end)
  end)
  async.on_error(old)
  if not ok and not (type(e) == "table" and e[1] == "an error of the model") then error(e, 0) end
  check(w)
  return w.ops, w.next
end

return model
