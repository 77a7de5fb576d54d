-- Sub-modules that are opened for the first time: one that fails for want of memory is opened again.
local async = require "lua_async"
local names = { "coroutine", "time", "sync", "net", "fs", "process", "signal", "thread" }
local fields = { "stdin", "channel", "defer", "loop", "test" }
for _, name in ipairs(names) do
  if not pcall(function() return async[name].no_such_function end) then
    assert(next(async[name]) == nil or getmetatable(async[name]), name .. " is half open")
  end
end
for _, name in ipairs(fields) do pcall(function() return async[name] end) end
-- In the end all is there.
for _, name in ipairs(names) do
  local _ = async[name].no_such_function
  assert(getmetatable(async[name]) == nil and next(async[name]), name)
end
for _, name in ipairs(fields) do assert(async[name], name) end
