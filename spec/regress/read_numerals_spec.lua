-- read("n") where a peer sends no end of white space, or of digits.
local async = require "lua_async"
local support = require "spec.support"
local sys = support.sys

describe("read(\"n\") #seldom", function()
  it("takes endless white space in bounded memory", function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      local reader = async.spawn(function() return a:read("n") end)
      local spaces = (" \t\r\n"):rep(1 << 18)
      b:write(spaces) -- what the sockets and the buffers take
      local before = sys.rss()
      for _ = 1, 64 do assert(b:write(spaces)) end
      local grown = sys.rss() - before
      assert.is_true(grown < 24 << 20, grown .. " bytes more")
      b:write("42\nrest\n")
      assert.equal(42, reader:await())
      assert.equal("", a:read())
      assert.equal("rest", a:read())
    end)
  end)

  it("cancelled, has not taken what white space there was", function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      b:write("x\n \n12")
      assert.equal("x", a:read(1)) -- and the rest is in the buffer
      local reader = async.spawn(function() return a:read("n") end)
      async.yield()
      reader:cancel()
      pcall(reader.await, reader)
      b:write("3 ")
      assert.equal("\n", a:read("L"))
      assert.equal(" ", a:read())
      assert.equal(123, a:read("n"))
    end)
  end)

  it("takes of a numeral that is too long what io.read takes, and gives nil", function()
    local ones = ("1"):rep(250)
    local texts = { ones .. " rest", ("1"):rep(200) .. " rest", ("1"):rep(201) .. " rest", ("1"):rep(200), ones,
                    "0x" .. ones .. "p1 2", "-" .. ones .. "\n", ("1"):rep(199) .. ".5 x", ("1"):rep(199) .. "e10 x",
                    ("0"):rep(200) .. "." .. ones, "." .. ones .. "e5", ("1"):rep(198) .. "e10", "0." .. ones }
    local path = os.tmpname()
    support.run(function()
      for _, text in ipairs(texts) do
        assert(async.fs.write_file(path, "  " .. text))
        local f <close> = assert(async.fs.open(path))
        local p <close> = assert(io.open(path))
        assert.same(table.pack(p:read("n")), table.pack(f:read("n")), text)
        assert.equal(p:seek(), f:seek(), text)
        assert.same(table.pack(p:read("n", "l")), table.pack(f:read("n", "l")), text)
        assert.equal(p:read("a"), f:read("a"), text)
        p:seek("set")
        f:seek("set")
        assert.same(table.pack(p:read(1, "n", "a")), table.pack(f:read(1, "n", "a")), text)
      end
    end)
    os.remove(path)
  end)
end)
