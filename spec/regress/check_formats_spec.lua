-- Formats are checked when read or lines is called, all of them; lines takes any number.
local async = require "lua_async"
local support = require "spec.support"

describe("formats", function()
  local path
  before_each(function()
    path = os.tmpname()
    local f <close> = assert(io.open(path, "w"))
    f:write("one 1\ntwo 2\n3\nfour")
  end)
  after_each(function() os.remove(path) end)

  local function open(f)
    support.run(function()
      local file <close> = assert(async.fs.open(path))
      f(file)
    end)
  end

  it("of read are checked before any is read", function()
    open(function(f)
      for _, bad in ipairs { "z", "", "*", -1, 1.5, math.maxinteger, true, {} } do
        local ok, e = pcall(f.read, f, "l", bad)
        assert.is_false(ok, tostring(bad))
        assert.matches("bad argument #3", e)
        ok, e = pcall(f.read, f, bad)
        assert.is_false(ok, tostring(bad))
        assert.matches("bad argument #2", e)
      end
      assert.equal("one 1", f:read())
    end)
  end)

  it("of lines are checked when it is called", function()
    open(function(f)
      for _, bad in ipairs { "zzz", -1, true } do
        for _, formats in ipairs { { bad }, { "l", bad }, { "l", "n", "L", bad } } do
          local ok, e = pcall(f.lines, f, table.unpack(formats))
          assert.is_false(ok)
          assert.matches("bad argument #" .. #formats + 1, e)
        end
      end
      assert.is_false(pcall(f.lines, f, table.unpack({}, 1, 251)))
      assert.is_function(f:lines(table.unpack({}, 1, 250)))
    end)
  end)

  it("of lines may be several, as those of io.lines", function()
    open(function(f)
      for _, formats in ipairs { { 3, "n", "l" }, { "l", "n" }, { "n" }, { "L", 2 }, { 0 }, {} } do
        f:seek("set")
        local p <close> = assert(io.open(path))
        local expected, got = p:lines(table.unpack(formats)), f:lines(table.unpack(formats))
        for _ = 1, 10 do
          local values = table.pack(expected())
          if values[1] == nil then break end
          assert.same(values, table.pack(got()))
        end
        if formats[1] ~= 0 then assert.is_nil((got())) end
      end
      f:seek("set")
      local seen = {}
      for word, n in f:lines(3, "n", 1) do seen[#seen + 1] = word .. tostring(n) end
      assert.same({ "one1", "two2", "3\nfnil", "ournil" }, seen)
    end)
  end)
end)
