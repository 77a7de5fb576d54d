-- A read that looks for a delimiter and is given up goes on, when it is tried again, where it had
-- stopped: what was scanned stays scanned. So many tries cost about the same whether a little or a lot is there;
-- scanning again would cost hundreds of times as much.
local async = require "lua_async"
local support = require "spec.support"

local LARGE <const>, SMALL <const>, TIMES <const> = 16 << 20, 16 << 10, 400

-- The processor time of giving `read(stream)` up so many times while all of `text` but its end is there.
local function cost(text, ending, result, read, times)
  local time
  support.run(function()
    local a, b = support.pair()
    local _ <close> = support.closing(a, b)
    local sent = false
    async.spawn(function() sent = b:write(text) end)
    local function miss(seconds)
      local r, err = async.timeout(seconds, read, a)
      assert.is_nil(r)
      assert.equal("ETIMEDOUT", err.code)
    end
    repeat
      local over = sent
      miss(0.05)
    until over
    local before = os.clock()
    for _ = 1, times do miss(0.0002) end
    time = os.clock() - before
    b:write(ending)
    assert.is_true(read(a) == result, "not what was sent")
  end)
  return time
end

-- Made anew for each: kept, they would be a burden to the collector in every spec that follows.
local function line(size) return ("a"):rep(size) end
local delimiter = ("a"):rep(63) .. "b"
local cases = {
  { "read_until", line, delimiter, function(size) return line(size) .. delimiter end,
    function(s) return s:read_until(delimiter) end },
  { "read_until of one byte", line, "b", function(size) return line(size) .. "b" end,
    function(s) return s:read_until("b") end },
  { "read('l')", line, "\n", line, function(s) return s:read("l") end },
  { "read of two formats", function(size) return "1\n" .. line(size) end, "\n", line,
    function(s) return (select(2, s:read("l", "l"))) end },
  { "lines", line, "\n", line, function(s) return s:lines()() end },
  { "a number after white space", function(size) return "1\n" .. (" "):rep(size) end, "7\n", function() return 7 end,
    function(s) return (select(2, s:read("l", "n"))) end },
}

describe("a read that was given up #notsan", function()
  for _, case in ipairs(cases) do
    local name, text, ending, result, read = table.unpack(case)
    it("does not scan again: " .. name .. " #large", function()
      local small = cost(text(SMALL), ending, result(SMALL), read, TIMES)
      local large = cost(text(LARGE), ending, result(LARGE), read, TIMES)
      assert.is_true(large < 20 * small, ("%.3f s and %.3f s"):format(small, large))
    end)
  end

  it("finds delimiters in what others had scanned for something else", function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      local function missed(f, ...)
        local r, err = async.timeout(0.01, f, a, ...)
        assert.is_nil(r)
        assert.equal("ETIMEDOUT", err.code)
      end
      b:write("one;two--three\nfour-")
      missed(a.read_until, "--x")
      missed(a.read_until, "==")
      missed(a.read, "l", "l")
      assert.equal("one;", a:read_until(";"))
      missed(a.read_until, "--x")
      assert.equal("two", a:read(3))
      missed(a.read_until, "--x")
      b:write("-x5\n")
      assert.equal("--three\nfour--x", a:read_until("--x"))
      missed(a.read, "l", "l")
      assert.equal("5", a:read("l"))
      -- The delimiter begins in what was scanned and ends in what comes.
      for i = 1, 7 do
        b:write(("abcdefgh"):sub(1, i))
        missed(a.read_until, "abcdefgh")
        missed(a.read_until, "abcdefgi")
        missed(a.read, "l", "n")
        b:write(("abcdefgh"):sub(i + 1))
        assert.equal("abcdefgh", a:read_until("abcdefgh"))
      end
      -- A limit that was too small.
      b:write("0123456789;")
      assert.equal("0123456789;", a:read_until(";"))
      b:write(("x"):rep(20))
      assert.equal("ENOBUFS", select(2, a:read_until(";", 10)).code)
      b:write(";")
      assert.equal(("x"):rep(20) .. ";", a:read_until(";", 30))
    end)
  end)

  it("reads numbers and lines as ever, whatever was given up before", function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      b:write("1\n  \n  ")
      assert.is_nil((async.timeout(0.01, a.read, a, "l", "n")))
      assert.is_nil((async.timeout(0.01, a.read, a, "n", "n")))
      assert.equal(1, a:read("n"))
      assert.is_nil((async.timeout(0.01, a.read, a, "n")))
      b:write("22 3\n")
      assert.same({ 22, 3 }, { a:read("n", "n") })
      assert.equal("", a:read("l"))
    end)
  end)
end)
