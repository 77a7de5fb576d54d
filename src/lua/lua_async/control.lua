-- async.defer and async.retry: what is said best in Lua of the module itself. Run when one of them is first
-- asked for, with the table of the module and what these need of the runtime besides; returns both.
local async, internals = ...
local control = {}

-- Raises at the caller of the function, which is `level` calls up from here.
local function check(ok, level, argument, name, message, ...)
  if ok then return end
  error(("bad argument #%d to 'lua_async.%s' (%s)"):format(argument, name, message:format(...)), level + 1)
end

local function is_callable(f)
  local meta = getmetatable(f)
  return type(f) == "function" or type(meta) == "table" and meta.__call ~= nil
end

-- ---- defer -----------------------------------------------------------------------------------

local methods = {}
local Deferred

local function checked(self, name)
  if getmetatable(self) == Deferred then return end
  error(("calling '%s' on bad self (lua_async.Deferred expected)"):format(name), 3)
end

function methods:close()
  checked(self, "close")
  local f, arguments = self.f, self.arguments
  self.f = nil
  if f then f(table.unpack(arguments, 1, arguments.n)) end
  return true
end

function methods:cancel()
  checked(self, "cancel")
  local was = self.f ~= nil
  self.f = nil
  return was
end

Deferred = { __name = "lua_async.Deferred", __index = methods, __close = methods.close }

function Deferred:__tostring() return ("deferred call: %s"):format(self.f and "pending" or "over") end

function control.defer(f, ...)
  check(is_callable(f), 2, 1, "defer", "function expected, got %s", type(f))
  return setmetatable({ f = f, arguments = table.pack(...) }, Deferred)
end

-- ---- retry -----------------------------------------------------------------------------------

local DEFAULTS <const> = { tries = 5, base = 0.1, max = 30, jitter = true, when = function() return true end }

local function is_seconds(value) return type(value) == "number" and value >= 0 end

local function read_options(options)
  local given = options == nil or type(options) == "table"
  check(given, 3, 2, "retry", "table of options expected, got %s", type(options))
  local o = setmetatable({}, { __index = DEFAULTS })
  for name, value in pairs(options or {}) do
    local known = DEFAULTS[name] ~= nil
    check(known, 3, 2, "retry", "unknown option '%s': it has tries, base, max, jitter and when", name)
    o[name] = value
  end
  local some = type(o.tries) == "number" and o.tries >= 1
  check(some, 3, 2, "retry", "option 'tries' must be a number of at least 1")
  check(is_seconds(o.base), 3, 2, "retry", "option 'base' must be a number of seconds")
  check(is_seconds(o.max), 3, 2, "retry", "option 'max' must be a number of seconds")
  check(type(o.jitter) == "boolean", 3, 2, "retry", "option 'jitter' must be true or false")
  check(is_callable(o.when), 3, 2, "retry", "option 'when' must be a function")
  return o
end

-- Seconds to wait after that many tries. With jitter anything up to the full time, so that clients that
-- failed together do not come back together ("full jitter": M. Brooker, "Exponential Backoff And Jitter",
-- 2015).
local function pause(options, tries)
  local longest = math.min(options.max, options.base * 2.0 ^ (tries - 1))
  return options.jitter and longest * internals.random() or longest
end

function control.retry(f, options)
  check(is_callable(f), 2, 1, "retry", "function expected, got %s", type(f))
  options = read_options(options)
  local tries = 0
  while true do
    local results = table.pack(pcall(f))
    tries = tries + 1
    local returned, first, err = results[1], results[2], results[3]
    if returned and (first ~= nil or err == nil) then return table.unpack(results, 2, results.n) end
    if not returned then
      -- Bugs are not retried, and neither is what a cancelled task unwinds with.
      if not internals.is_error(first) or async.is_cancelled(first) then error(first, 0) end
      err = first
    end
    local again = tries < options.tries and options.when(err, tries)
    if not again then
      if returned then return table.unpack(results, 2, results.n) end
      error(err, 0)
    end
    async.sleep(type(again) == "number" and again or pause(options, tries))
  end
end

return control
