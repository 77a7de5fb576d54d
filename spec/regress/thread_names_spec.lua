-- What goes by its name, though it came into a module after the names were made.
local async = require "lua_async"
local support = require "spec.support"
local body = require("spec.support.threads").body
local run, thread = support.run, async.thread

local MODULE = "lua_async spec of names"

-- A module that is there in every thread, and sets more in itself when `more` is called.
local source = [[
  local M = { early = function() return "early" end }
  M.Early = {}
  M.Early.__index = M.Early
  function M.more()
    M.Late = M.Late or {}
    M.Late.__index = M.Late
    M.late = M.late or function() return "late" end
  end
  return M]]

describe("what came into a module later #seldom", function()
  before_each(function()
    package.preload[MODULE] = load(source, "=module")
    thread.init(body(("require(%q).more()"):format(MODULE)))
  end)
  after_each(function()
    thread.init()
    package.preload[MODULE], package.loaded[MODULE] = nil, nil
  end)

  local function there(text, ...)
    return thread.spawn_blocking(body(("local M, x = require(%q), ... "):format(MODULE) .. text), ...):await()
  end

  it("goes by its name, as what was there before", function()
    run(function()
      local M = require(MODULE)
      there("return x", {}) -- the names are made
      M.more()
      assert.is_true(there("return getmetatable(x) == M.Late", setmetatable({}, M.Late)))
      assert.equal(M.Late, getmetatable(there("return setmetatable({}, M.Late)")))
      assert.is_true(there("return x == M.late", M.late))
      assert.is_true(there("return x == M", M))
      assert.is_true(there("return getmetatable(x) == M.Early and x.f == M.early",
        setmetatable({ f = M.early }, M.Early)))
    end)
  end)

  it("has its name again when its module is put back over another", function()
    run(function()
      local M = require(MODULE)
      local kept = setmetatable({}, M.Early)
      assert.is_true(there("return getmetatable(x) == M.Early", kept))
      local other = load(source, "=module")()
      package.loaded[MODULE] = other
      assert.is_true(there("return getmetatable(x) == M.Early", setmetatable({}, other.Early)))
      assert.is_false(there("return getmetatable(x) == M.Early", kept))
      package.loaded[MODULE] = M
      local again = setmetatable({ f = M.early }, M.Early)
      assert.is_true(there("return getmetatable(x) == M.Early and x.f == M.early", again))
    end)
  end)

  it("is watched for by a metamethod that checks its arguments", function()
    run(function() there("return x", print) end)
    local watch = getmetatable(package.loaded).__newindex
    assert.is_false(pcall(watch))
    assert.is_false(pcall(watch, 1, 2, 3))
    assert.is_false(pcall(watch, {}))
  end)

  it("is looked for in a module that was loaded after others were", function()
    run(function()
      there("return x", { print })
      local M = require(MODULE)
      assert.is_true(there("return x == M", M))
      assert.is_true(there("return x.m == M", { m = M }))
    end)
  end)

  it("is looked for when it is data of a module that was loaded after others were", function()
    run(function()
      local tx, rx = thread.channel(1)
      tx:send {} -- the names are made
      assert.same({}, rx:recv())
      package.loaded[MODULE] = { null = {} } -- such as json.null
      tx:send { package.loaded[MODULE].null }
      assert.equal(package.loaded[MODULE].null, rx:recv()[1])
    end)
  end)

  it("is copied when it is not there any more, or another is", function()
    run(function()
      local M = require(MODULE)
      local old = M.early
      assert.is_true(there("return x == M.early", old))
      M.early = function() return "another" end
      assert.is_false(there("return x == M.early", old))
      assert.equal("early", there("return x()", old))
      assert.is_true(there("return x == M.early", M.early))
    end)
  end)

  it("closures and objects that have no name are found to have none, each time", function()
    run(function()
      for i = 1, 3 do
        assert.equal(i, there("return x()", function() return i end))
        assert.equal(i, there("return x.n", setmetatable({}, { __index = { n = i } })))
      end
    end)
  end)
end)
