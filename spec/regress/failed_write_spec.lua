-- A File whose write failed keeps the bytes and tries again, and never says that they are written
-- while they are not.
local async = require "lua_async"
local support = require "spec.support"
local sys = support.sys

describe("a File whose write failed #process", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  local PRELUDE = [[
    local dir, fs = %q, async.fs
    local function fill() -- leaves no room, but for what is in the last page of a file
      local r = assert(io.open(dir .. "/room", "w"))
      r:setvbuf "no"
      while r:write(("r"):rep(4096)) do end
      r:close()
    end
    local function make_room() os.remove(dir .. "/room") end
    local function get(name) return assert(fs.read_file(dir .. "/" .. (name or "f"))) end
    local function full(what, ok, err)
      assert(ok == nil and err.code == "ENOSPC", what .. ": " .. tostring(err or ok))
      return err
    end
  ]]

  -- `text` runs in a task, on a file system of `size` of its own, which ends with its process.
  local function on_tmpfs(size, text, after)
    local mount = ("mount -t tmpfs -o size=%s tmpfs %s"):format(size, dir)
    if not sys.root() or not os.execute("unshare -m sh -c '" .. mount .. "' 2>/dev/null") then
      return pending("nothing can be mounted here")
    end
    local last = after or ""
    return support.child_ok(PRELUDE:format(dir) .. "async.run(function()" .. text .. " end) print 'ok'",
      { under = ("unshare -m sh -c '%s && \"$@\" %s' sh"):format(mount, last), seconds = 60 })
  end

  for _, how in ipairs { "flush", "sync", "datasync", "seek" } do
    it("fails each " .. how .. " until the bytes are written", function()
      on_tmpfs("64k", ([[
        for _, mode in ipairs { "w", "a", "w+", "a+" } do
          fill()
          local f = assert(fs.open(dir .. "/f", mode))
          assert(f:write("hello"))
          local function try() return f:%s("end") end
          full("first", try())
          full("second", try())
          full("write", f:write("more"))
          assert(get() == "")
          make_room()
          assert(try())
          assert(get() == "hello", mode)
          assert(f:write(" again") and f:close())
          assert(get() == "hello again", mode)
          assert(fs.remove(dir .. "/f"))
        end
      ]]):format(how))
    end)
  end

  it("tries once more at close, which says how that ended", function()
    on_tmpfs("64k", [[
      for _, room in ipairs { true, false } do
        fill()
        local f = assert(fs.open(dir .. "/f", "w"))
        assert(f:write("hello"))
        full("flush", f:flush())
        if room then make_room() assert(f:close()) else full("close", f:close()) end
        assert(get() == (room and "hello" or ""))
        assert(f:close() and fs.remove(dir .. "/f"))
      end
    ]])
  end)

  it("accepts no more while the failure stands, and loses nothing of what it accepted", function()
    on_tmpfs("5m", [[
      local piece = {}
      for i = 1, 8192 do piece[i] = ("%07d\n"):format(i) end
      piece = table.concat(piece)
      for _, mode in ipairs { "w", "a" } do
        local r = assert(io.open(dir .. "/room", "w"))
        r:write(("r"):rep(1 << 20)) r:close()
        local f, sent = assert(fs.open(dir .. "/f", mode)), {}
        local function put(s)
          local ok, err = f:write(s)
          if not ok then full("write", ok, err) end
          local n = ok and #s or err.partial
          sent[#sent + 1] = s:sub(1, n)
          return n
        end
        while put(piece) == #piece do end
        local more = 0
        for _ = 1, 200 do more = more + put(piece) end
        assert(more == 0, more)
        full("flush", f:flush())
        full("sync", f:sync())
        local all = table.concat(sent)
        local size = fs.stat(dir .. "/f").size
        assert(#all - size <= 2 * (512 << 10) and #all > size, #all - size)
        assert(f:seek() == #all or mode == "a")
        make_room()
        assert(put("the end\n") == 8)
        assert(f:flush() and f:sync() and f:close())
        assert(get() == all .. "the end\n", mode)
        assert(fs.remove(dir .. "/f"))
      end
    ]])
  end)

  it("fails what would go by the file without these bytes, and changes nothing", function()
    on_tmpfs("64k", [[
      assert(fs.write_file(dir .. "/f", "old"))
      assert(fs.write_file(dir .. "/g", "ggg"))
      fill()
      local f, g = assert(fs.open(dir .. "/f", "r+")), assert(fs.open(dir .. "/g"))
      f:seek("set", 3)
      local long = ("n"):rep(5000)
      f:write(long)
      full("flush", f:flush())
      full("read", f:read("a"))
      full("read_at", f:read_at(0, 3))
      full("stat", f:stat())
      full("write_at", f:write_at(0, "xxx"))
      full("truncate", f:truncate(1))
      full("copy", async.copy(g, f))
      assert(f:seek() == 5003)
      assert(select(2, pcall(f.fd, f)) == nil)
      make_room()
      assert(f:stat().size == 5003)
      assert(f:read_at(0, 4) == "oldn" and f:seek("set") == 0 and f:read("a") == "old" .. long)
    ]])
  end)

  it("fails writes and reads that do not wait", function()
    on_tmpfs("64k", [[
      fill()
      local f = assert(fs.open(dir .. "/f", "w+"))
      f:write("hello")
      local function try(how, arg)
        while true do
          local ok, err = f[how](f, arg)
          if ok or err.code ~= "EAGAIN" then return ok, err end
          async.sleep(0.001)
        end
      end
      for _ = 1, 2 do
        full("flush", f:flush())
        full("try_write", try("try_write", "more"))
        full("try_read", try("try_read", 10))
      end
      make_room()
      assert(try("try_write", " more") and f:flush() and get() == "hello more")
    ]])
  end)

  it("is written by a cancelled flush, or the next one", function()
    on_tmpfs("64k", [[
      fill()
      local f = assert(fs.open(dir .. "/f", "w"))
      f:write("hello")
      local expected = "hello"
      for i = 1, 20 do
        local t = async.spawn(f.flush, f)
        for _ = 1, i % 4 do async.yield() end
        t:cancel()
        pcall(t.await, t)
        -- accepted while nobody knows yet that the disk is full
        if async.timeout(0, f.write, f, " more") then expected = expected .. " more" end
      end
      full("flush", f:flush())
      make_room()
      assert(f:flush() and get() == expected)
    ]])
  end)

  it("and is left open, is written as the run or the process ends", function()
    for _, ending in ipairs { "", "os.exit(0)", "os.exit(0, true)", "f = nil collectgarbage() collectgarbage()" } do
      on_tmpfs("64k", ([[
        fill()
        local f = assert(fs.open(dir .. "/f", "w"))
        f:write("ok\n")
        full("flush", f:flush())
        make_room()
        %s
      ]]):format(ending), "&& cat " .. dir .. "/f")
    end
  end)

  it("that an operation has returned is not told again when the run or the process ends", function()
    for _, ending in ipairs { "return", "os.exit(0)", "os.exit(0, true)" } do
      local text = support.child(([[
        async.run(function()
          local f = assert(async.fs.open("/dev/full", "w"))
          assert(f:write("lost") and not f:flush())
          assert(async.stdout:write("lost"))
          while async.stdout:write("lost") do end
          %s
        end)
        io.stderr:write("ended\n")
      ]]):format(ending), { before = "sh -c 'exec \"$@\" >/dev/full' sh" })
      assert.equal(ending == "return" and "ended\n" or "", text)
    end
  end)
end)

describe("a File whose write failed", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  it("raises nothing at the end of its scope once the failure has been returned", function()
    support.run(function()
      local function write(how)
        local f <close> = assert(async.fs.open("/dev/full", "w"))
        assert(f:write("hello"))
        return f[how](f)
      end
      local ok, err = write("flush")
      assert.is_nil(ok)
      assert.equal("ENOSPC", err.code)
      ok, err = pcall(write, "fd") -- which did not look
      assert.is_false(ok)
      assert.equal("ENOSPC", err.code)
    end)
  end)

  it("and is a FIFO, has its bytes for the next reader", function()
    support.run(function()
      sys.mkfifo(dir .. "/fifo")
      local reading = async.spawn(async.fs.open, dir .. "/fifo")
      local f <close> = assert(async.fs.open(dir .. "/fifo", "w"))
      assert(reading:await():close())
      assert(f:write("hello"))
      for _ = 1, 3 do
        local ok, err = f:flush()
        assert.is_nil(ok)
        assert.equal("EPIPE", err.code)
      end
      local r <close> = assert(async.fs.open(dir .. "/fifo"))
      assert(f:flush())
      assert(f:write(" again\n"):flush())
      assert.equal("hello again", r:read())
    end)
  end)
end)
