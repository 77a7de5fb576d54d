-- async.fs.walk and remove of whole trees: everything, nothing outside, however deep.
local async = require "lua_async"
local support = require "spec.support"
local run, sys, fs = support.run, support.sys, async.fs

local function put(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text or "")
end

-- A chain of `depth` folders below `dir`, and a file beside each.
local function chain(dir, depth)
  assert(os.execute(([[cd '%s' && python3 -c "
import os
for i in range(%d):
    open('leaf', 'w').close()
    os.mkdir('folder')
    os.chdir('folder')
"]]):format(dir, depth)))
end

local dir

-- The child finds that "victim", as it opens it, has become a link to the folder "outside".
local function swapping()
  return { under = ('env SWAP_TO=%s/outside LD_PRELOAD="$LD_PRELOAD ./build/spec/swap.so"'):format(dir) }
end

describe("fs.walk #process", function()
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  -- What comes, below `root`: "name:type[:code]", sorted unless it is to stay in order.
  local function walked(root, options, in_order)
    local list = {}
    for path, kind, err in assert(fs.walk(root, options)) do
      assert.equal(root, path:sub(1, #root))
      list[#list + 1] = path:sub(#root + 2) .. ":" .. kind .. (err and ":" .. err.code or "")
      if err then assert.equal(path, err.path) end
    end
    if not in_order then table.sort(list) end
    return table.concat(list, " ")
  end

  local function tree()
    assert(fs.mkdir(dir .. "/a/b", { parents = true }))
    put(dir .. "/a/b/x")
    put(dir .. "/y")
    sys.mkfifo(dir .. "/p")
    sys.symlink("a", dir .. "/l")
  end

  it("gives all that is below, and what it is", function()
    run(function()
      tree()
      assert.equal("a/b/x:file a/b:directory a:directory l:link p:fifo y:file", walked(dir))
      assert.equal("a:directory l:link p:fifo y:file", walked(dir, { max_depth = 1 }))
      assert.equal("a/b:directory a:directory l:link p:fifo y:file", walked(dir, { max_depth = 2 }))
      assert.equal("", walked(dir .. "/a/b/..//b", { max_depth = 1 }):gsub("x:file", ""))
      assert.equal("b/x:file b:directory", walked(dir .. "/l")) -- the root may be a link
    end)
  end)

  it("gives a folder before or after what is in it", function()
    run(function()
      tree()
      fs.remove(dir .. "/y")
      fs.remove(dir .. "/p")
      fs.remove(dir .. "/l")
      assert.equal("a:directory a/b:directory a/b/x:file", walked(dir, { order = "pre" }, true))
      assert.equal("a/b/x:file a/b:directory a:directory", walked(dir, { order = "post" }, true))
    end)
  end)

  it("follows links if it is told to, and sees when they go in a circle", function()
    run(function()
      tree()
      sys.symlink("..", dir .. "/a/up")
      sys.symlink("nowhere", dir .. "/broken")
      assert.equal("a/b/x:file a/b:directory a/up:directory:ELOOP a:directory broken:link l/b/x:file "
        .. "l/b:directory l/up:directory:ELOOP l:directory p:fifo y:file", walked(dir, { follow = true }))
    end)
  end)

  it("tells of a folder that cannot be read, and goes on", function()
    run(function() tree() end)
    if not sys.root() then -- who may read all; see faults_spec.lua
      os.execute("chmod 0 " .. dir .. "/a/b")
      run(function()
        assert.equal("a/b:directory:EACCES a:directory l:link p:fifo y:file", walked(dir))
        os.execute("chmod 700 " .. dir .. "/a/b")
      end)
    end
  end)

  it("fails for a root that is not there, or no folder", function()
    run(function()
      put(dir .. "/f")
      for path, code in pairs { ["/no"] = "ENOENT", ["/f"] = "ENOTDIR" } do
        local w, err = fs.walk(dir .. path)
        assert.is_nil(w)
        assert.equal(code, err.code)
        assert.equal(dir .. path, err.path)
      end
      assert.is_false(pcall(fs.walk, dir, { order = "sideways" }))
      assert.is_false(pcall(fs.walk, dir, { max_depth = 0 }))
    end)
  end)

  it("skips a folder, wherever in a batch that is", function()
    run(function()
      for i = 1, 40 do
        assert(fs.mkdir(("%s/d%d/e"):format(dir, i), { parents = true }))
        for k = 1, 12 do put(("%s/d%d/e/%s%d"):format(dir, i, ("n"):rep(40), k)) end
      end
      local seen, walk = {}, assert(fs.walk(dir))
      for path in walk do
        seen[#seen + 1] = path
        if path:match("/d%d*[13579]$") then walk:skip() end
      end
      assert.equal(20 * 14 + 20, #seen)
      for _, path in ipairs(seen) do assert.is_nil(path:match("/d%d*[13579]/")) end
    end)
  end)

  it("holds few descriptors, however deep the tree is", function()
    run(function() chain(dir, 600) end)
    local before = support.fds()
    run(function()
      local n, deepest, most = 0, 0, 0
      for path in assert(fs.walk(dir)) do
        n = n + 1
        if #path > deepest then deepest = #path end
        if n % 50 == 0 then most = math.max(most, sys.fds()) end
      end
      assert.equal(1200, n)
      assert.equal(#dir + 600 * 7, deepest)
      assert.is_true(most - before < 40, most .. " descriptors")
    end)
    assert.equal(before, support.fds())
  end)

  it("does not leave the tree when a folder is moved out of it", function()
    local root, outside = dir .. "/root", dir .. "/outside"
    run(function()
      assert(fs.mkdir(root))
      assert(fs.mkdir(outside))
      put(outside .. "/secret")
      chain(root, 60)
      local middle = root .. ("/folder"):rep(10)
      local moved
      for path in assert(fs.walk(root)) do
        assert.is_nil(path:find("secret", 1, true))
        assert.equal(root, path:sub(1, #root))
        if not moved and #path > #root + 7 * 20 then
          moved = true
          assert(fs.rename(middle, outside .. "/middle"))
        end
      end
      assert.is_true(moved)
    end)
  end)

  it("does not follow a link that comes to be in a folder's place", function()
    assert(os.execute(("mkdir -p %s/root/victim %s/outside && touch %s/outside/secret"):format(dir, dir, dir)))
    local out = support.child_ok(([[
      async.run(function()
        for path, kind, err in assert(async.fs.walk(%q)) do print(path, kind, err and err.code) end
      end)
      print "ok"
    ]]):format(dir .. "/root"), swapping())
    assert.is_nil(out:find("secret", 1, true))
    assert.matches("victim\tdirectory\tE", out)
    assert.equal("link", run(function() return fs.lstat(dir .. "/root/victim").type end)) -- it was swapped
  end)

  it("is a handle: closed, it ends; in use, it cannot be called again", function()
    run(function()
      for i = 1, 300 do put(dir .. "/" .. ("n"):rep(60) .. i) end
      local w = assert(fs.walk(dir))
      assert.matches("^Walk %(0x", tostring(w))
      while true do -- until the batch is used up: then a call waits
        local t = async.spawn(w)
        async.yield()
        if t:status() ~= "done" then
          assert.error_matches(w, "another task")
          assert.is_true(w:close())
          local ok, err = t:await()
          assert.is_nil(ok)
          assert.equal("ECANCELED", err.code)
          break
        end
        assert(t:await())
      end
      assert.is_true(w:close())
      local ok, err = w()
      assert.is_nil(ok)
      assert.equal("EBADF", err.code)
      assert.equal("Walk (closed)", tostring(w))
    end)
  end)

  it("leaves nothing behind when it is not finished", function()
    local before = support.fds()
    run(function()
      chain(dir, 30)
      local kept
      for _ = 1, 10 do
        kept = assert(fs.walk(dir))
        kept()
        local other <close> = assert(fs.walk(dir))
        other()
      end
      collectgarbage()
      collectgarbage()
      return kept
    end)
    assert.equal(before, support.fds())
  end)
end)

describe("fs.remove, recursive, #process", function()
  local all = { recursive = true }
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  it("removes whatever it is, and follows no link", function()
    run(function()
      put(dir .. "/kept")
      assert(fs.mkdir(dir .. "/keep"))
      put(dir .. "/keep/f")
      assert(fs.mkdir(dir .. "/t/a/b/c", { parents = true }))
      put(dir .. "/t/a/f")
      sys.mkfifo(dir .. "/t/a/p")
      sys.symlink("../../keep", dir .. "/t/a/l")
      sys.symlink("..", dir .. "/t/a/b/up")
      assert.is_true(fs.remove(dir .. "/t//", all))
      sys.symlink("keep", dir .. "/l")
      assert.is_true(fs.remove(dir .. "/l/", all)) -- the link, not what it leads to
      assert.is_true(fs.remove(dir .. "/kept", all))
      assert.equal("keep/f", (assert(fs.walk(dir, { order = "post" }))():sub(#dir + 2)))
      local left = 0
      for _ in assert(fs.dir(dir)) do left = left + 1 end
      assert.equal(1, left)
    end)
  end)

  it("refuses the root, '.' and '..'", function()
    run(function()
      for _, path in ipairs { "/", "//", ".", "..", dir .. "/.", dir .. "/..", dir .. "/../" } do
        local ok, err = fs.remove(path, all)
        assert.is_nil(ok)
        assert.equal("EINVAL", err.code)
      end
      local ok, err = fs.remove(dir .. "/no", all)
      assert.is_nil(ok)
      assert.equal("ENOENT", err.code)
      assert.equal("ENOENT", select(2, fs.remove("", all)).code)
    end)
  end)

  it("removes trees that are deep, and folders that are large", function()
    run(function()
      chain(dir, 3000)
      assert(os.execute(("mkdir %s/many && cd %s/many && seq 20000 | xargs touch"):format(dir, dir)))
      assert.is_true(fs.remove(dir .. "/folder", all))
      assert.is_true(fs.remove(dir .. "/many", all))
      assert.equal(dir .. "/leaf", (assert(fs.walk(dir))()))
    end)
  end)

  it("does not follow a link that comes to be in a folder's place", function()
    for _, root in ipairs { "root", "root/victim" } do
      os.execute(("cd %s; rm -rf *; mkdir -p root/victim/sub outside && touch outside/kept"):format(dir))
      support.child_ok(([[
        async.run(function() assert(async.fs.remove(%q, { recursive = true })) end)
        print "ok"
      ]]):format(dir .. "/" .. root),
        swapping())
      run(function()
        assert.equal("file", fs.stat(dir .. "/outside/kept").type)
        assert.is_nil(fs.lstat(dir .. "/root/victim"))
        assert.equal(root == "root", fs.lstat(dir .. "/root") == nil)
      end)
    end
  end)
end)
