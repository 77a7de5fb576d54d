-- What is told on stderr of failures that nobody awaits: each error once, and how often it came again.
local support = require "spec.support"

-- What the program prints, without the tracebacks.
local function program(text)
  local out, code = support.child(text, { seconds = 60 })
  local list = {}
  for line in out:gmatch "[^\n]+" do
    if not line:find "^\t" and not line:find "^stack traceback" then
      list[#list + 1] = line:gsub("/tmp/lua_%w+", "FILE")
    end
  end
  return list, code, out
end

describe("failures that nobody awaits #process", function()
  it("with one cause are told once in a turn, and counted", function()
    assert.same({
      "lua_async: task 2 failed: FILE:4: gone",
      "lua_async: ... and 53 more tasks failed with the same error: FILE:4: gone",
    }, (program [[
      async.run(function()
        for i = 1, 54 do async.spawn(function() async.yield() error "gone" end) end
        async.sleep(0.01)
      end)
    ]]))
  end)

  it("are the same when they have the same value, or the same text and place", function()
    assert.same({
      "lua_async: task 2 failed: stat /none: no such file or directory (ENOENT)",
      "lua_async: task 5 failed: same",
      "lua_async: task 6 failed: same",
      "lua_async: task 7 failed: other",
      "lua_async: ... and 2 more tasks failed with the same error: stat /none: no such file or directory (ENOENT)",
    }, (program [[
      async.run(function()
        local _, e = async.fs.stat "/none"
        async.spawn(function() error(e) end)
        async.spawn(function() local x = 1 error(e) end)
        async.spawn(function()
          error(e)
        end)
        async.spawn(function() error("same", 0) end)
        async.spawn(function()
          error("same", 0)
        end)
        async.spawn(function() error("other", 0) end)
        async.yield()
        async.sleep(0)
      end)
    ]]))
  end)

  it("are told again in another turn", function()
    local list = program [[
      async.run(function()
        for i = 1, 2 do
          for _ = 1, 2 do async.spawn(function() error("again", 0) end) end
          async.sleep(0.005)
        end
      end)
    ]]
    assert.equal(4, #list)
    assert.equal(list[2], list[4])
  end)

  it("as the run ends are counted over all its turns, before the error of the run", function()
    local list, code = program [[
      async.run(function()
        for i = 1, 54 do
          async.spawn(function()
            local _ <close> = setmetatable({}, { __close = function()
              async.shield(function() for _ = 1, i do async.yield() end async.sleep(0.001 * i) end)
              error("at the end", 0)
            end })
            async.sleep(100)
          end)
        end
        async.yield()
        error("the root", 0)
      end)
    ]]
    assert.equal("lua_async: task 2 failed: at the end", list[1])
    assert.equal("lua_async: ... and 53 more tasks failed with the same error: at the end", list[2])
    assert.equal("lua5.4: the root", list[3])
    assert.equal(1, code)
  end)

  it("are told one by one to a handler, and not counted", function()
    assert.same({ "54" }, (program [[
      local n = 0
      async.on_error(function() n = n + 1 end)
      async.run(function()
        for _ = 1, 54 do async.spawn(error, "x") end
        async.yield()
        async.sleep(0)
      end)
      print(n)
    ]]))
  end)

  it("which the handler fails to report are told, with both errors", function()
    local list, _, out = program [[
      async.on_error(function() error(setmetatable({}, { __tostring = function() return "the handler's" end })) end)
      async.run(function()
        async.spawn(function() assert(async.fs.open "/none") end)
        async.spawn(function() error(42) end)
        for _ = 1, 3 do async.spawn(function() error "three" end) end
        async.spawn(function() error(setmetatable({}, { __tostring = function() error "no text" end })) end)
        async.sleep(0.01)
      end)
    ]]
    local too = "and reporting this error failed too: the handler's"
    table.sort(list)
    assert.same({ too, too, too,
      "and reporting this error failed too: the handler's",
      "lua_async: ... and 2 more tasks failed with the same error: FILE:7: three",
      "lua_async: task 2 failed: open /none: no such file or directory (ENOENT)",
      "lua_async: task 3 failed: 42",
      "lua_async: task 4 failed: FILE:7: three",
      "lua_async: task 7 failed: table" }, list)
    assert.matches("in function 'assert'", out)
  end)
end)
