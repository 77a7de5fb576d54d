-- Cancelled at every await of every operation on files and paths, as spec/cancel_each_spec.lua does;
-- and what has not begun on the pool of threads does not happen.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local sys, fs = support.sys, async.fs

local dir -- no shell makes or removes it, so that tsan can follow
local function fresh()
  dir = os.tmpname()
  os.remove(dir)
  async.run(function() assert(fs.mkdir(dir)) end)
end

local function names()
  local list = {}
  local function look()
    for name in assert(fs.dir(dir)) do list[#list + 1] = name end
  end
  if async.current() then look() else async.run(look) end
  table.sort(list)
  return list
end

local function clear()
  for _, name in ipairs(names()) do assert(os.remove(dir .. "/" .. name)) end
end

local function put(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end
local function get(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

local parts = {}
for i = 1, 25000 do parts[i] = ("%07x\n"):format(i) end
local big = table.concat(parts) -- 200,000 bytes, more than three buffers
parts = nil

-- ---- paths ---------------------------------------------------------------------------------

-- An operation on w.path, a file of the text "old"; `final` sees what has become of it.
local function path_case(case)
  local final = case.final
  function case.world(w)
    clear()
    w.dir, w.path = dir, dir .. "/f"
    put(w.path, "old")
  end
  function case.final(w, done, untouched)
    if final then
      final(w, done, untouched)
    else
      assert.same({ "f" }, names())
      assert.equal("old", get(w.path))
    end
  end
  case.least = 0 -- a thread may be as fast as a turn
  return case
end

-- What is to be there when it was done, and otherwise either that or what was before.
local function one_of(old, new)
  return function(w, done, untouched)
    local now = names()
    for i, name in ipairs(now) do now[i] = name .. "=" .. (get(w.dir .. "/" .. name) or "") end
    now = table.concat(now, " ")
    if done then return assert.equal(new, now) end
    if untouched or now ~= new then assert.equal(old, now) end
  end
end

local function is_there(kind)
  return function(w, done, untouched)
    local st
    async.run(function() st = fs.stat(w.path .. "2") end)
    if done then assert.equal(kind, st.type) end
    if untouched then assert.is_nil(st) end
    os.remove(w.path .. "2/d")
    os.remove(w.path .. "2")
  end
end

local paths = {
  { "fs.open to read", op = function(w) return fs.open(w.path) end },
  { "fs.open to write", op = function(w) return fs.open(w.path, "w") end, final = one_of("f=old", "f=") },
  { "fs.open of a new file", op = function(w) return fs.open(w.path .. "2", "wx") end,
    final = one_of("f=old", "f=old f2=") },
  { "fs.read_file", op = function(w) return fs.read_file(w.path) end, want = { "old" } },
  { "fs.write_file", op = function(w) return fs.write_file(w.path, "new") end, want = { true },
    final = one_of("f=old", "f=new") },
  { "fs.write_file, atomic", op = function(w) return fs.write_file(w.path, "new", { atomic = true }) end,
    want = { true }, final = one_of("f=old", "f=new") },
  { "fs.write_file, append", op = function(w) return fs.write_file(w.path, "new", { append = true }) end,
    want = { true }, final = one_of("f=old", "f=oldnew") },
  { "fs.stat", op = function(w) return fs.stat(w.path).size end, want = { 3 } },
  { "fs.lstat", op = function(w) return fs.lstat(w.path).size end, want = { 3 } },
  { "fs.dir", op = function(w) return (assert(fs.dir(w.dir))()) end, want = { "f" } },
  { "fs.mkdir", op = function(w) return fs.mkdir(w.path .. "2") end, want = { true },
    final = is_there("directory") },
  { "fs.mkdir with parents", op = function(w) return fs.mkdir(w.path .. "2/d", { parents = true }) end,
    want = { true }, final = is_there("directory") },
  { "fs.remove", op = function(w) return fs.remove(w.path) end, want = { true }, final = one_of("f=old", "") },
  { "fs.rename", op = function(w) return fs.rename(w.path, w.path .. "2") end, want = { true },
    final = one_of("f=old", "f2=old") },
  { "several in a row", op = function(w)
      assert(fs.write_file(w.path .. "2", "new", { atomic = true }))
      assert(fs.rename(w.path .. "2", w.path))
      return fs.read_file(w.path)
    end, want = { "new" },
    final = function(w, done)
      assert.equal(done and "new" or get(w.path), get(w.path))
      for _, name in ipairs(names()) do assert.is_true(name == "f" or name == "f2", name) end
      assert.is_true(get(w.path) == "old" or get(w.path) == "new")
    end },
}

-- ---- files ---------------------------------------------------------------------------------

-- An operation on w.file, open on the text `big` for reading and writing.
local function file_case(case)
  local world = case.world
  function case.world(w)
    clear()
    w.path, w.got = dir .. "/f", {}
    put(w.path, big)
    w.file = w.own(assert(fs.open(w.path, "r+")))
    if world then world(w) end
  end
  case.least = 0
  return case
end

-- Reading: the next one goes on behind what the operation returned, and an operation that was
-- cut short returned nothing but what is in w.got.
local function reading(name, op)
  return { name, op = op, after = function(w, done, ...)
    local got = done and { ... } or w.got
    local text = table.concat(got)
    local rest = w.file:read("a")
    assert.is_true(text .. rest == big)
    assert.is_nil(w.file:read(1))
  end }
end

local function is_big(w) assert.is_true(get(w.path) == big) end

-- "new" replaced the beginning whole, or not at all when it was cut short.
local function replaced(w, done)
  local text = get(w.path)
  local new = text:sub(1, 3) == "new"
  if done then assert.is_true(new) end
  assert.is_true(text == (new and "new" .. big:sub(4) or big))
end

local files = {
  reading("file:read('L')", function(w) return w.file:read("L") end),
  reading("file:read of several formats", function(w) return w.file:read("L", 100, "L", 1) end),
  reading("file:read('a')", function(w) return w.file:read("a") end),
  reading("file:read_exact", function(w) return w.file:read_exact(150001) end),
  reading("file:read_until", function(w) return w.file:read_until("6000\n") end),
  reading("file:lines", function(w)
    for s in w.file:lines(30001) do w.got[#w.got + 1] = s end
    return table.concat(w.got)
  end),
  { "file:read_at", op = function(w) return w.file:read_at(80000, 7) == big:sub(80001, 80007) end,
    want = { true }, after = function(w) assert.equal(big:sub(1, 9), w.file:read(9)) end },
  { "file:write, more than a buffer",
    world = function(w) assert(w.file:truncate(0)) end,
    op = function(w) assert.equal(w.file, w.file:write(big:sub(1, 100000), big:sub(100001))) end,
    after = function(w) assert.equal(w.file, w.file:write("|END|")) end,
    final = function(w, done)
      local text = get(w.path)
      local n = #text - 5
      assert.equal("|END|", text:sub(n + 1))
      assert.is_true(text:sub(1, n) == big:sub(1, n))
      if done then assert.equal(#big, n) end
    end },
  { "file:write_at", op = function(w) return w.file:write_at(0, "new") == w.file end, want = { true },
    after = function(w) assert.equal(0, w.file:seek()) end, final = replaced },
  { "file:seek", op = function(w) return w.file:seek("set", 70000) end, want = { 70000 },
    after = function(w, done)
      local at = w.file:seek()
      assert.is_true(at == 70000 or not done and at == 0)
      assert.equal(big:sub(at + 1, at + 9), w.file:read(9))
    end },
  { "file:truncate", op = function(w) return w.file:truncate(8) == w.file end, want = { true },
    final = function(w, done)
      local text = get(w.path)
      assert.is_true(text == big:sub(1, 8) or not done and text == big)
    end },
  { "file:stat", op = function(w) return w.file:stat().size end, want = { #big }, final = is_big },
}
for _, how in ipairs { "flush", "sync", "close" } do
  files[#files + 1] = { "file:" .. how .. " of what was written",
    world = function(w) assert(w.file:write("new")) end,
    op = function(w)
      local r = w.file[how](w.file)
      return r == true or r == w.file
    end,
    want = { true },
    final = function(w) replaced(w, true) end } -- own() closes it: written once, cut short or not
end
files[#files + 1] = { "the end of a <close> scope",
  world = function(w) assert(w.file:seek("end")) end,
  op = function(w)
    local f <close> = assert(fs.open(w.path .. "2", "w"))
    assert(f:write(big))
    w.written = true
  end,
  final = function(w) if w.written then assert.is_true(get(w.path .. "2") == big) end end }

-- A thread of the pool that waits for what never comes cannot be stopped; what comes is not lost.
-- (A paused clock would wait for the thread.)
local fifo = { "file:read from a FIFO", want = { "line" }, least = 1, ways = { "cancel", "timeout(0)" },
  world = function(w)
    clear()
    w.path = dir .. "/p"
    sys.mkfifo(w.path)
    w.other = w.own(assert(io.open(w.path, "r+")))
    w.file = w.own(assert(fs.open(w.path, "r+")))
  end,
  turn = function(w, i)
    if i == 3 then w.other:write("line\n") w.other:flush() w.sent = true end
  end,
  op = function(w) return w.file:read("l") end,
  after = function(w, done)
    if not w.sent then w.other:write("line\n") w.other:flush() end
    if not done then assert.equal("line", w.file:read("l")) end
    w.other:write("next\n")
    w.other:flush()
    assert.equal("next", w.file:read("l"))
  end }

-- ---- all of them ---------------------------------------------------------------------------

describe("cancelled at every await, #nogc #noseeds", function()
  setup(fresh)
  teardown(function()
    clear()
    os.remove(dir)
  end)
  local function covers(case)
    it(case[1], function()
      for _, how in ipairs(case.ways or each.ways) do each.every(case, how) end
    end)
  end
  for _, case in ipairs(paths) do path_case(case) end
  -- Lua's longjmps leave libtsan with frames that never return: it dies of this many.
  if os.getenv("LUA_ASYNC_FLAVOUR") ~= "tsan" then
    for _, case in ipairs(paths) do covers(case) end
    for _, case in ipairs(files) do covers(file_case(case)) end
    covers(fifo)
  end

  -- Every thread of the pool reads a FIFO that is empty, so the operation cannot begin.
  for _, case in ipairs(paths) do
    it("before its turn on the pool came, " .. case[1], function()
      local busy = setmetatable({}, { __index = case })
      function busy.world(w)
        case.world(w)
        w.fifos = {}
        for i = 1, tonumber(os.getenv("UV_THREADPOOL_SIZE") or 4) do
          local path = w.path .. ".p" .. i
          sys.mkfifo(path)
          local other, f = assert(io.open(path, "r+")), assert(fs.open(path, "r+"))
          os.remove(path)
          w.fifos[i] = { other = other, reader = async.spawn(function()
            local _ <close> = f
            return f:read(1)
          end) }
        end
        async.yield()
      end
      function busy.after(w, done)
        assert.is_false(done)
        for _, fifo_of in ipairs(w.fifos) do
          fifo_of.other:write("x")
          fifo_of.other:close()
          assert.equal("x", fifo_of.reader:await())
        end
      end
      function busy.final(w, done) case.final(w, done, true) end
      for _, how in ipairs { "cancel", "timeout(0)" } do
        local _, cut = each.attempt(busy, how, 2)
        assert.is_true(cut)
      end
    end)
  end
end)
