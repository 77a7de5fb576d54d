-- A File copied to itself: its reader and its writer are one, and the piece that was written was read's.
local async = require "lua_async"
local support = require "spec.support"

describe("async.copy of a file to itself", function()
  after_each(support.clean)

  it("raises, and says what to do; opened twice it is copied", function()
    support.run(function()
      local path = support.folder() .. "/f"
      assert(async.fs.write_file(path, "abc"))
      local file <close> = assert(async.fs.open(path, "r+"))
      for _, copy in ipairs { async.copy, async.copy_both } do
        local ok, e = pcall(copy, file, file)
        assert.is_false(ok)
        assert.matches("open it twice", tostring(e))
      end
      assert.equal("abc", file:read("a"))
      local again <close> = assert(async.fs.open(path))
      assert.equal(3, async.copy(again, file, 3)) -- for without a limit it reads what it writes
      assert(file:flush())
      assert.equal("abcabc", async.fs.read_file(path))
    end)
  end)

  it("is not meant for connections, which echo so", function()
    support.run(function()
      local a <close>, b = support.pair()
      local _ <close> = b
      local echo = async.spawn(async.copy, b, b)
      assert(a:write("hello"))
      assert(a:shutdown("send"))
      assert.equal("hello", a:read(5))
      assert.equal(5, echo:await())
    end)
  end)
end)
