-- async.map: order, the limit, sources of each kind, errors and cancellation.
local async = require "lua_async"
local support = require "spec.support"
local each = require "spec.support.cancel_each"
local steps = require "spec.support.steps"
local map, spawn, time = async.map, async.spawn, async.time
local guard = each.guard
local forever, spin, run = steps.forever, steps.spin, steps.run
local fails, took, tasks = steps.fails, steps.took, steps.tasks

local function count(n) -- an iterator of 1 … n
  local i = 0
  return function()
    if i < (n or math.huge) then i = i + 1 return i end
  end
end
-- A function that sleeps, and the most calls of it that there were at once.
local function counted(s)
  local c = { now = 0, most = 0, calls = 0 }
  function c.f(x)
    c.now, c.calls = c.now + 1, c.calls + 1
    c.most = math.max(c.most, c.now)
    local _ <close> = guard(function() c.now = c.now - 1 end)
    async.sleep(s or 1)
    return x
  end
  return c
end

describe("async.map #notsan #nogc", function()
  it("returns the first values in the order of the items, whoever ends first", function()
    run(function()
      local order = {}
      local t, r = took(map, { 3, 1, 2 }, function(x)
        async.sleep(x)
        order[#order + 1] = x
        return x * 10, "second"
      end)
      assert.equal(3, t)
      assert.same({ 30, 10, 20 }, r)
      assert.same({ 1, 2, 3 }, order)
      assert.equal(1, tasks())
    end)
  end)

  it("of nothing is an empty list, a new one", function()
    run(function()
      local list = {}
      local r = map(list, forever)
      assert.same({}, r)
      assert.are_not.equal(list, r)
      assert.same({}, map(function() end, forever))
      assert.same({}, map({ nil, 2 }, forever)) -- a list ends at its first nil
    end)
  end)

  it("keeps the places of nil results, and of none", function()
    run(function()
      local r = map({ 1, 2, 3, 4 }, function(x)
        if x == 2 then return nil end
        if x == 3 then return end
        return x
      end)
      assert.equal(1, r[1])
      assert.is_nil(r[2])
      assert.is_nil(r[3])
      assert.equal(4, r[4])
      assert.same({ false, true }, map({ 1, 2 }, function(x) return x == 2 end))
    end)
  end)

  it("calls each in a task of its own", function()
    run(function()
      local ids, here = {}, async.current()
      map({ 1, 2, 3 }, function() ids[async.current().id] = true assert.not_equal(here, async.current()) end)
      local n = 0
      for _ in pairs(ids) do n = n + 1 end
      assert.equal(3, n)
    end)
  end)

  it("passes a list's item alone, and all the values of an iterator", function()
    run(function()
      assert.same({ 1, 1 }, map({ "a", "b" }, function(...) return select("#", ...) end))
      local i = 0
      local r = map(function()
        i = i + 1
        if i < 4 then return i, nil, i * 2, nil end
      end, function(...) return { n = select("#", ...), ... } end)
      assert.same({ n = 4, 1, nil, 2, nil }, r[1])
      assert.same({ n = 4, 3, nil, 6, nil }, r[3])
      assert.equal(3, #r)
      assert.same({ "x=1", "y=2" }, map(("x=1 y=2"):gmatch("(%w)=(%w)"), function(k, v) return k .. "=" .. v end))
    end)
  end)

  it("takes callable objects as source and as function, and lists with metamethods", function()
    run(function()
      local next_item = count(3)
      local source = setmetatable({}, { __call = function(_, ...)
        assert.equal(0, select("#", ...))
        return next_item()
      end })
      local f = setmetatable({}, { __call = function(_, x) async.yield() return -x end })
      assert.same({ -1, -2, -3 }, map(source, f))
      local list = setmetatable({}, { __index = function(_, i) if i <= 4 then return i end end })
      assert.same({ -1, -2, -3, -4 }, map(list, f, { limit = 2 }))
    end)
  end)

  it("takes the module's own iterators: a channel, an interval", function()
    run(function()
      local tx, rx = async.channel(2)
      spawn(function()
        local out <close> = tx
        for i = 1, 5 do out:send(i) async.sleep(1) end
      end)
      assert.same({ 2, 4, 6, 8, 10 }, map(rx, function(x) return x * 2 end, { limit = 2 }))
      local interval = time.interval(1)
      local n = 0
      local r = map(interval, function(at)
        n = n + 1
        if n == 3 then interval:close() end
        return math.type(at)
      end)
      assert.same({ "float", "float", "float" }, { r[1], r[2], r[3] })
    end)
  end)

  it("refuses the wrong source, function, limit and option", function()
    run(function()
      local f = function() end
      for _, bad in ipairs { 5, "x", true } do assert.is_false(pcall(map, bad, f)) end
      assert.is_false(pcall(map))
      assert.is_false(pcall(map, {}))
      assert.matches("function expected", fails(map, {}, 5))
      for _, bad in ipairs { 0, -1, 1.5, "x", math.huge } do
        assert.matches("limit", fails(map, {}, f, { limit = bad }))
      end
      assert.matches("limits", fails(map, {}, f, { limits = 1 }))
      assert.is_false(pcall(map, {}, f, 5))
      assert.equal(1, tasks())
    end)
    assert.is_false(pcall(map, {}, function() end))
  end)
end)

describe("the limit #notsan #nogc", function()
  it("is how many run at once: never more, and never fewer while there are items", function()
    run(function()
      for _, limit in ipairs { 1, 2, 3, 7, 10, 11, 1000 } do
        local c = counted(1)
        local t, r = took(map, count(10), c.f, { limit = limit })
        assert.equal(math.min(limit, 10), c.most)
        assert.equal(math.ceil(10 / limit), t)
        assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, r)
      end
      local c = counted(1)
      assert.equal(1, (took(map, { 1, 2, 3, 4, 5 }, c.f)))
      assert.equal(5, c.most)
    end)
  end)

  it("is how far ahead an iterator is asked, for each that ends one item", function()
    run(function()
      local asked, ended = 0, 0
      map(function()
        asked = asked + 1
        assert.is_true(asked <= ended + 3)
        if asked <= 20 then return asked end
      end, function(i)
        for _ = 1, i * 7 % 5 do async.yield() end
        ended = ended + 1
      end, { limit = 3 })
      assert.same({ 21, 20 }, { asked, ended })
    end)
  end)

  it("lets one that is done make room though an older one goes on", function()
    run(function()
      local t, r = took(map, { 10, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, function(x) async.sleep(x) return x end, { limit = 2 })
      assert.equal(10, t)
      assert.equal(10, #r)
    end)
  end)

  it("of 1 runs one after another, in order", function()
    run(function()
      local log = {}
      map({ 3, 1, 2 }, function(x) async.sleep(x) log[#log + 1] = x end, { limit = 1 })
      assert.same({ 3, 1, 2 }, log)
    end)
  end)
end)

describe("the iterator of a map #notsan #nogc", function()
  it("may wait, while the items run", function()
    run(function()
      local next_item = count(5)
      local function source() async.sleep(1) return next_item() end
      local c = counted(2)
      local t, r = took(map, source, c.f)
      assert.same({ 7, 2 }, { t, c.most }) -- the last comes after 5 s
      assert.same({ 1, 2, 3, 4, 5 }, r)
    end)
  end)

  it("runs in the calling task, is asked again only by it, and not after its end", function()
    run(function()
      local here, ended = async.current(), false
      local next_item = count(3)
      map(function()
        assert.is_false(ended)
        assert.equal(here, async.current())
        local i = next_item()
        ended = i == nil
        return i
      end, spin, { limit = 2 })
      assert.is_true(ended)
    end)
  end)

  it("that raises cancels what runs, and its error is raised, itself", function()
    run(function()
      for _, limit in ipairs { 1, 2, 100 } do
        local e, c, n = {}, counted(1), count(3)
        assert.equal(e, fails(map, function() return n() or error(e) end, c.f, { limit = limit }))
        assert.equal(0, c.now)
        assert.equal(1, tasks())
      end
    end)
  end)
end)

describe("an error in a map #notsan #nogc", function()
  it("cancels the rest, which have unwound, and is raised, itself; no more items are fetched", function()
    run(function()
      for _, limit in ipairs { 1, 2, 3, 100 } do
        local e, closed, began, asked = {}, 0, 0, 0
        assert.equal(e, fails(map, function()
          asked = asked + 1
          if asked <= 50 then return asked end
        end, function(i)
          began = began + 1
          local _ <close> = guard(function()
            async.shield(async.sleep, 1)
            closed = closed + 1
          end)
          async.sleep(i == 5 and 0.5 or 0.6)
          if i == 5 then error(e) end
        end, { limit = limit }))
        assert.equal(began, closed)
        assert.is_true(asked <= 5 + limit)
        assert.equal(1, tasks())
      end
    end)
  end)

  it("reaches a source that waits", function()
    run(function()
      local e, closed = {}, false
      local n = count(1)
      assert.equal(e, fails(map, function()
        local i = n()
        if i then return i end
        local _ <close> = guard(function(_, x) closed = async.is_cancelled(x) end)
        forever()
      end, function() async.yield() error(e) end))
      assert.is_true(closed)
    end)
  end)

  it("in the very first turn of each", function()
    run(function()
      assert.equal("x", fails(map, { 1, 2, 3 }, function() error("x", 0) end, { limit = 1 }))
    end)
  end)

  it("shows the function, and where map was called", function()
    run(function()
      local trace
      local old = async.on_error(function(_, t) trace = t end)
      local _ <close> = guard(function() async.on_error(old) end)
      local t = spawn(function() return (map({ 1 }, function() async.yield() error("from here", 0) end)) end)
      while t:status() ~= "failed" do async.yield() end
      assert.matches("map_spec.lua:%d+: in function.*spawned at spec/task/map_spec.lua", trace)
      assert.matches("spawned at.*awaited at.*map_spec.lua", trace)
    end)
  end)
end)

describe("a map that is cancelled #notsan #nogc", function()
  it("has cancelled its calls, which have unwound: with an infinite source, too", function()
    run(function()
      for _, limit in ipairs { 1, 2, 10 } do
        local c = counted(1)
        local t, r, e = took(async.timeout, 10.5, map, count(), c.f, { limit = limit })
        assert.same({ 10.5, "ETIMEDOUT" }, { t, e.code })
        assert.is_nil(r)
        assert.equal(limit, c.most)
        assert.equal(0, c.now)
        assert.equal(11 * limit, c.calls)
        local task = spawn(map, count(), c.f, { limit = limit })
        async.sleep(3)
        task:cancel()
        assert.is_true(support.was_cancelled(fails(task.await, task)))
        assert.equal(0, c.now)
        assert.equal(1, tasks())
      end
    end)
  end)

  it("with calls that end at once does not run on", function()
    run(function()
      local n = 0
      local task = spawn(map, count(), function() n = n + 1 end, { limit = 3 })
      while n < 100 do async.yield() end
      task:cancel()
      assert.is_true(support.was_cancelled(fails(task.await, task)))
      local was = n
      spin()
      assert.equal(was, n)
    end)
  end)

  it("loses nothing of a channel that it reads from", function()
    run(function()
      local tx, rx = async.channel(10)
      local got = {}
      local task = spawn(map, rx, function(x) got[#got + 1] = x end, { limit = 2 })
      for i = 1, 5 do tx:send(i) end
      while #got < 5 do async.yield() end
      task:cancel()
      pcall(task.await, task)
      for i = 6, 8 do tx:send(i) end
      tx:close()
      for x in rx do got[#got + 1] = x end
      assert.equal(8, #got)
    end)
  end)

  local cases = { -- each through in some turns, and cut short in each before
    { "a list", want = { { 1, 2, 3, 4 } }, op = function(w) return map({ 1, 2, 3, 4 }, w.call, { limit = 2 }) end },
    { "an iterator that waits", want = { { 1, 2, 3 } }, op = function(w)
      local n = count(3)
      return map(function() async.yield() return n() end, w.call)
    end },
  }
  for _, case in ipairs(cases) do
    function case.world(w)
      w.began, w.closed = 0, 0
      function w.call(x)
        w.began = w.began + 1
        local _ <close> = guard(function() w.closed = w.closed + 1 end)
        spin(x)
        return x
      end
    end
    function case.after(w) assert.equal(w.began, w.closed) end
    for _, how in ipairs(each.ways) do
      if os.getenv("LUA_ASYNC_FLAVOUR") ~= "tsan" then -- as in compose_cancel_spec.lua
        it(("in each turn, of %s, by %s"):format(case[1], how), function() each.every(case, how) end)
      end
    end
  end
end)

describe("ten thousand items #notsan #nogc", function()
  it("with a limit and without, from a list and an iterator", function()
    run(function()
      local list = {}
      for i = 1, 10000 do list[i] = i end
      for _, limit in ipairs { 1, 100, 10000, false } do
        local now, most = 0, 0
        local r = map(limit == 100 and count(10000) or list, function(i)
          now = now + 1
          most = math.max(most, now)
          if i % 7 == 0 then async.yield() end
          now = now - 1
          return -i
        end, limit and { limit = limit } or nil)
        for i = 1, 10000 do assert(r[i] == -i) end
        assert.is_true(most <= (limit or 10000))
      end
      assert.equal(1, tasks())
    end)
  end)
end)

describe("async.map over a list that computes its items #notsan #nogc", function()
  it("lets them wait", function()
    local async = require "lua_async"
    async.run(function()
      local list = setmetatable({}, { __index = function(_, i)
        async.yield()
        if i <= 3 then return i end
      end })
      assert.same({ 2, 4, 6 }, async.map(list, function(v) return v * 2 end))
      local behind = setmetatable({}, { __index = { 1, 2 } })
      assert.same({ 1, 2 }, async.map(behind, function(v) return v end))
    end)
  end)
end)
