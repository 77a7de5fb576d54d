-- What a read finds in the buffer it gives without a future, with all that the future would see to.
local async = require "lua_async"
local support = require "spec.support"

describe("reads of what is in the buffer #seldom", function()
  after_each(support.clean)

  local function numbered()
    local path, lines = support.folder() .. "/f", {}
    for i = 1, 6000 do lines[i] = ("%07d"):format(i) end
    assert(async.fs.write_file(path, table.concat(lines, "\n") .. "\n"))
    return assert(async.fs.open(path))
  end

  local ways = {
    ["lines()"] = function(f, got) for line in f:lines() do got(line) end end,
    ["lines(8)"] = function(f, got) for piece in f:lines(8) do got(piece:sub(1, 7)) end end,
    ['read("l")'] = function(f, got) for line in function() return f:read("l") end do got(line) end end,
    ["read(8)"] = function(f, got) for piece in function() return f:read(8) end do got(piece:sub(1, 7)) end end,
  }

  for name, way in pairs(ways) do
    it("lose nothing when they are cancelled, and let others run #large: " .. name, function()
      for _, turns in ipairs { 1, 2, 5, 12 } do
        support.run(function()
          local f <close> = numbered()
          local n = 0
          assert.equal("0000001", f:read("l")) -- the rest of it is in the buffer
          local t = async.spawn(way, f, function(line)
            n = n + 1
            assert.equal(("%07d"):format(n + 1), line)
          end)
          for _ = 1, turns do async.yield() end
          t:cancel()
          pcall(t.await, t)
          assert.is_true(n < 5999) -- it did not run to its end in one turn
          assert.equal(("%07d"):format(n + 2), f:read("l"))
        end)
      end
    end)
  end

  it("give a count at most, and what is there", function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      assert(a:write("one\ntwo three"))
      assert.equal("one", b:read("l"))
      support.taken(a:fd(), b)
      assert.equal("", b:read(0))
      assert.equal("two", b:read(3))
      assert.equal(" ", b:read(1.0))
      local later = async.future(b.read, b, 100)
      assert.equal("three", later:await())
      assert(a:shutdown("send"))
      assert.is_nil(b:read(1))
      assert.is_nil(b:read(0))
    end)
  end)
end)
