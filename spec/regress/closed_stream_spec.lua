-- What begins after a close is EBADF, whatever the buffer still holds; what had begun before
-- it and waits is ECANCELED, whatever it waits for.
local async = require "lua_async"
local support = require "spec.support"

local function code(value, err, ...)
  assert.is_nil(value)
  assert.equal(0, select("#", ...))
  assert.is_table(err)
  return err.code
end

local reads = { { "read" }, { "read", "L" }, { "read", "a" }, { "read", "n" }, { "read", 0 }, { "read", 3 },
                { "read", "l", "l" }, { "read_exact", 1 }, { "read_until", "b" } }

local function refused(stream)
  for _, call in ipairs(reads) do
    assert.equal("EBADF", code(stream[call[1]](stream, table.unpack(call, 2))), table.concat(call, " "))
  end
  local n = 0
  for _ in stream:lines() do n = n + 1 end
  assert.equal(0, n)
  assert.equal("EBADF", code(stream:write("x")))
  assert.equal("EBADF", code(stream:write("")))
  assert.equal("EBADF", code(async.await(async.future(stream.read, stream, "l"))))
end

describe("a closed stream #seldom", function()
  it("gives nothing of what a connection had read ahead", function()
    support.run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      b:write("a\nb\n1 2 c\nd")
      assert.equal("a", a:read())
      a:close()
      refused(a)
    end)
  end)

  it("gives nothing of what a file had read ahead", function()
    local path = os.tmpname()
    support.run(function()
      assert(async.fs.write_file(path, "a\nb\n1 2 c\nd"))
      local f = assert(async.fs.open(path, "r+"))
      assert.equal("a", f:read())
      f:close()
      refused(f)
    end)
    os.remove(path)
  end)

  it("ends what merely waits for its next turn with ECANCELED", function()
    support.in_order(function()
      local cut = 0
      -- One of these finds its turn used up just when it would read from the socket.
      for n = 110, 135 do
        local a, b = support.pair()
        local _ <close> = support.closing(a, b)
        b:write(("x"):rep(70000))
        assert.equal("x", a:read(1))
        local closed = false
        local reader = async.spawn(function()
          for _ = 1, n do
            if a:read(1) ~= "x" then return end
          end
          if closed then return end
          local s, err = a:read_exact(66000)
          if s then return end
          cut = cut + 1
          assert.equal("ECANCELED", err.code)
        end)
        async.spawn(function()
          a:close()
          closed = true
        end)
        reader:await()
      end
      assert.equal(1, cut)
    end)
  end)
end)

describe("a closed listener #seldom", function()
  it("ends what merely waits for its next turn with ECANCELED", function()
    support.in_order(function()
      local cut = 0
      for n = 110, 135 do
        local l = assert(async.net.listen("127.0.0.1", 0))
        local a, b = support.pair()
        local _ <close> = support.closing(l, a, b)
        b:write(("x"):rep(200))
        assert.equal("x", a:read(1))
        local client <close> = assert(async.net.connect("127.0.0.1", select(2, l:address())))
        local probe = async.spawn(l.accept, l) -- so that the listener knows what there is
        local first <close> = assert(probe:await())
        local another <close> = assert(async.net.connect("127.0.0.1", select(2, l:address())))
        local closed = false
        local task = async.spawn(function()
          for _ = 1, n do a:read(1) end
          if closed then return end
          local conn, err = l:accept()
          if conn then conn:close() return end
          cut = cut + 1
          assert.equal("ECANCELED", err.code)
        end)
        async.spawn(function()
          l:close()
          closed = true
        end)
        task:await()
        assert.is_truthy(client and first and another)
      end
      assert.equal(1, cut)
    end)
  end)
end)
