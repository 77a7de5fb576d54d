-- startup: requires the module, runs an empty main, ends
require("lua_async").run(function() end)
