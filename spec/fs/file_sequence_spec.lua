-- Files read and written in sequence: by blocks, ahead and behind, and still as a file is.
local async = require "lua_async"
local support = require "spec.support"
local run, sys, fs = support.run, support.sys, async.fs

-- 8 MB of numbered lines, so that every byte's place can be told.
local parts = {}
for i = 1, 1 << 20 do parts[i] = ("%07x\n"):format(i) end
local big = table.concat(parts)
parts = nil

describe("a file used in sequence #process", function()
  local dir, path
  before_each(function()
    dir = support.folder()
    path = dir .. "/f"
    local f <close> = assert(io.open(path, "wb"))
    f:write(big)
  end)
  after_each(support.clean)

  local function get(name)
    local f <close> = assert(io.open(name, "rb"))
    return f:read("a")
  end

  it("is read whole, whatever the pieces", function()
    run(function()
      for _, n in ipairs { 4096, 65536, 99991, 1 << 20 } do
        local f <close> = assert(fs.open(path))
        local got, at = {}, 0
        while true do
          local s = f:read(n)
          if not s then break end
          got[#got + 1] = s
          at = at + #s
          if #got % 50 == 0 then assert.equal(at, f:seek()) end
        end
        assert.is_true(table.concat(got) == big)
      end
      local f <close> = assert(fs.open(path))
      local n = 0
      for line in f:lines() do
        n = n + 1
        if line ~= ("%07x"):format(n) then error("line " .. n .. " is " .. line) end
      end
      assert.equal(1 << 20, n)
    end)
  end)

  it("is read in lines that do not fit into its blocks", function()
    run(function()
      local long, f = {}, assert(io.open(path, "wb"))
      for i = 1, 60 do
        long[i] = tostring(i) .. ("x"):rep(i * 7919 % 200000)
        f:write(long[i], "\n")
      end
      f:close()
      local file <close> = assert(fs.open(path))
      local i = 0
      for line in file:lines() do
        i = i + 1
        assert.is_true(line == long[i])
      end
      assert.equal(60, i)
    end)
  end)

  it("is where it was after a seek, and sees what is written meanwhile", function()
    run(function()
      local f <close> = assert(fs.open(path, "r+"))
      for _ = 1, 20 do assert(f:read_exact(65536)) end -- far enough to read ahead
      assert(f:seek("set", 100 * 8))
      assert.equal("0000065\n", f:read("L"))
      for _ = 1, 20 do assert(f:read_exact(65536)) end
      local at = f:seek()
      assert.equal(101 * 8 + 20 * 65536, at)
      assert(f:write("WRITTEN\n"))
      assert.equal(big:sub(at + 9, at + 16), f:read("L"))
      assert(f:write_at(at + 16, "THERE, 2"))
      assert.equal("THERE, 2", f:read(8))
      assert.equal("THERE, 2", f:read_at(at + 16, 8))
      assert(f:truncate(at + 100))
      assert.equal(76, #f:read("a"))
      assert.is_nil(f:read(1))
    end)
  end)

  it("that grows is read on from its old end", function()
    run(function()
      local f <close> = assert(fs.open(path))
      while f:read(65536) do end
      assert.is_nil(f:read("l"))
      assert(fs.write_file(path, "more\n", { append = true }))
      assert.equal("more", f:read("l"))
      assert.is_nil(f:read("l"))
      assert(fs.write_file(path, big, { append = true }))
      assert.is_true(f:read("a") == big)
    end)
  end)

  it("is written whole, by lines and by large pieces, numbers too", function()
    run(function()
      local want = {}
      local f = assert(fs.open(path, "w"))
      for i = -1000, 200000 do
        assert.equal(f, f:write(i, " ", i / 2, "\n"))
        want[#want + 1] = i .. " " .. i / 2 .. "\n"
      end
      for _, n in ipairs { math.mininteger, math.maxinteger, 0, -0.0, 1e100 } do
        f:write(n)
        want[#want + 1] = tostring(n)
      end
      f:write(big:sub(1, 700000), "")
      f:write(big:sub(700001))
      want[#want + 1] = big
      want = table.concat(want)
      assert.equal(#want, f:seek())
      assert(f:close())
      assert.is_true(get(path) == want)
    end)
  end)

  it("gives wrong arguments back before anything is written", function()
    run(function()
      local f = assert(fs.open(path, "w"))
      f:write("a")
      assert.error_matches(function() f:write("b", {}) end, "string expected")
      assert.error_matches(function() f:write("b", nil) end, "string expected")
      f:write("c")
      assert(f:close())
      assert.equal("ac", get(path))
    end)
  end)

  it("is copied between many files at once in bounded memory", function()
    local before, most = sys.rss(), 0
    run(function()
      async.scope(function(scope)
        for i = 1, 60 do
          scope:spawn(function()
            local from <close> = assert(fs.open(path))
            local to <close> = assert(fs.open(path .. i, "w"))
            for _ = 1, 24 do
              local s = from:read(65536)
              assert(to:write(s))
            end
            most = math.max(most, sys.rss())
          end)
        end
      end)
    end)
    assert.is_true(get(path .. 60) == big:sub(1, 24 * 65536))
    if not os.getenv("LUA_ASYNC_FLAVOUR") or os.getenv("LUA_ASYNC_FLAVOUR") == "release" then
      -- 120 files with two blocks each would be 120 MB.
      assert.is_true(most - before < 70 << 20, (most - before >> 20) .. " MB")
    end
  end)

  it("lets others have their turn while its lines come from the buffer", function()
    run(function()
      local turns, f = 0, assert(fs.open(path))
      local other = async.spawn(function()
        while true do
          turns = turns + 1
          async.yield()
        end
      end)
      for _ = 1, 100000 do f:read("l") end
      for _ = 1, 100000 do assert(f:seek()) end
      f:close()
      local w = assert(fs.open(path, "w"))
      local before = turns
      for _ = 1, 100000 do w:write("line\n") end
      assert.is_true(turns - before > 500 and before > 500)
      w:close()
      other:cancel()
    end)
  end)
end)
