-- Byte streams: every way to read and write, at any pace, through cancellation and failure.
-- A connection serves as the stream; its peer is a plain socket where the pace matters.
local async = require "lua_async"
local support = require "spec.support"
local run, sys = support.run, support.sys

-- What is read from `text`, sent at once and ended.
local function reading(text, f)
  return run(function()
    local a, b = support.pair()
    local _ <close> = support.closing(a, b)
    async.spawn(function()
      b:write(text)
      b:shutdown()
    end)
    return f(a)
  end)
end

-- Bytes that tell their place: no shorter piece than 65521 bytes, a prime, comes again.
local block = {}
for i = 1, 65521 // 4 do block[i] = string.pack(">I4", i * 2654435761 % (1 << 32)) end
block = table.concat(block) .. "!"
local function pattern(n) return block:rep(n // #block + 1):sub(1, n) end

describe("read", function()
  it("takes lines, with and without their ends, the last one without one", function()
    reading("one\n\ntwo\r\nthree", function(a)
      assert.equal("one", a:read())
      assert.equal("", a:read("l"))
      assert.equal("two\r\n", a:read("L"))
      assert.equal("three", a:read("L"))
      assert.is_nil(a:read())
      assert.is_nil(a:read("L"))
      assert.equal(1, select("#", a:read("l")))
    end)
  end)

  it("forgives the star of old", function()
    reading("a\nb\nc", function(a)
      assert.equal("a", a:read("*l"))
      assert.equal("b\n", a:read("*L"))
      assert.equal("c", a:read("*a"))
    end)
  end)

  it("takes all, and all of nothing is an empty string", function()
    reading("all\nof\0it", function(a)
      assert.equal("all\nof\0it", a:read("a"))
      assert.equal("", a:read("a"))
    end)
  end)

  it("takes numbers as io.read does", function()
    local text = " 12 -3.5e2\n0x1F .5 0x.8p1 +7 1e400 -0 9223372036854775807 nan"
    local file = assert(io.tmpfile())
    file:write(text)
    file:seek("set")
    reading(text, function(a)
      for _ = 1, 12 do
        local want, got = file:read("n"), a:read("n")
        assert.equal(want, got)
        assert.equal(math.type(want), math.type(got))
      end
    end)
    file:close()
  end)

  it("leaves what follows a number to be read", function()
    reading("12abc\n99", function(a)
      assert.equal(12, a:read("n"))
      assert.equal("abc", a:read("l"))
      assert.equal(99, a:read("n"))
      assert.is_nil(a:read("n"))
    end)
  end)

  it("gives up on a numeral without an end", function()
    reading(("9"):rep(300) .. "\nrest", function(a)
      assert.is_nil((a:read("n")))
    end)
  end)

  it("takes a count: at most that many, at least one; none at the end", function()
    reading("abcdef", function(a)
      assert.equal("", a:read(0))
      assert.equal("ab", a:read(2))
      local rest = ""
      while #rest < 4 do
        local s = a:read(100)
        assert.is_true(#s >= 1)
        rest = rest .. s
      end
      assert.equal("cdef", rest)
      assert.is_nil(a:read(1))
      assert.is_nil(a:read(0))
    end)
  end)

  it("takes several formats at once, and stops at the first that fails", function()
    reading("7 line\nL\nxyz", function(a)
      local r = table.pack(a:read("n", "l", "L", 1, "a", "l", "l"))
      assert.same({ n = 6, 7, " line", "L\n", "x", "yz" }, r)
      assert.is_nil(r[6])
    end)
  end)

  it("with several formats gives what it has, then nil and the error", function()
    run(function()
      local a, fd = support.with_peer()
      local _ <close> = a
      local reader = async.spawn(function() return table.pack(a:read("n", "l", "L", "l")) end)
      async.yield()
      sys.send(fd, "1\nunfinished")
      support.taken(fd, a)
      sys.reset(fd)
      local r = reader:await()
      assert.equal(4, r.n)
      assert.equal(1, r[1])
      assert.equal("", r[2])
      assert.is_nil(r[3])
      assert.equal("ECONNRESET", r[4].code)
    end)
  end)

  it("raises for what is no format", function()
    reading("x", function(a)
      for _, format in ipairs { "q", "", {}, true, -1, 1.5, math.mininteger } do
        assert.is_false(pcall(a.read, a, format))
      end
      assert.is_false(pcall(a.read_exact, a))
      assert.is_false(pcall(a.read_exact, a, -1))
      assert.is_false(pcall(a.read_until, a))
      assert.is_false(pcall(a.read_until, a, ""))
      assert.is_false(pcall(a.read_until, a, "x", -1))
      assert.is_false(pcall(a.write, a, {}))
      assert.is_false(pcall(a.write, a, "x", nil))
      assert.equal("x", a:read("a"))
    end)
  end)

  it("refuses an absurd length and survives one that no memory serves", function()
    reading("some", function(a)
      local ok, e = pcall(a.read_exact, a, math.maxinteger)
      assert.is_false(ok)
      assert.matches("cannot have that many bytes", e)
      assert.is_false(pcall(a.read, a, math.maxinteger))
      assert.equal("so", a:read(2)) -- what was refused took nothing
      local _, err = a:read_exact(1 << 45)
      assert.is_true(err.code == "ENOMEM" or err.code == "EOF")
      local s = a:read(1 << 31) -- "at most": 2 GiB is never allocated for four bytes
      assert.equal("me", s)
    end)
  end)
end)

describe("read_exact", function()
  it("waits for all of it", function()
    reading(pattern(300000), function(a)
      assert.equal("", a:read_exact(0))
      assert.equal(pattern(300000):sub(1, 299999), a:read_exact(299999))
      assert.equal(1, #a:read_exact(1))
      assert.is_nil(a:read_exact(1))
    end)
  end)

  it("fails at an end that comes too early, and keeps what there was", function()
    reading("abc", function(a)
      local s, err = a:read_exact(4)
      assert.is_nil(s)
      assert.equal("EOF", err.code)
      assert.equal("read_exact", err.op)
      assert.equal(3, err.partial)
      assert.equal("abc", a:read("a"))
    end)
  end)
end)

describe("read_until", function()
  it("includes the delimiter, whatever its length", function()
    reading("a: b\r\nc\r\n\r\nbody", function(a)
      assert.equal("a:", a:read_until(":"))
      assert.equal(" b\r\nc\r\n\r\n", a:read_until("\r\n\r\n"))
      assert.equal("body", a:read_until("\0"))
      assert.is_nil(a:read_until("x"))
    end)
  end)

  it("finds a delimiter that begins like itself", function()
    reading("aaabaaaab|xaaxaaaxaab", function(a)
      assert.equal("aaabaaaab", a:read_until("aaaab"))
      assert.equal("|xaaxaaaxaab", a:read_until("aab"))
    end)
  end)

  it("stops at its limit, and the bytes stay", function()
    reading(("x"):rep(100) .. "\n", function(a)
      local s, err = a:read_until("\n", 50)
      assert.is_nil(s)
      assert.equal("ENOBUFS", err.code)
      assert.matches("limit", err.message)
      assert.equal(("x"):rep(100) .. "\n", a:read_until("\n", 101))
    end)
  end)
end)

describe("lines", function()
  it("iterates in any format", function()
    local function all(text, format)
      return reading(text, function(a)
        local t = {}
        for s in a:lines(format) do t[#t + 1] = s end
        return t
      end)
    end
    assert.same({ "a", "", "b" }, all("a\n\nb", nil))
    assert.same({ "a\n", "\n", "b" }, all("a\n\nb", "L"))
    assert.same({ 1, 2, 3 }, all("1 2\n3", "n"))
    assert.same("abcd", table.concat(all("abcd", 3)))
  end)

  it("reads lines that a peer sends one byte at a time", function()
    run(function()
      local a, fd = support.with_peer()
      local _ <close> = a
      local text = "a line\nand\r\n\n12 0x1f|end"
      async.spawn(function()
        for c in text:gmatch(".") do
          assert(sys.send(fd, c))
          async.sleep(0.0005)
        end
        for c in text:gmatch("\n") do assert(sys.send(fd, c)) end
        sys.close(fd)
      end)
      assert.equal("a line", a:read())
      assert.equal("and\r\n", a:read("L"))
      assert.equal("", a:read("l"))
      assert.equal(12, a:read("n"))
      assert.equal(31, a:read("n"))
      assert.equal("|en", a:read_exact(3))
      assert.equal("d\n\n\n", a:read_until("\n\n\n"))
      assert.is_nil(a:read())
    end)
  end)
end)
