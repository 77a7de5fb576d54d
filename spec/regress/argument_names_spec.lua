-- Errors about arguments name the function, however it is called.
local async = require "lua_async"
local support = require "spec.support"

-- Every function of the table, and of tables in it, by its name.
local function functions(t, name, list, seen)
  seen[t] = true
  for k, v in pairs(t) do
    if type(v) == "function" then
      list[name .. "." .. k] = v
    elseif type(v) == "table" and not seen[v] and type(k) == "string" then
      functions(v, name .. "." .. k, list, seen)
    end
  end
  return list
end

-- Methods, from package.loaded, where the classes are once their modules are open.
local function methods()
  local list = {}
  functions(async, "async", {}, {})
  for name, t in pairs(package.loaded) do
    if name:find "^lua_async%.%u" or name == "lua_async.stream" or name == "lua_async.sync.object" then
      functions(t, name, list, {})
    end
  end
  return list
end

local function nothing() end
local wrong = { nothing, true, {} }

describe("an error about an argument", function()
  local ways = {
    pcall = pcall,
    spawn = function(...)
      local t = async.spawn(...)
      return pcall(t.await, t)
    end,
    timeout = function(...) return pcall(async.timeout, 1, ...) end,
    join = function(...) return pcall(async.join, (async.future(...))) end,
  }
  -- Called with anything these wait, or change the process.
  local skip = { ["async.run"] = true, ["async.on_error"] = true, ["async.test"] = true }

  local function check(list, told)
    local n = 0
    for name, f in pairs(list) do
      if not skip[name] then
        for how, call in pairs(ways) do
          for _, value in ipairs(wrong) do
            local ok, e = call(f, value, value)
            if not ok and type(e) == "string" then
              if e:find "bad argument" or e:find "bad self" then n = n + 1 end
              if e:find("'?'", 1, true) then told[#told + 1] = how .. " " .. name .. ": " .. e end
            end
          end
        end
      end
    end
    return n
  end

  it("names the function of a module, and the method of a class", function()
    local told = {}
    local old = async.on_error(function() end)
    support.run(function()
      local all = methods()
      assert.truthy(all["lua_async.Task.await"] and all["lua_async.stream.read"] and all["lua_async.Notify.wait"])
      assert.is_true(check(all, told) > 300)
      assert.is_true(check(functions(async, "async", {}, {}), told) > 100)
    end)
    async.on_error(old)
    assert.same({}, told)
  end)

  it("says where the function is", function()
    support.run(function()
      local function fails(...) return select(2, pcall(...)) end
      assert.matches("bad argument #1 to 'lua_async.net.connect' %(string expected, got table%)",
        fails(async.net.connect, {}))
      assert.matches("bad argument #1 to 'lua_async.spawn'", fails(async.spawn, 1))
      assert.matches("bad argument #1 to 'lua_async.Notify.wait'", fails(async.sync.notify().wait, 1))
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      assert.matches("bad argument #2 to 'lua_async.stream.read'", fails(a.read, a, {}))
      assert.matches("bad argument #1 to 'read'", fails(function() return a:read {} end))
      local other = setmetatable({}, { __index = { read = a.read } })
      assert.matches("calling 'read' on bad self", fails(function() other:read() end))
    end)
  end)

  it("says the same for tables that are required by their names", function()
    assert.equal(async.net, require "lua_async.net")
    assert.equal(async.time, require "lua_async.time")
  end)
end)
