-- Operations that wait for one file: in order, each woken once, none forgotten when one
-- before it is given up.
local async = require "lua_async"
local support = require "spec.support"

describe("many operations on one file #seldom", function()
  local path
  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  it("are woken when it is their turn, and not each time one of them is over", function()
    support.run(function()
      local f <close> = assert(async.fs.open(path, "w+"))
      f:write("0123456789")
      local N, polls, tasks = 300, 0, {}
      for i = 1, N do
        local read = async.future(f.read_at, f, 0, 10)
        tasks[i] = async.spawn(async.poll_fn(function(cx)
          polls = polls + 1
          return read:poll(cx)
        end))
      end
      for i = 1, N do assert.equal("0123456789", tasks[i]:await()) end
      assert.is_true(polls <= 4 * N, polls) -- it grew with the square of N
    end)
  end)

  it("go one after the other as they were begun", function()
    support.in_order(function()
      local f <close> = assert(async.fs.open(path, "w+"))
      local order, tasks = {}, {}
      for i = 1, 200 do
        tasks[i] = async.spawn(function()
          local how = i % 4
          if how == 0 then assert(f:write_at(0, ("%4d"):format(i)))
          elseif how == 1 then assert(f:stat())
          elseif how == 2 then f:read_at(0, 1)
          else assert(f:truncate(10)) end
          order[#order + 1] = i
        end)
      end
      for i = 1, 200 do tasks[i]:await() end
      for i = 1, 200 do assert.equal(i, order[i]) end
    end)
  end)

  it("pass their turn on when they are given up, at any moment", function()
    support.run(function()
      local f <close> = assert(async.fs.open(path, "w+"))
      f:write(("x"):rep(1000))
      f:seek("set")
      for round = 1, 40 do
        local tasks, done = {}, 0
        for i = 1, 30 do
          tasks[i] = async.spawn(function()
            local how = i % 5
            if how == 0 then f:write_at(0, "y")
            elseif how == 1 then f:stat()
            elseif how == 2 then f:sync()
            elseif how == 3 then f:seek("end")
            elseif i == 4 then f:read("a")
            elseif i == 9 then f:write(("z"):rep(100000))
            else f:flush() end
            done = done + 1
          end)
        end
        for _ = 1, round % 7 do async.yield() end
        local cancelled = 0
        for i = 1, 30 do
          if (i * 7 + round) % 3 == 0 and tasks[i]:cancel() then cancelled = cancelled + 1 end
          if i % 11 == 0 then async.yield() end
        end
        local ended = 0
        for i = 1, 30 do
          pcall(tasks[i].await, tasks[i])
          ended = ended + 1
        end
        assert.is_true(done >= 30 - cancelled)
        f:truncate(1000)
        f:seek("set")
      end
    end)
  end)

  it("wake who polled last", function()
    support.run(function()
      local f <close> = assert(async.fs.open(path, "w+"))
      local busy = async.spawn(function() f:write_at(0, ("x"):rep(1 << 20)) end)
      async.yield()
      local later = async.future(f.stat, f)
      local first = async.spawn(async.await, async.poll_fn(function(cx)
        later:poll(cx)
        return "ready"
      end))
      first:await()
      assert.equal(1 << 20, async.spawn(function() return later:await() end):await().size)
      busy:await()
    end)
  end)

  it("end with ECANCELED when the file is closed, all of them", function()
    support.in_order(function()
      local f = assert(async.fs.open(path, "w+"))
      local codes, tasks = {}, {}
      for i = 1, 50 do
        tasks[i] = async.spawn(function()
          local ok, e = f:read_at(0, 5)
          codes[#codes + 1] = ok and "ok" or e and e.code or "end"
        end)
      end
      async.yield()
      assert.is_true(f:close())
      for i = 1, 50 do tasks[i]:await() end
      local cut = 0
      for i = 1, 50 do cut = cut + (codes[i] == "ECANCELED" and 1 or 0) end
      assert.is_true(cut >= 49, cut .. " were cut off") -- the first was under way
    end)
  end)
end)
