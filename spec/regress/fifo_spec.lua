-- FIFOs whose other end does not come: what waits for it can be given up, and a run ends.
local async = require "lua_async"
local support = require "spec.support"
local sys, fs = support.sys, async.fs

describe("a FIFO #process", function()
  local path
  before_each(function()
    path = support.folder() .. "/fifo"
    sys.mkfifo(path)
  end)
  after_each(support.clean)

  it("that nobody else opens holds up no run", function()
    for _, what in ipairs {
      "fs.open, path, 'w'", "fs.open, path, 'a'", "fs.write_file, path, 'x'", "fs.read_file, path",
      "function() return assert(fs.open(path)):read() end",
      "function() local f <close> = assert(fs.open(path, 'r+')) return f:read() end",
      "function() local f <close> = assert(fs.open(path)) async.timeout(0.01, f.read, f) return f:read() end",
    } do
      support.child_ok(([[
        local path, fs = %q, async.fs
        async.run(function()
          local v, err = async.timeout(0.05, %s)
          assert(v == nil and err.code == "ETIMEDOUT", tostring(err or v))
        end)
        print "ok"
      ]]):format(path, what), { seconds = 10 })
    end
  end)

  it("that is full holds up no run that gave up writing it", function()
    for _, what in ipairs { "fs.write_file, path, big", "fs.copy, whole, path" } do
      support.child_ok(([[
        local path, fs = %q, async.fs
        local big, whole = ("x"):rep(1 << 20), path .. ".whole"
        async.run(function()
          assert(fs.write_file(whole, big))
          local reader <close> = assert(fs.open(path))
          local writer = async.spawn(%s)
          assert(reader:read(1) == "x") -- it is under way
          writer:cancel()
          assert(pcall(writer.await, writer) == false)
          async.spawn(function() -- the thread is free, as all four are
            for _ = 1, 4 do assert(not async.timeout(0.05, fs.write_file, path, big)) end
            print "ok"
          end):await()
        end)
      ]]):format(path, what), { seconds = 10 })
    end
  end)

  it("does not hold up os.exit", function()
    for _, what in ipairs {
      "fs.read_file, path", "fs.open, path, 'w'", "function() return assert(fs.open(path)):read() end",
      "function() return assert(fs.open(path, 'r+')):write(('x'):rep(1 << 20)):flush() end",
    } do
      local out, code = support.child(([[
        local path, fs = %q, async.fs
        async.run(function()
          async.spawn(%s)
          async.sleep(0.05)
          os.exit(4)
        end)
      ]]):format(path, what), { seconds = 10 })
      assert.same({ "", 4 }, { out, code })
    end
  end)

  it("opens to be read at once, and to be written when somebody reads", function()
    support.run(function()
      local opened = {}
      local writer = async.spawn(function()
        local f = assert(fs.open(path, "w"))
        opened[#opened + 1] = "w"
        return f
      end)
      while writer:status() ~= "waiting" do async.yield() end
      local f <close> = assert(fs.open(path))
      opened[#opened + 1] = "r"
      local reader = async.spawn(function() return f:read("l", "a") end)
      local w = writer:await()
      assert.same({ "r", "w" }, opened)
      local big = ("0123456789"):rep(50000) -- more than a pipe holds
      assert(w:write("line\n", big))
      local closer = async.spawn(function() return w:close() end)
      local line, rest = reader:await()
      assert.is_true(closer:await())
      assert.equal("line", line)
      assert.is_true(rest == big)
      assert.is_nil(f:read())
    end)
  end)

  it("is read and written as a whole", function()
    support.run(function()
      local big = ("0123456789"):rep(50000)
      local reader = async.spawn(fs.read_file, path)
      assert.is_true(fs.write_file(path, big))
      assert.is_true(reader:await() == big)
    end)
  end)

  it("whose read is cut off by a close loses nothing that came before", function()
    support.run(function()
      local f = assert(fs.open(path, "r+"))
      assert(f:write("first\nhalf"):flush())
      assert.equal("first", f:read())
      local reader = async.spawn(function() return f:read() end)
      async.yield()
      assert.is_true(f:close())
      local line, err = reader:await()
      assert.is_nil(line)
      assert.equal("ECANCELED", err.code)
    end)
  end)

  it("is not written by one that was given up before its reader came", function()
    support.run(function()
      for _ = 1, 20 do
        assert.is_nil((async.timeout(0.002, fs.write_file, path, "late")))
        local f = assert(fs.open(path))
        assert.is_nil((async.timeout(0.005, f.read, f, 100)))
        f:close()
      end
    end)
  end)
end)
