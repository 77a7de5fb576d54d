-- What errors, dumps and async.test tell, and at what price.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"

describe("an error that passes a thousand tasks #notsan", function()
  local function line(n)
    local before = async.spawn(function()
      steps.spin(3)
      error("the first", 0)
    end)
    local tasks = { before }
    for i = 2, n do
      local awaited = before
      before = async.spawn(function() return awaited:await() end)
      tasks[i] = before
    end
    return before, tasks
  end

  it("keeps where it came from and where it went last, and memory that grows with their number #large", function()
    support.run(function()
      collectgarbage()
      local floor = collectgarbage("count")
      local last, tasks = line(1000)
      local ok, e = pcall(last.await, last)
      assert.same({ false, "the first" }, { ok, e })
      collectgarbage()
      assert.is_true(collectgarbage("count") - floor < 1000 * 20, "20 KB for each task are enough")
      assert.equal(1000, #tasks)
    end)
    local ok, report = pcall(async.run, function() line(200):await() end)
    assert.is_false(ok)
    assert.matches("^the first\n", report)
    assert.matches("task 2, spawned at [^\n]*told_spec.lua", report)
    assert.matches("%(awaits left out%)", report)
    assert.matches("task 201, spawned at", report)
    assert.matches("task 1, spawned at", report)
    assert.is_true(#report < 20000)
    ok, report = pcall(async.run, function() line(5):await() end)
    assert.is_false(ok)
    assert.not_matches("left out", report)
    for id = 1, 6 do assert.matches("task " .. id .. ", spawned at", report) end
  end)
end)

describe("a dump #notsan", function()
  it("names what an awaited Future waits for", function()
    steps.run(function()
      async.spawn(function() async.await(async.poll_fn(steps.never)) end)
      async.spawn(function()
        steps.begin(async.future(async.sleep, 5)):await()
      end)
      async.spawn(function()
        steps.begin(async.future(function() return async.await(async.future(async.sleep, 5)) end)):await()
      end)
      steps.spin()
      local dump = async.dump()
      assert.matches("task 2: waiting, waits for poll_fn,", dump, 1, true)
      assert.matches("task 3: waiting, waits for sleep,", dump, 1, true)
      assert.matches("task 4: waiting, waits for sleep,", dump, 1, true)
    end)
  end)

  it("tells the line of tasks of more sources than a run can name #large", function()
    support.run(function()
      for i = 1, 1100 do
        assert(load("local async = ... async.spawn(async.sleep, 0)\n", "=source " .. i))(async)
      end
      local dump = async.dump()
      assert.matches("spawned at source 1:1\n", dump, 1, true)
      assert.matches("spawned at source 1000:1\n", dump, 1, true)
      assert.matches("spawned at (one of many sources):1\n", dump, 1, true)
    end)
  end)
end)

describe("async.test #notsan", function()
  it("calls what was left by its name", function()
    local kept
    local ok, e = pcall(async.test(function() kept = assert(async.fs.watch(".")) end))
    assert.is_false(ok)
    assert.matches("the test left 1 open watch: close it", tostring(e), 1, true)
    assert.is_truthy(kept)
  end)

  it("and async.fn take callable values", function()
    local calls = 0
    local callable = setmetatable({}, { __call = function(_, x)
      calls = calls + 1
      return x
    end })
    async.test(callable)()
    assert.equal(9, async.run(function() return async.fn(callable)(9):await() end))
    assert.equal(2, calls)
    assert.is_false(pcall(async.fn, {}))
    assert.is_false(pcall(async.test, 1))
  end)
end)

describe("a join of many named arms under a seed #notsan", function()
  it("begins them in the order of their names #large", function()
    local orders = {}
    for k, step in ipairs { { 1, 500, 1 }, { 500, 1, -1 } } do -- tables with their keys in other orders
      local order, arms = {}, {}
      local function add(key) arms[key] = function() order[#order + 1] = key end end
      for i = step[1], step[2], step[3] do
        add(("k%03d"):format(i))
        add(i + 0.5)
      end
      async.run({ seed = 3 }, async.join, arms)
      assert.equal(1000, #order)
      orders[k] = order
    end
    -- The same seed shuffles what is ready alike, and so the order in which they began.
    assert.same(orders[1], orders[2])
  end)
end)

describe("futures that wait for one another #notsan", function()
  it("in a chain without end raise before the C stack does #large", function()
    support.run(function()
      local e
      async.await(async.poll_fn(function(cx)
        local last = async.future(async.sleep, 1)
        last:poll(cx)
        for _ = 1, 6000 do
          local before = last
          last = async.future(function() return before:await() end)
          local ok, err = pcall(last.poll, last, cx)
          if not ok then
            e = err
            break
          end
        end
        return "ready"
      end))
      assert.matches("too many futures wait for one another", tostring(e))
    end)
    collectgarbage()
  end)
end)

describe("joins that were begun inside of one another by hand #notsan", function()
  it("are given up without the C stack for each #large", function()
    support.run(function()
      local last = async.future(async.sleep, 1)
      async.await(async.poll_fn(function(cx)
        last:poll(cx)
        for _ = 1, 40000 do
          local before = last
          last = async.future(function() async.join(before) end)
          last:poll(cx)
        end
        return "ready"
      end))
      last = nil
      collectgarbage()
      collectgarbage()
      assert.is_nil(last)
      assert.equal(1, steps.tasks())
    end)
  end)
end)

describe("small objects #notsan", function()
  it("say what they are", function()
    support.run(function()
      local context
      async.await(async.poll_fn(function(cx)
        context = cx
        assert.matches("^Context: ", tostring(cx))
        local w = cx:waker()
        assert.matches("^Waker: ", tostring(w))
        w:wake()
        assert.matches("^Waker %(used up%): ", tostring(w))
        return "ready"
      end))
      assert.matches("^Context %(over%): ", tostring(context))
      local _, err = async.deadline(async.now() - 1, async.sleep, 1)
      assert.equal("deadline", err.op)
      _, err = async.timeout(0, async.sleep, 1)
      assert.equal("timeout", err.op)
    end)
  end)
end)
