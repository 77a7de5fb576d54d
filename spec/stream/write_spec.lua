-- Streams: writing, resets, cancellation, slow readers.
local async = require "lua_async"
local support = require "spec.support"
local run, sys = support.run, support.sys

-- Bytes that tell their place: no shorter piece than 65521 bytes, a prime, comes again.
local block = {}
for i = 1, 65521 // 4 do block[i] = string.pack(">I4", i * 2654435761 % (1 << 32)) end
block = table.concat(block) .. "!"
local function pattern(n) return block:rep(n // #block + 1):sub(1, n) end

-- What the peer gets until it has `n` bytes or the end, between other tasks' turns.
local function drain(fd, n)
  local t, got = {}, 0
  while got < n do
    local s, err = sys.recv(fd, 65536)
    if s == "" then break end
    if s then
      t[#t + 1], got = s, got + #s
    else
      assert(err == "EAGAIN", err)
      async.sleep(0.001)
    end
  end
  return table.concat(t)
end

describe("write", function()
  it("takes strings and numbers, writes them in order, and returns the stream", function()
    run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      assert.equal(a, a:write("x", 1, 2.5, "", "\0y"))
      assert.equal(a, a:write())
      assert.equal(a, a:write(""))
      assert.equal(a, a:write("last"):write(" one"))
      assert.equal(a, a:flush())
      a:close()
      assert.equal("x12.5\0ylast one", b:read("a"))
    end)
  end)

  it("brings a large block over whole, both ways at once", function()
    run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      local data = pattern(5000001)
      local function both(from, to)
        return async.spawn(function() from:write(data) from:shutdown() end),
          async.spawn(function() return to:read("a") end)
      end
      local _, x = both(a, b)
      local _, y = both(b, a)
      assert.is_true(x:await() == data)
      assert.is_true(y:await() == data)
    end)
  end)

  it("waits for a peer that does not read, and holds no more than it was given", function()
    run(function()
      local a, fd = support.with_peer(4096)
      local _ <close> = a
      local chunk, sent = ("z"):rep(65536), 0
      local writer = async.spawn(function()
        while a:write(chunk) do sent = sent + #chunk end
      end)
      local last = support.still(function() return sent end, 16 << 20)
      assert.is_true(last < 16 << 20, "the system's buffers alone may hold bytes")
      local before = sys.rss()
      for _ = 1, 1000 do async.yield() end
      assert.is_true(sent < 16 << 20)
      assert.is_true(sys.rss() - before < 4 << 20)
      -- A reader that begins makes it go on.
      drain(fd, sent + 3 * #chunk)
      assert.is_true(sent > last)
      writer:cancel()
      assert.is_false(pcall(writer.await, writer))
      sys.close(fd)
    end)
  end)

  it("that is cancelled gives its bytes back, and the next one repeats and loses none", function()
    run(function()
      for round = 1, 5 do
        local a, fd = support.with_peer(round * 2000)
        local _ <close> = a
        local data, partial = pattern(8 << 20)
        local writer = async.spawn(function()
          local ok, e = pcall(a.write, a, data)
          assert.is_false(ok)
          assert.is_true(async.is_cancelled(e))
        end)
        async.sleep(0.01 * round)
        writer:cancel()
        pcall(writer.await, writer)
        local rest = async.spawn(function()
          assert.equal(a, a:write("|END|"))
          assert.is_true(a:shutdown())
        end)
        local got = drain(fd, 1 << 40)
        rest:await()
        partial = got:find("|END|", 1, true) - 1
        assert.is_true(partial > 0 and partial < #data)
        assert.is_true(got == data:sub(1, partial) .. "|END|")
        sys.close(fd)
      end
    end)
  end)

  it("fails when the peer resets in the middle, and says how much had gone", function()
    run(function()
      local a, fd = support.with_peer(4096)
      local _ <close> = a
      local data = pattern(32 << 20)
      local writer = async.spawn(function() return a:write(data) end)
      repeat async.yield() until sys.queued(fd) > 0 -- in the middle of it
      sys.reset(fd)
      local ok, err = writer:await()
      assert.is_nil(ok)
      assert.equal("ECONNRESET", err.code)
      assert.equal("write", err.op)
      assert.is_true(math.type(err.partial) == "integer")
      assert.is_true(err.partial > 0 and err.partial < #data)
      local again, e = a:write("more")
      assert.is_nil(again)
      assert.equal("EPIPE", e.code)
      assert.equal(0, e.partial)
    end)
  end)

  it("fails when the peer has gone, in the process too: no SIGPIPE", function()
    run(function()
      local a, fd = support.with_peer()
      local _ <close> = a
      sys.reset(fd)
      local ok, err = a:read("a")
      assert.is_nil(ok)
      assert.equal("ECONNRESET", err.code)
      ok, err = a:write("x")
      assert.is_nil(ok)
      assert.equal("EPIPE", err.code)
    end)
  end)
end)

describe("a reset", function()
  it("in the middle of a read fails it, and gives what had come before", function()
    run(function()
      local a, fd = support.with_peer()
      local _ <close> = a
      local reader = async.spawn(function() return a:read_exact(100) end)
      async.yield()
      sys.send(fd, "early")
      support.taken(fd, a)
      sys.reset(fd)
      local s, err = reader:await()
      assert.is_nil(s)
      assert.equal("ECONNRESET", err.code)
      assert.equal("early", a:read(100))
    end)
  end)

  it("during connect fails the connect or the first read, and nothing else", function()
    local before = support.fds()
    run(function()
      for _ = 1, 50 do
        local fd, port = sys.listen(1)
        local task = async.spawn(function()
          local conn, err = async.net.connect("127.0.0.1", port)
          if not conn then return err.code end
          local _ <close> = conn
          local s
          s, err = conn:read(1)
          assert.is_nil(s)
          return err and err.code or "end"
        end)
        async.yield()
        async.yield()
        sys.close(fd) -- what is in its backlog is reset
        assert.matches("^ECONN", task:await())
      end
    end)
    assert.equal(before, support.fds())
  end)
end)

describe("cancellation", function()
  it("of a read loses no byte, in whatever way it reads", function()
    run(function()
      local a, fd = support.with_peer()
      local _ <close> = a
      local ways = {
        function() return a:read("L") end, function() return a:read("a") end,
        function() return a:read_exact(50) end, function() return a:read_until("\n") end,
        function() return a:lines()() end, async.future(a.read_exact, a, 60),
        function() return a:read("l", 5, "n") end,
      }
      for i, way in ipairs(ways) do
        sys.send(fd, "part" .. i .. ";")
        local v, err = async.timeout(0.004, way)
        assert.is_nil(v)
        assert.equal("ETIMEDOUT", err.code)
      end
      sys.send(fd, "end\n")
      assert.equal("part1;part2;part3;part4;part5;part6;part7;end", a:read("l"))
      sys.close(fd)
    end)
  end)

  it("at every moment of a long reading loses no byte and repeats none", function()
    run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      local data = pattern(400000)
      local writer = async.spawn(function()
        for i = 1, #data, 777 do
          b:write(data:sub(i, i + 776))
          if i % 2 == 0 then async.yield() end
        end
        b:shutdown()
      end)
      local parts, ended, round = {}, false, 0
      while not ended do
        round = round + 1
        local t = async.spawn(function()
          while true do
            local s = a:read(500)
            if s == nil then ended = true return end
            parts[#parts + 1] = s
            if #parts % 3 == 0 then async.yield() end
          end
        end)
        for _ = 0, round % 4 do async.yield() end
        t:cancel()
        pcall(t.await, t)
      end
      writer:await()
      assert.is_true(table.concat(parts) == data)
    end)
  end)
end)

describe("a slow reader", function()
  it("pushes back on its writer: no more is under way than the system holds", function()
    run(function()
      local a, b = support.pair()
      local _ <close> = support.closing(a, b)
      local chunk, sent, got = ("w"):rep(1 << 16), 0, 0
      local writer = async.spawn(function()
        for _ = 1, 1000 do
          assert(a:write(chunk))
          sent = sent + #chunk
        end
        a:shutdown()
      end)
      local most = 0
      while true do
        local s = b:read(1 << 16)
        if not s then break end
        got = got + #s
        most = math.max(most, sent - got)
      end
      writer:await()
      assert.equal(1000 * #chunk, got)
      assert.is_true(most < 16 << 20)
    end)
  end)
end)
