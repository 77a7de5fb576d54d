-- async.fs.watch: changes as they come, in real folders.
local async = require "lua_async"
local support = require "spec.support"
local run, sys, fs = support.run, support.sys, async.fs

describe("fs.watch #process", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  -- The next change of that name and kind.
  local function wait_for(watch, name, kind)
    repeat
      local change = assert(watch())
      assert.is_truthy(change.kind)
    until change.path == dir .. name and (not kind or change.kind == kind)
  end

  it("tells what is made, changed, moved and removed in a folder", function()
    run(function()
      local watch <close> = assert(fs.watch(dir))
      assert(fs.write_file(dir .. "/f", "1"))
      wait_for(watch, "/f", "rename")
      wait_for(watch, "/f", "change")
      assert(fs.write_file(dir .. "/f", "2", { append = true }))
      wait_for(watch, "/f", "change")
      assert(fs.rename(dir .. "/f", dir .. "/g"))
      wait_for(watch, "/f", "rename")
      wait_for(watch, "/g", "rename")
      assert(fs.chmod(dir .. "/g", 0))
      wait_for(watch, "/g", "change")
      assert(fs.remove(dir .. "/g"))
      wait_for(watch, "/g", "rename")
    end)
  end)

  it("tells what befalls the folder itself by its own path", function()
    run(function()
      fs.mkdir(dir .. "/r")
      local watch <close> = assert(fs.watch(dir .. "/r"))
      assert(fs.chmod(dir .. "/r", tonumber("700", 8)))
      wait_for(watch, "/r", "change")
      assert(fs.write_file(dir .. "/r/r", "of its name"))
      assert(fs.remove(dir .. "/r/r"))
      wait_for(watch, "/r/r", "change")
      wait_for(watch, "/r/r", "rename")
      assert(fs.remove(dir .. "/r"))
      assert.same({ kind = "rename", path = dir .. "/r" }, watch())
    end)
  end)

  it("tells changes of one file, whose path they have", function()
    run(function()
      assert(fs.write_file(dir .. "/f", "1"))
      local watch <close> = assert(fs.watch(dir .. "/f"))
      assert(fs.write_file(dir .. "/g", "1")) -- another
      assert(fs.write_file(dir .. "/f", "2", { append = true }))
      assert.same({ path = dir .. "/f", kind = "change" }, watch())
    end)
  end)

  it("is the step of a for loop, which closes it; others may watch the same", function()
    run(function()
      local other <close> = assert(fs.watch(dir .. "/"))
      local own = table.pack(fs.watch(dir))
      assert(fs.write_file(dir .. "/f", ""))
      local function first()
        local path
        for change in table.unpack(own, 1, own.n) do
          path = path or change.path
          if path then break end
        end
        return path
      end
      assert.equal(dir .. "/f", first())
      assert.equal("FileWatch (closed)", tostring(own[1]))
      wait_for(other, "/f")
    end)
  end)

  it("does not tell the same twice while nobody looks", function()
    run(function()
      local watch <close> = assert(fs.watch(dir))
      local f <close> = assert(fs.open(dir .. "/f", "w"))
      for _ = 1, 20 do assert(f:write("x"):flush()) end
      assert(fs.write_file(dir .. "/last", ""))
      local n = 0
      repeat
        local change = assert(watch())
        n = n + 1
      until change.path == dir .. "/last"
      assert.is_true(n <= 3, n)
    end)
  end)

  it("tells when it could not keep all changes, and goes on", function()
    run(function()
      local watch <close> = assert(fs.watch(dir))
      for i = 1, 5000 do
        assert(io.open(dir .. "/" .. i, "w")):close()
        if i % 500 == 0 then async.sleep(0.001) end -- libuv takes them off the system
      end
      local n, overflow = 0, false
      repeat
        local change = assert(watch())
        n = n + 1
        overflow = change.kind == "overflow"
        if overflow then assert.equal(dir, change.path) end
      until overflow
      assert.is_true(n > 4000 and n < 5000 * 3)
      assert(fs.write_file(dir .. "/after", ""))
      wait_for(watch, "/after")
    end)
  end)

  it("ends when it is closed; later it is EBADF", function()
    run(function()
      local watch = assert(fs.watch(dir))
      assert.equal("FileWatch (" .. dir .. ")", tostring(watch))
      local t = async.spawn(watch)
      async.yield()
      assert.error_matches(watch, "another task")
      assert.is_true(watch:close())
      local ok, err = t:await()
      assert.is_nil(ok)
      assert.equal("ECANCELED", err.code)
      assert.is_true(watch:close())
      ok, err = watch()
      assert.is_nil(ok)
      assert.equal("EBADF", err.code)
      assert.equal("FileWatch (closed)", tostring(watch))
    end)
  end)

  it("loses nothing by a timeout", function()
    run(function()
      local watch <close> = assert(fs.watch(dir))
      local ok, err = async.timeout(0, watch)
      assert.is_nil(ok)
      assert.equal("ETIMEDOUT", err.code)
      assert(fs.write_file(dir .. "/f", ""))
      wait_for(watch, "/f")
    end)
  end)

  it("fails clearly for what is not there; recursive raises", function()
    run(function()
      local ok, err = fs.watch(dir .. "/no")
      assert.is_nil(ok)
      assert.equal("ENOENT", err.code)
      assert.equal("watch", err.op)
      assert.equal(dir .. "/no", err.path)
      assert.error_matches(function() fs.watch(dir, { recursive = true }) end, "fs.walk")
      assert.error_matches(function() fs.watch(dir, { deep = true }) end, "unknown option")
    end)
    assert.is_false(pcall(fs.watch, dir)) -- outside of a run
  end)

  it("leaves nothing behind when it is forgotten", function()
    local before = support.fds()
    run(function()
      for _ = 1, 50 do assert(fs.watch(dir)) end
      collectgarbage()
      collectgarbage()
      local kept = assert(fs.watch(dir))
      assert(fs.write_file(dir .. "/f", ""))
      async.sleep(0.001)
      return kept
    end)
    assert.equal(before, support.fds())
  end)
end)
