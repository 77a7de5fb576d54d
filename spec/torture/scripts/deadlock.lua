local async = require "lua_async"
pcall(function()
  local t
  t = async.spawn(function() async.yield() t:await() end)
  t:await()
end)
