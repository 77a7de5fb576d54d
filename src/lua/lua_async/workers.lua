-- async.thread.workers: one function on several threads, kept running.
local async = require "lua_async"
local internals = require "lua_async.internals"

local workers = {}

-- How long a worker has to have run for its failures before to be forgotten, and the longest pause; how
-- much later than its own deadline one that does not hear it is cancelled from outside.
local HEALTHY <const> = 10
local LONGEST <const> = 30
local GRACE <const> = 0.5

-- What an accept fails with when we have closed its listener.
local function is_of_closing(err)
  if type(err) ~= "table" then return false end
  local code = rawget(err, "code")
  return rawget(err, "op") == "accept" and (code == "ECANCELED" or code == "EBADF")
end

-- The root task of a worker. `stop` becomes true when it is to end: its listeners are closed, so that the
-- function returns, or fails with what its accept says then; then what it has spawned may end, too.
function workers.main(stop, drain, f, ...)
  local stopping = false
  local work = async.spawn(f, ...)
  local closer = async.spawn(function()
    while not stop:get() do
      if not stop:changed() then return end -- nobody is left to stop us
    end
    stopping = true
    internals.close_listeners()
    async.timeout(drain, function()
      pcall(work.await, work)
      internals.drained()
    end)
    work:cancel() -- if it did not end
  end)
  local result = table.pack(pcall(work.await, work))
  if stopping then closer:await() else closer:cancel() end
  local err = result[2]
  if not result[1] and not (stopping and (work:status() == "cancelled" or is_of_closing(err))) then
    work:await() -- raises
  end
end

local OVER <const> = { done = true, failed = true, cancelled = true }

-- Waits for a Task as if it was part of this one: as pcall(task.await, task), but raises when this one
-- is cancelled.
local function await(task)
  local _ <close> = setmetatable({}, { __close = function()
    if OVER[task:status()] then return end
    task:cancel()
    async.shield(function() pcall(task.await, task) end)
  end })
  local ok, err = pcall(task.await, task)
  if not ok and not OVER[task:status()] then error(err, 0) end
  return ok
end

local function check_options(options)
  local known = { count = true, drain = true, restarts = true, delay = true }
  for name, value in pairs(options) do
    if not known[name] then error(("unknown option '%s'"):format(name), 4) end
    if type(value) ~= "number" then error(("option '%s' must be a number"):format(name), 4) end
    if value ~= value or value < 0 then error(("option '%s' must not be negative"):format(name), 4) end
  end
end

-- (count or options, function, arguments…)
function workers.supervise(options, f, ...)
  if type(options) ~= "table" then options = { count = options } end
  check_options(options)
  local count = options.count or async.thread.cores()
  if math.type(count) ~= "integer" or count < 1 then
    error("the number of workers must be an integer from 1", 3)
  end
  local drain, restarts = options.drain or 10, options.restarts or 5
  local arguments = table.pack(...)
  local tx <close>, rx = async.thread.watch(false)
  local stopping, late, failed = false, false, nil
  local running = {} -- the Tasks of the workers

  local function stop()
    stopping = true
    tx:send(true)
  end

  -- Workers keep to their deadline themselves, unless they compute.
  local function press()
    while not rx:get() do rx:changed() end
    async.sleep(drain + GRACE)
    late = true
    for task in pairs(running) do task:cancel() end
  end

  local function pause(failures)
    local woken <close> = rx:clone()
    async.timeout(math.min((options.delay or 0.1) * 2.0 ^ (failures - 1), LONGEST), woken.changed, woken)
  end

  local function keep()
    local failures = 0
    while not stopping do
      local began = async.now()
      local task, why = async.thread.spawn(workers.main, rx, drain, f,
        table.unpack(arguments, 1, arguments.n))
      if not task then task = async.spawn(error, why) end -- fails in the same way
      running[task] = true
      local ok = await(task)
      running[task] = nil
      if ok or (late and task:status() == "cancelled") then return end
      if async.now() - began >= HEALTHY then failures = 0 end
      failures = failures + 1
      if failures > restarts then
        failed = failed or task
        return stop()
      end
      internals.report(task)
      if not stopping then pause(failures) end
    end
  end

  async.scope(function(scope)
    local terminated = scope:spawn(function()
      for _ in assert(async.signal.stream("SIGTERM")) do stop() end -- a second one kills nobody
    end)
    local pressing = scope:spawn(press)
    local tasks = {}
    for i = 1, count do tasks[i] = scope:spawn(keep) end
    for i = 1, count do tasks[i]:await() end
    terminated:cancel()
    pressing:cancel()
  end)
  if failed then failed:await() end -- raises
  return true
end

return workers
