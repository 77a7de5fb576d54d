-- Cancelled at every await of the operations on links, modes, temporary names, copies, trees and
-- watches, as cancel_each_spec.lua beside it does for the others: done, or not done; nothing is left.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local sys, fs = support.sys, async.fs

local dir

local function put(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end
local function get(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

-- What is in w.dir, sorted; without a shell or a task, so that it can be asked anywhere.
local function names(w)
  local list = {}
  local function look()
    for path in assert(fs.walk(w.dir)) do list[#list + 1] = path:sub(#w.dir + 2) end
  end
  if async.current() then look() else async.run(look) end
  table.sort(list)
  return table.concat(list, " ")
end

local big = ("0123456789abcdef"):rep(1 << 14) -- 256 KiB

-- `final`: names after it was done, or before it began.
local function change(name, op, done_names, more)
  return { name, least = 0, op = op, want = { true },
    final = function(w, done)
      local now = names(w)
      if done or now ~= "f" then assert.equal(done_names, now) end
      if more and done then more(w) end
    end }
end

-- What gives a name that was not there: one that was cut short leaves none.
local function made(name, op)
  return { name, least = 0, op = op, final = function(w, done)
    assert.equal(done and "f new" or "f", (names(w):gsub("new%w+", "new")))
  end }
end

local cases = {
  change("fs.symlink", function(w) return fs.symlink("f", w.dir .. "/l") end, "f l"),
  change("fs.link", function(w) return fs.link(w.path, w.dir .. "/l") end, "f l"),
  { "fs.readlink", least = 0, world = function(w) sys.symlink("f", w.dir .. "/l") end,
    op = function(w) return fs.readlink(w.dir .. "/l") end, want = { "f" } },
  { "fs.realpath", least = 0, op = function(w) return (fs.realpath(w.path):match("[^/]*$")) end, want = { "f" } },
  change("fs.chmod", function(w) return fs.chmod(w.path, 384) end, "f"),
  change("fs.chown", function(w) return fs.chown(w.path) end, "f"),
  change("fs.lchown", function(w) return fs.lchown(w.path) end, "f"),
  change("fs.utime", function(w) return fs.utime(w.path, 1, 2) end, "f"),
  change("fs.copy", function(w) return fs.copy(w.path, w.dir .. "/g") end, "f g",
    function(w) assert.is_true(get(w.dir .. "/g") == big) end),
  made("fs.mkdtemp", function(w) return fs.mkdtemp(w.dir .. "/new") end),
  made("fs.mkstemp", function(w) return fs.mkstemp(w.dir .. "/new") end),
  { "fs.remove of a tree", least = 0,
    world = function(w)
      for i = 1, 20 do
        assert(fs.mkdir(w.dir .. "/t/" .. i, { parents = true }))
        put(w.dir .. "/t/" .. i .. "/x", "")
      end
    end,
    op = function(w) return fs.remove(w.dir .. "/t", { recursive = true }) end, want = { true },
    final = function(w, done) if done then assert.equal("f", names(w)) end end },
  { "fs.walk, the first step", least = 0, op = function(w)
      local walk <close> = assert(fs.walk(w.dir))
      return (walk():match("[^/]*$"))
    end, want = { "f" } },
  -- No entry is lost, whichever step was cut short.
  { "steps of a walk", least = 0,
    world = function(w)
      for i = 1, 300 do put(w.dir .. "/" .. ("n"):rep(60) .. i, "") end
      w.walk, w.count = w.own(assert(fs.walk(w.dir))), 0
    end,
    op = function(w)
      for _ in w.walk do w.count = w.count + 1 end
      return w.count
    end, want = { 301 },
    after = function(w)
      for _ in w.walk do w.count = w.count + 1 end
      assert.equal(301, w.count)
    end },
  { "file:datasync", least = 0,
    world = function(w) w.file = w.own(assert(fs.open(w.path, "r+"))) assert(w.file:write("new")) end,
    op = function(w) return w.file:datasync() == w.file end, want = { true },
    final = function(w) assert.equal("new", get(w.path):sub(1, 3)) end },
  -- Of a watch: what comes is there for the next who asks.
  { "a watch", ways = { "cancel", "timeout(0)" },
    first = function() assert(fs.watch(dir)):close() end, -- it opens a descriptor for all of a run
    world = function(w) w.watch = w.own(assert(fs.watch(w.dir))) end,
    turn = function(w, i) if i == 3 then put(w.dir .. "/g", "") w.sent = true end end,
    op = function(w) return w.watch().path == w.dir .. "/g" end, want = { true },
    after = function(w, done)
      if not w.sent then put(w.dir .. "/g", "") end
      if not done then assert.equal(w.dir .. "/g", w.watch().path) end
    end },
  -- In sequence, by blocks: what was read is there for the next.
  { "file:read far into a file", least = 0,
    world = function(w)
      put(w.path, big:rep(8))
      w.file, w.at = w.own(assert(fs.open(w.path))), 0
    end,
    op = function(w)
      for s in w.file:lines(65536) do w.at = w.at + #s end
      return w.at
    end, want = { #big * 8 },
    after = function(w)
      assert.equal(w.at, w.file:seek())
      assert.equal(#big * 8 - w.at, #w.file:read("a"))
    end },
  { "file:write far into a file", least = 0,
    world = function(w) w.file, w.count = w.own(assert(fs.open(w.path, "w"))), 0 end,
    op = function(w)
      for _ = 1, 32 do
        assert(w.file:write(big:sub(1, 65536)))
        w.count = w.count + 1
      end
      return w.count
    end, want = { 32 },
    final = function(w)
      local size = #get(w.path)
      assert.is_true(size >= w.count * 65536 and size <= (w.count + 1) * 65536)
    end },
}

describe("cancelled at every await, #nogc #noseeds", function()
  setup(function()
    dir = os.tmpname()
    os.remove(dir)
    async.run(function()
      assert(fs.mkdir(dir))
    end)
  end)
  teardown(function() async.run(fs.remove, dir, { recursive = true }) end)

  -- Lua's longjmps leave libtsan with frames that never return: it dies of this many.
  if os.getenv("LUA_ASYNC_FLAVOUR") == "tsan" then return end
  for _, case in ipairs(cases) do
    local world = case.world
    function case.world(w)
      w.dir = dir .. "/w"
      w.path = w.dir .. "/f"
      fs.remove(w.dir, { recursive = true })
      assert(fs.mkdir(w.dir))
      put(w.path, big)
      if world then world(w) end
    end
    it(case[1], function()
      for _, how in ipairs(case.ways or each.ways) do each.every(case, how) end
    end)
  end
end)
