-- What load, loadfile and require say of broken code is a string everywhere, also in other threads.
local async = require "lua_async"
local support = require "spec.support"

-- The messages, with their types. Its globals are those of the state where it runs.
local messages = assert(load([[
  local list = {}
  local function note(name, _, e) list[#list + 1] = name .. " " .. type(e) .. ": " .. tostring(e) end
  note("syntax", load "return (")
  note("deep", load("return " .. ("("):rep(500)))
  note("reader", load(function() error("the reader", 0) end))
  note("reader value", load(function() error(setmetatable({}, { __tostring = function() return "an object" end })) end))
  note("reader type", load(function() return {} end))
  local path = os.tmpname()
  local f = io.open(path, "w")
  f:write("x = = 1")
  f:close()
  note("loadfile", loadfile(path, "t"))
  note("dofile", pcall(dofile, path))
  note("binary", load("\27Lua", "=b", "t"))
  local before = package.path -- a state of the pool serves others, too
  package.path = path
  note("require", pcall(require, "broken"))
  package.path = before
  os.remove(path)
  for i, s in ipairs(list) do list[i] = s:gsub("/tmp/lua_%w+", "FILE") end
  return table.concat(list, "\n")
]], "=messages"))

describe("load, loadfile and require of broken code", function()
  it("say the same in a task and in threads", function()
    local want = coroutine.wrap(messages)() -- without the message handler of busted
    assert.matches("\nreader value table: an object\n", want)
    assert.matches("^syntax string: ", want)
    support.run(function()
      -- A function with globals of its own: what it is made from is sent.
      local f = assert(load("return ...", "=f"))
      assert.equal("x", async.thread.spawn_blocking(f, "x"):await())
      assert.equal(want, async.thread.spawn_blocking(messages):await())
      assert.equal(want, async.thread.spawn(messages):await())
      assert.equal(want, async.spawn(messages):await())
    end)
  end)

  it("say the same in thread.init #process", function()
    support.child_ok [[
      async.run(function()
        async.thread.init(function()
          local ok, e = load "return ("
          assert(not ok and type(e) == "string")
          _G.deep = select(2, load("return " .. ("("):rep(500)))
        end)
        local deep = async.thread.spawn_blocking(load "return deep"):await()
        assert(type(deep) == "string" and deep:find("overflow", 1, true), deep)
        async.thread.init(load "error('in init', 0)")
        local t = async.thread.spawn_blocking(load "return 1")
        local ok, e = pcall(t.await, t)
        assert(not ok and e == "in init", e)
      end)
      print "ok"
    ]]
  end)

  it("leave the traceback of what fails after them where it was #process", function()
    local out = support.child [[
      async.run(function()
        async.thread.spawn_blocking(load("local function deep() error 'boom' end\n" ..
          "load 'return ('\npcall(error, 'x')\ndeep()", "=body")):await()
      end)
    ]]
    assert.matches("body:1: boom", out)
    assert.matches("body:1: in .-deep", out)
    assert.matches("in another thread", out)
  end)
end)
