-- read with several formats: stops where io.read does, and a cancellation between two of
-- them loses nothing.
local async = require "lua_async"
local support = require "spec.support"

local function pair(f)
  async.run(function()
    local l <close> = assert(async.net.listen("127.0.0.1", 0))
    local _, port = l:address()
    local a <close> = assert(async.net.connect("127.0.0.1", port))
    local b <close> = assert(l:accept())
    f(a, b)
  end)
end

describe("read with several formats #seldom", function()
  it("returns what io.read returns when one fails", function()
    pair(function(a, b)
      a:write("12 0x1F nope\n")
      assert.same({ n = 3, 12, 31, nil }, table.pack(b:read("n", "n", "n", "l")))
    end)
  end)

  it("cancelled between them, has taken nothing", function()
    pair(function(a, b)
      a:write(" 1 one\n")
      local none, err = async.timeout(0.01, b.read, b, "n", "l", "l")
      assert.is_nil(none)
      assert.equal("ETIMEDOUT", err.code)
      a:write("two\n")
      assert.equal(" 1 one", b:read("l"))
      assert.is_nil((async.timeout(0.01, b.read, b, "l", "l")))
      assert.equal("two\n", b:read("L"))
    end)
  end)
end)

describe("write_at #seldom", function()
  it("writes where it is told and leaves the position alone", function()
    async.run(function()
      local path = os.tmpname()
      local f = assert(async.fs.open(path, "w+"))
      assert(f:write("0123456789"))
      assert.equal(f, f:write_at(2, "XY"))
      assert.equal("01XY4", f:read_at(0, 5))
      assert(f:write("!"))
      assert(f:close())
      assert.equal("01XY456789!", async.fs.read_file(path))
      os.remove(path)
    end)
  end)
end)

describe("a read of several formats that others come between #seldom", function()
  it("goes on where a seek or a write_at of another task leaves it", function()
    support.in_order(function()
      local path = os.tmpname()
      local text = ("0123456789abcdefghijklmnopqrstuvwxyz"):rep(100)
      assert(async.fs.write_file(path, text))
      local ones = {}
      for i = 1, 190 do ones[i] = 1 end -- more than a task may finish in one turn
      for _, other in ipairs { "seek", "write_at" } do
        local f = assert(async.fs.open(path, "r+"))
        local reader = async.spawn(function() return table.concat({ f:read(table.unpack(ones)) }) end)
        async.yield()
        if other == "seek" then f:seek("set", 3000) else f:write_at(3000, text:sub(3001, 3001)) end
        local got = reader:await()
        assert.equal(190, #got)
        local cut = 0
        while got:byte(cut + 1) == text:byte(cut + 1) and cut < 190 do cut = cut + 1 end
        if other == "write_at" then
          assert.equal(text:sub(1, 190), got)
        else
          assert.is_true(cut < 190, "the seek came too late to test anything")
          assert.equal(got, text:sub(1, cut) .. text:sub(3001, 3190 - cut))
          assert.equal(3190 - cut, f:seek())
        end
        -- One that is cancelled half-way has read nothing, whoever asks where we are.
        f:seek("set", 7)
        reader = async.spawn(f.read, f, table.unpack(ones))
        async.yield()
        reader:cancel()
        assert.is_false(pcall(reader.await, reader))
        assert.equal(7, f:seek())
        f:write_at(3000, text:sub(3001, 3001))
        assert.equal(text:sub(8, 20), f:read(13))
        assert(f:close())
      end
      os.remove(path)
    end)
  end)
end)
