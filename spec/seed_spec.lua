-- Seeds: the order in which ready tasks run follows from a number, and every order may come.
local async = require "lua_async"
local support = require "spec.support"
local spawn = async.spawn

-- The order in which n tasks, each ready for `rounds` turns, are polled in a run.
local function order(opts, n, rounds)
  local log = {}
  local function body()
    local tasks = {}
    for i = 1, n do
      tasks[i] = spawn(function()
        for _ = 1, rounds or 1 do
          log[#log + 1] = i
          async.yield()
        end
      end)
    end
    for i = 1, n do tasks[i]:await() end
  end
  if opts then async.run(opts, body) else async.run(body) end
  return table.concat(log, " ")
end
local function seeded(seed, n, rounds) return order({ seed = seed }, n, rounds) end
local function unseeded(f) return function() support.with_seed(nil, f) end end
local function factorial(n) return n <= 1 and 1 or n * factorial(n - 1) end

describe("a seed #notsan #nogc #noseeds", function()
  it("gives the same order each time", function()
    for _, seed in ipairs { 0, 1, 2, 3, -1, 12345678901, math.maxinteger, math.mininteger } do
      local first = seeded(seed, 10, 5)
      for _ = 1, 5 do assert.equal(first, seeded(seed, 10, 5)) end
    end
  end)

  it("gives the same order when the tasks take long, too", function()
    local function order_of(seconds)
      local log = {}
      async.run({ seed = 1 }, function()
        async.scope(function(s)
          for i = 1, 100 do
            s:spawn(function()
              for _ = 1, 3 do
                log[#log + 1] = i
                local limit = os.clock() + seconds
                while os.clock() < limit do end
                async.yield()
              end
            end)
          end
        end)
      end)
      return table.concat(log, " ")
    end
    assert.is_true(order_of(0) == order_of(0.0002)) -- a turn of 20 ms
  end)

  it("gives different orders, from one to the next", function()
    local seen, n = {}, 0
    for seed = 0, 49 do
      local s = seeded(seed, 10, 5)
      if not seen[s] then n = n + 1 end
      seen[s] = true
    end
    assert.equal(50, n)
  end)

  it("gives every order of 2, 3 and 4 tasks, over enough of them", function()
    for n = 2, 4 do
      local seen, kinds = {}, 0
      for seed = 1, 1000 do
        local s = seeded(seed, n)
        if not seen[s] then kinds = kinds + 1 end
        seen[s] = (seen[s] or 0) + 1
      end
      assert.equal(factorial(n), kinds)
      for s, times in pairs(seen) do -- none comes half as often as it would, or twice
        assert.is_true(times * kinds > 500 and times * kinds < 2000, s .. ": " .. times)
      end
    end
  end)

  it("polls each in each turn, in whatever order", function()
    for seed = 1, 20 do
      local counts = {}
      async.run({ seed = seed }, function()
        async.scope(function(s)
          for i = 1, 20 do
            s:spawn(function()
              for k = 1, 50 do
                counts[i] = k
                for j = 1, 20 do assert((counts[j] or 0) >= k - 2) end
                async.yield()
              end
            end)
          end
        end)
      end)
    end
  end)

  it("lets the others have their turn when a task yields, as ever", function()
    for seed = 1, 100 do
      async.run({ seed = seed }, function()
        local n = 0
        for _ = 1, 5 do spawn(function() n = n + 1 async.yield() n = n + 1 end) end
        async.yield()
        assert.is_true(n >= 5, "seed " .. seed)
      end)
    end
  end)

  it("chooses the arms of select, too", function()
    local function winner(seed)
      return async.run({ seed = seed }, function()
        local keys = {}
        for i = 1, 20 do keys[i] = async.select { a = function() end, b = function() end, c = function() end } end
        return table.concat(keys)
      end)
    end
    local seen = {}
    for seed = 1, 20 do
      local s = winner(seed)
      assert.equal(s, winner(seed))
      for key in s:gmatch(".") do seen[key] = true end
    end
    assert.same({ a = true, b = true, c = true }, seen)
  end)

  it("repeats a program of channels, locks, timeouts and scopes, on a paused clock", function()
    local function program()
      local log = {}
      async.time.pause()
      local tx, rx = async.channel(2)
      local lock = async.sync.mutex()
      async.scope(function(s)
        for i = 1, 5 do
          s:spawn(function()
            for k = 1, 5 do
              tx:send(i * 10 + k)
              local _ <close> = lock:lock()
              log[#log + 1] = "l" .. i
              async.yield()
            end
          end)
        end
        for i = 1, 2 do
          s:spawn(function()
            while true do
              local v = async.timeout(1, rx.recv, rx)
              if not v then return end
              log[#log + 1] = i .. ":" .. v
            end
          end)
        end
      end)
      return table.concat(log, " ")
    end
    local kinds, seen = 0, {}
    for seed = 1, 20 do
      local s = async.run({ seed = seed }, program)
      assert.equal(s, async.run({ seed = seed }, program))
      if not seen[s] then kinds = kinds + 1 end
      seen[s] = true
    end
    assert.is_true(kinds > 10)
  end)

  it("gives the same order in another process", function()
    local program = [[
      local log = {}
      async.run({ seed = %d }, function()
        for i = 1, 10 do async.spawn(function() for _ = 1, 5 do log[#log + 1] = i async.yield() end end) end
        for _ = 1, 30 do async.yield() end
      end)
      print(table.concat(log, " "))]]
    for _, seed in ipairs { 1, 99 } do
      local out, code = support.child(program:format(seed))
      assert.equal(0, code)
      assert.equal(50, select(2, out:gsub("%d+", "")))
      assert.equal(out, (support.child(program:format(seed))))
      assert.not_equal(out, (support.child(program:format(seed + 1))))
    end
  end)

  it("is of one run: the next has its own, or none", unseeded(function()
    local plain = order(nil, 5)
    assert.equal("1 2 3 4 5", plain)
    assert.not_equal(plain, seeded(1, 5))
    assert.equal(plain, order(nil, 5))
    assert.equal(plain, order({}, 5))
  end))
end)

describe("LUA_ASYNC_SEED #notsan #nogc #noseeds", function()
  it("is the seed of runs that have none", function()
    for _, seed in ipairs { 0, 7, 1234567890123 } do
      support.with_seed(seed, function()
        assert.equal(seeded(seed, 10, 3), order(nil, 10, 3))
        assert.equal(seeded(seed, 10, 3), order({}, 10, 3))
        assert.equal(seeded(5, 10, 3), order({ seed = 5 }, 10, 3))
      end)
    end
  end)

  it("is no seed when it is empty", function()
    support.with_seed("", function() assert.equal("1 2 3 4 5", order(nil, 5)) end)
  end)

  it("takes the same numbers as the option", function()
    for _, seed in ipairs { -1, math.maxinteger, math.mininteger } do
      support.with_seed(seed, function() assert.equal(seeded(seed, 10, 3), order(nil, 10, 3)) end)
    end
  end)

  it("of no number is not taken for one in silence", function()
    for _, bad in ipairs { "abc", "1x", "1.5", " " } do
      support.with_seed(bad, function() assert.is_false(pcall(async.run, function() end), bad) end)
    end
  end)

  it("is seen by a child", function()
    support.child_ok([[
      local function order(...)
        local log = {}
        local args = { ... }
        args[#args + 1] = function()
          for i = 1, 10 do async.spawn(function() log[#log + 1] = i end) end
          for _ = 1, 5 do async.yield() end
        end
        async.run(table.unpack(args))
        return table.concat(log, " ")
      end
      assert(order() == order({ seed = 42 }))
      assert(order() ~= order({ seed = 43 }))
      print("ok")]], { under = "env LUA_ASYNC_SEED=42" })
  end)
end)

describe("the options of async.run #notsan #nogc #noseeds", function()
  it("that are wrong raise, and nothing runs", function()
    local ran = false
    local function f() ran = true end
    for _, bad in ipairs { "x", 1.5, true, {}, math.huge } do
      local ok, e = pcall(async.run, { seed = bad }, f)
      assert.is_false(ok)
      assert.matches("seed", e)
    end
    local ok, e = pcall(async.run, { seeds = 1 }, f)
    assert.is_false(ok)
    assert.matches("seeds", e)
    assert.is_false(pcall(async.run, { 1 }, f))
    assert.is_false(pcall(async.run, { seed = 1 }))
    assert.is_false(pcall(async.run, { seed = 1 }, 5))
    assert.is_false(pcall(async.run, {}, {}, f))
    assert.is_false(ran)
  end)

  it("stand before the function, whose arguments and results are as ever", function()
    assert.same({ n = 3, 1, nil, 2 }, table.pack(async.run({ seed = 1 }, function(...) return ... end, 1, nil, 2)))
    local callable = setmetatable({ seed = 5 }, { __call = function(self, x) return self.seed + x end })
    assert.equal(6, async.run(callable, 1)) -- no options: it can be called
    assert.equal(7, async.run({ seed = 1 }, callable, 2))
    assert.equal(3, async.run({ seed = "3" }, function() return 3 end)) -- as Lua takes integers
  end)

  it("raise inside of a run as the run does", function()
    async.run(function()
      local _, e = pcall(async.run, { seed = 1 }, function() end)
      assert.matches("async.run cannot be called inside async.run", e)
    end)
  end)
end)
