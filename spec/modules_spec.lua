-- Sub-modules are opened when something in them is used; a program cannot tell. Each program below has a Lua
-- state of its own, in which nothing is open yet.
local support = require "spec.support"

local function prints(expected, program)
  local out, code = support.child(program)
  assert.equal(0, code, out)
  assert.equal(expected, out)
end

describe("a sub-module #process", function()
  it("is opened by its first use, and is the same table before and after", function()
    prints("true\ttrue\nnil\nfunction\ttrue\n", [[
      local async = require "lua_async"
      local fs = async.fs
      print(fs == package.loaded["lua_async.fs"], fs == require "lua_async.fs")
      print((next(fs)))
      print(type(fs.open), fs == async.fs and getmetatable(fs) == nil)
    ]])
  end)

  it("is opened by pairs, and so are the fields of the module itself", function()
    prints("true\ttrue\ttrue\ttrue\n", [[
      local async = require "lua_async"
      local names, inner = {}, {}
      for name in pairs(async) do names[name] = true end
      for name in pairs(async.sync) do inner[name] = true end
      print(names.stdin and names.loop and names.test and names.retry and names.channel, names.run and names.fs,
        inner.mutex, inner.channel)
    ]])
  end)

  it("keeps what a program has put there before", function()
    prints("mine\tfunction\nmine\tuserdata\n5\nfunction\n", [[
      local async = require "lua_async"
      async.fs.open = function() return "mine" end
      print(async.fs.open(), type(async.fs.stat))
      async.stdout = "mine"
      print(async.stdout, type(async.stdin))
      package.loaded["lua_async.sync"].mutex = 5
      print(async.sync.mutex)
      async.time = { sleep = 1 }
      print(type(require "lua_async.time".sleep))
    ]])
  end)

  it("is there without the globals that Lua's own pairs and require need", function()
    prints("function\ttrue\nnil\nnil\nnil\n", [[
      local async = require "lua_async"
      next, require, rawget = nil, nil, nil
      local found
      for name in pairs(async.net) do found = found or name == "connect" end
      print(type(async.fs.open), found)
      print(async.no_such_part)
      package.searchpath = nil
      print(async.no_such_part)
      package.loaded.package = nil
      print(async.no_such_part)
    ]])
  end)

  it("is opened in a finaliser, a coroutine, a hook and a task", function()
    prints("function\tfunction\tfunction\tfunction\n", [[
      local async = require "lua_async"
      local a, b, c, d
      setmetatable({}, { __gc = function() a = type(async.fs.open) end })
      collectgarbage()
      coroutine.wrap(function() b = type(async.net.connect) end)()
      debug.sethook(function() debug.sethook() c = type(async.process.spawn) end, "", 1)
      async.run(function() d = type(async.sync.mutex) end)
      print(a, b, c, d)
    ]])
  end)

  it("is known to other threads by its name, wherever it is opened first", function()
    prints("made\ntable\nfunction\ttrue\nhello\n", [[
      local async = require "lua_async"
      async.run(function()
        async.thread.spawn(print, "made"):await() -- the table of names is made, while most are closed
        print(type(async.thread.spawn(async.fs.stat, "/"):await()))
        local there = load "local fs = ... return type(fs.open), fs == require 'lua_async'.fs"
        print(async.thread.spawn(there, async.fs):await())
        print((async.thread.spawn(async.process.output, { "echo", "hello" }):await().stdout:gsub("\n", "")))
      end)
    ]])
  end)

  it("has objects that come to a thread which has opened nothing", function()
    prints("1\t2\n", [[
      local async = require "lua_async"
      async.run(function()
        local tx, rx = async.thread.channel(2)
        local thread = async.thread.spawn(load "local tx = ... tx:send(1) tx:send(2)", tx)
        print(rx:recv(), rx:recv())
        thread:await()
      end)
    ]])
  end)
end)
