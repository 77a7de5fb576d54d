-- Parts: shared objects beside lua_async.so. spec/support/parts/sample is one, built here.
local async = require "lua_async"
local support = require "spec.support"
local run = support.run

-- A command in a shell, with none of what the tests are run with; its output and exit code.
local function sh(command)
  local p = assert(io.popen("unset LD_PRELOAD MAKEFLAGS MFLAGS MAKELEVEL LUA_PATH LUA_CPATH; { " .. command ..
    "\n} 2>&1; echo $?"))
  local text = p:read("a")
  p:close()
  local out, code = text:match("^(.-)(%d+)\n$")
  return out, tonumber(code)
end

local function must(command)
  local out, code = sh(command)
  assert.equal(0, code, command .. "\n" .. out)
  return out
end

local flavour = os.getenv("LUA_ASYNC_FLAVOUR") or "release"
local folder = ({ valgrind = "release", gc = "asan" })[flavour] or flavour

-- The libraries that a program in Lua has mapped at its end.
local function libraries(program)
  local out = must(([[LUA_CPATH="$PWD/build/release/?.so;;" lua5.4 -e '%s ]] ..
    [[for l in io.lines "/proc/self/maps" do print(l) end']]):format(program))
  local list = {}
  for name in out:gmatch "/([^/\n]*%.so[.%d]*)\n" do list[name:gsub("[-.%d]*%.so[.%d]*$", "")] = true end
  return list
end

describe("the module #process", function()
  it("maps no library but libuv and the C library's own", function()
    local before, after = libraries "", libraries [[require "lua_async"]]
    local new = {}
    for name in pairs(after) do
      if not before[name] then new[#new + 1] = name end
    end
    table.sort(new)
    local allowed = { lua_async = true, libuv = true, libpthread = true, libdl = true, librt = true, libm = true }
    for _, name in ipairs(new) do assert.is_true(allowed[name] or false, name) end
    assert.is_true(after.lua_async and after.libuv)
  end)
end)

describe("a part #process", function()
  lazy_setup(function()
    must("make -s PART_DIRS='src spec/support/parts' build/" .. folder .. "/lua_async/sample.so")
  end)

  it("is loaded when it is asked for, and require gives the same table", function()
    assert.is_nil(package.loaded["lua_async.sample"])
    assert.is_nil(rawget(async, "sample"))
    local sample = async.sample
    assert.is_table(sample)
    assert.equal(sample, require "lua_async.sample")
    assert.equal(sample, rawget(async, "sample"))
  end)

  it("may be required first", function()
    local out = support.child [[
      local sample = require "lua_async.sample"
      assert(require "lua_async".sample == sample)
      print "same"
    ]]
    assert.equal("same\n", out)
  end)

  it("works on libuv's pool, with timers, and in futures", function()
    run(function()
      assert.equal(0x3610a686, async.sample.crc32("hello"))
      assert.equal("value", async.sample.after(0.001, "value"))
      assert.same({ 0x3610a686, "x" }, { async.join(async.future(async.sample.crc32, "hello"),
        async.future(async.sample.after, 0, "x")) })
    end)
  end)

  it("raises for misuse, and returns its failures", function()
    run(function()
      local sample = async.sample
      assert.matches("unknown option 'nosuch'", select(2, pcall(sample.after, 1, 2, { nosuch = 1 })))
      assert.matches("'lua_async.sample.after'", select(2, pcall(sample.after, {})))
      local r, e = sample.after(0, 1, { fail = true })
      assert.is_nil(r)
      assert.same({ "EIO", "sample.after" }, { e.code, e.op })
      local t = async.spawn(sample.after, 3600)
      async.yield()
      t:cancel()
      assert.is_true(support.was_cancelled(select(2, pcall(t.await, t))))
    end)
    assert.matches("outside a runtime", select(2, pcall(async.sample.crc32, "x")))
  end)

  it("has classes, whose futures other tasks wake", function()
    run(function()
      local gate <close> = async.sample.gate()
      local t = async.spawn(function() return gate:wait() end)
      async.yield()
      assert.matches("waits for sample.gate", async.dump())
      gate:open()
      assert.is_true(t:await())
      local other = async.sample.gate()
      t = async.spawn(function() return other:wait() end)
      async.yield()
      assert.is_true(other:close())
      assert.equal("ECANCELED", select(2, t:await()).code)
      assert.equal("EBADF", select(2, other:wait()).code)
      assert.matches("lua_async.sample.Gate", tostring(getmetatable(other).__name))
    end)
  end)

  it("has streams of a class of their own, over any other", function()
    run(function()
      local listener <close> = assert(async.net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local client = async.spawn(function() return assert(async.net.connect("127.0.0.1", port)) end)
      local conn <close> = async.sample.count(assert(listener:accept()))
      local peer <close> = client:await()
      assert(peer:write("one\ntwo\n"))
      assert.equal("one", conn:read())
      assert(conn:write("three"))
      assert.equal("three", peer:read_exact(5))
      assert.same({ 8, 5 }, { conn:counts() })
      assert.is_true(conn:fd() > 2)
      assert(peer:shutdown())
      assert.equal("two\n", conn:read("a"))
      assert.equal(8, (conn:counts()))
      local reader = async.spawn(function() return async.sample.count(peer):read() end)
      assert(conn:shutdown())
      assert.is_nil((reader:await()))
    end)
  end)

  it("is there in other threads, and its functions are sent by name", function()
    run(function()
      local there = assert(load [[return require "lua_async".sample.crc32("hello")]])
      assert.equal(0x3610a686, async.thread.spawn(there):await())
      assert.equal(0x3610a686, async.thread.spawn(async.sample.crc32, "hello"):await())
    end)
  end)

  it("that does not exist is nil", function()
    assert.is_nil(async.no_such_part)
    assert.is_nil(async["no such/part"])
    assert.is_nil(async[1])
  end)
end)

if flavour ~= "release" then return end

describe("a checkout with a part #process", function()
  local dir

  -- Everything that is built, with the part in src/ as parts are; objects that are there serve.
  lazy_setup(function()
    dir = support.folder()
    must("cp -a Makefile lua_async.c src include types rockspec tools " .. dir .. " && mkdir " .. dir .. "/build && " ..
      "cp -a build/release build/scripts build/lua_async_version.h " .. dir .. "/build && " ..
      "rm -rf " .. dir .. "/build/release/lua_async && cp -a spec/support/parts/sample " .. dir .. "/src/sample && " ..
      "mv " .. dir .. "/src/sample/*.rockspec " .. dir .. "/rockspec/")
  end)
  lazy_teardown(support.clean)

  local function here(command) return sh("cd " .. dir .. " && " .. command) end
  local function must_here(command) return must("cd " .. dir .. " && " .. command) end

  -- A program beside the tree of rocks, in another folder.
  local function program(tree, text)
    return sh(("cd / && LUA_CPATH='%s/%s/lib/lua/5.4/?.so' lua5.4 -e '%s'"):format(dir, tree, text))
  end

  it("builds it, or says what it lacks", function()
    assert.not_matches("left out", must_here "make build")
    must_here "test -f build/lua_async/sample.so"
    must_here "sed -i 's/:= zlib$/:= no-such-library/' src/sample/part.mk"
    assert.matches("left out: lua_async.sample, which needs zlib%-dev", must_here "make build")
    local out, code = here "make PARTS=sample build"
    assert.equal(2, code)
    assert.matches("the part 'sample' needs zlib%-dev", out)
    out, code = here "make PARTS=telepathy build"
    assert.equal(2, code)
    assert.matches("there is no part 'telepathy' in this checkout; it has: sample", out)
    must_here "sed -i 's/:= no-such-library$/:= zlib/' src/sample/part.mk"
  end)

  local make = "luarocks --lua-version=5.4 --tree=tree make rockspec/"

  it("installs the runtime and then the part by luarocks, found from another folder", function()
    must_here(make .. "lua_async-dev-1.rockspec")
    must_here "test ! -e tree/lib/lua/5.4/lua_async/sample.so"
    local out = program("tree", [[print(pcall(function() return require "lua_async".sample end))]])
    assert.matches("the part 'lua_async.sample' is not installed", out)
    assert.matches("luarocks install lua_async%-sample", out)
    assert.matches("make PARTS=sample install", out)
    assert.matches("it needs zlib%-dev", out)
    must_here(make .. "lua_async-sample-dev-1.rockspec")
    local use = [[local a = require "lua_async" a.run(function() print(a.sample.crc32("hello")) end)]]
    assert.equal("907060870\n", (program("tree", use)))
    assert.equal("907060870\n", (program("tree", [[require "lua_async.sample" ]] .. use)))
    must_here "cp -a tree moved"
    assert.equal("907060870\n", (program("moved", [[require "lua_async.sample" ]] .. use)))
  end)

  it("installs both by make", function()
    must_here "make install PREFIX=$PWD/prefix"
    assert.equal("907060870\n", (program("prefix",
      [[local a = require "lua_async" a.run(function() print(a.sample.crc32("hello")) end)]])))
  end)

  local ask = [[print(pcall(function() return require "lua_async".sample end))]]

  it("makes a part of another version refuse, with both", function()
    must_here "make VERSION=9.9.9 part && cp build/lua_async/sample.so moved/lib/lua/5.4/lua_async/"
    assert.matches("lua_async.sample is of version 9.9.9, lua_async of 0.1.0", (program("moved", ask)))
    assert.matches("9.9.9", (program("moved", [[print(pcall(require, "lua_async.sample"))]])))
  end)

  it("makes a part that was built from other sources refuse", function()
    must_here "echo '/* new */' >src/core/new.h && make part"
    must_here "cp build/lua_async/sample.so moved/lib/lua/5.4/lua_async/"
    assert.matches("both of version 0.1.0, but were built from different sources", (program("moved", ask)))
  end)

  it("makes a part refuse a second copy of the runtime", function()
    must_here "mkdir other && cp tree/lib/lua/5.4/lua_async.so other/"
    local out = sh(("cd / && LUA_CPATH='%s/other/?.so;%s/tree/lib/lua/5.4/?.so' lua5.4 -e '%s'"):format(dir, dir,
      [[print(pcall(require, "lua_async.sample"))]]))
    assert.matches("another copy of lua_async.so", out)
  end)
end)
