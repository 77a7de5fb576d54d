local async = require "lua_async"
local process = async.process
local child <close> = assert(process.spawn { "cat", stdin = "pipe", stdout = "pipe", env_add = { A = "1", B = false } })
assert(child.stdin:write("x\n"))
assert(child.stdin:close())
assert(child.stdout:read("a"))
assert(child:wait())
assert(assert(process.output { "cat", input = ("x"):rep(100000) }).ok)
local line <close> = assert(process.pipeline({ "echo", "x" }, { "cat", stdout = "null", env = {} }))
assert(line:wait())
assert(process.spawn { "true", detached = true }):wait()
process.spawn { "sleep", "1000" }
