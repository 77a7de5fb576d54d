-- A copy from a File waits for room with a piece in the File's own buffer, and another task moves the File: the
-- piece was gone, and what was sent had the length -1. And the byte of a copy that was given up, which libuv had
-- still to write: the close that followed dropped it, though it had been counted.
local async = require "lua_async"
local support = require "spec.support"

local text

local function make_text()
  local lines = {}
  for i = 1, text and 0 or 1200000 do lines[i] = ("%07d "):format(i) end
  text = text or table.concat(lines)
end

-- A File of `text`, the two ends of a connection, and a copy between them that waits for room.
local function waiting()
  local path = support.folder() .. "/f"
  assert(async.fs.write_file(path, text))
  local from, to, peer = assert(async.fs.open(path, "r+")), support.pair()
  local copy = async.spawn(async.copy, from, to)
  return copy, from, to, peer, support.still(function() return from:seek() end, #text), path
end

describe("a File from which a copy reads #seldom", function()
  before_each(make_text)
  after_each(support.clean)

  it("may be moved: the piece that was read goes, and then what is there #large", function()
    local moves = {
      seek = function(from, at) assert.equal(0, from:seek("set", 0)) return text:sub(1, at) .. text end,
      ["seek from the end"] = function(from, at)
        assert.equal(#text - 8, from:seek("end", -8))
        return text:sub(1, at) .. text:sub(-8)
      end,
      write = function(from, at) assert(from:write("W")) return text:sub(1, at) .. text:sub(at + 2) end,
      write_at = function(from, at)
        assert(from:write_at(at, "W"))
        return text:sub(1, at) .. "W" .. text:sub(at + 2)
      end,
      truncate = function(from, at) assert(from:truncate(at)) return text:sub(1, at) end,
    }
    for name, move in pairs(moves) do
      support.run(function()
        local copy, from, to, peer, at = waiting()
        local _ <close> = support.closing(from, to, peer)
        assert.is_true(at > 0 and at < #text)
        local want = move(from, at)
        local all = async.spawn(peer.read, peer, "a")
        assert.equal(#want, copy:await(), name)
        to:close()
        assert.is_true(all:await() == want, name)
      end)
    end
  end)

  it("is where it was moved to when the copy is cancelled #large", function()
    for _, move in ipairs { "seek", "write" } do
      support.run(function()
        local copy, from, to, peer, at, path = waiting()
        local _ <close> = support.closing(from, to, peer)
        if move == "seek" then assert.equal(8, from:seek("set", 8)) else assert(from:write("W")) end
        copy:cancel()
        pcall(copy.await, copy)
        assert.equal(move == "seek" and 8 or at + 1, from:seek())
        assert.equal(move == "seek" and "0000002 " or text:sub(at + 2, at + 9), from:read_exact(8))
        if move == "write" then
          assert(from:flush())
          assert.is_true(async.fs.read_file(path) == text:sub(1, at) .. "W" .. text:sub(at + 2))
        end
      end)
    end
  end)
end)

describe("a byte of a copy that was cancelled #seldom", function()
  before_each(make_text)
  after_each(support.clean)

  it("is waited for by flush #large", function()
    support.run(function()
      local copy, from, to, peer = waiting()
      local _ <close> = support.closing(from, to, peer)
      copy:cancel()
      pcall(copy.await, copy)
      local all = async.spawn(peer.read, peer, "a")
      assert.equal(to, to:flush())
      assert.equal(to, to:flush()) -- there is nothing more to wait for
      to:close()
      assert.is_true(all:await() .. from:read("a") == text)
    end)
  end)

  it("is waited for by one task at a time, and a close ends that #large", function()
    support.run(function()
      local copy, from, to, peer = waiting()
      local _ <close> = support.closing(from, to, peer)
      copy:cancel()
      pcall(copy.await, copy)
      local flush = async.spawn(to.flush, to)
      async.yield()
      for _, f in ipairs { to.flush, to.shutdown } do
        local ok, err = pcall(f, to)
        assert.is_false(ok)
        assert.matches("only one task may write at a time", tostring(err))
      end
      to:close()
      local ok, err = flush:await()
      assert.is_nil(ok)
      assert.equal("ECANCELED", err.code)
      ok, err = to:flush()
      assert.is_nil(ok)
      assert.equal("EBADF", err.code)
    end)
  end)

  it("goes with a close, if there is room by then #large", function()
    support.run(function()
      local path = support.folder() .. "/f"
      assert(async.fs.write_file(path, text))
      local from <close> = assert(async.fs.open(path))
      local to, fd = support.with_peer()
      local copy = async.spawn(async.copy, from, to)
      support.still(function() return from:seek() end, #text)
      copy:cancel()
      pcall(copy.await, copy)
      local gone, got = from:seek(), {} -- one of them has still to be written
      local count = 0
      while count < gone - 1 do -- the loop has no turn meanwhile
        local s = support.sys.recv(fd, gone - 1 - count)
        if s then
          got[#got + 1] = s
          count = count + #s
        end
      end
      to:close()
      local last
      repeat last = support.sys.recv(fd, 2) until last
      support.sys.close(fd)
      assert.is_true(table.concat(got) .. last == text:sub(1, gone))
    end)
  end)
end)
