-- Combinations of what is over at once, left half-way, cancelled in the turn of its result.
local async = require "lua_async"
local support = require "spec.support"
local run, time = support.run, async.time

local function begin(fut)
  async.await(async.poll_fn(function(cx)
    fut:poll(cx)
    return "ready"
  end))
end

describe("a Future of an operation that is over as it begins", function()
  it("gives its own values, and nothing beside them", function()
    run(function()
      local tx, rx = async.channel(4)
      for i = 1, 4 do tx:send(i) end
      assert.same({ n = 2, "msg", 1 }, table.pack(async.select { msg = async.future(rx.recv, rx) }))
      assert.same({ n = 1, 2 }, table.pack(async.join(async.future(rx.recv, rx))))
      assert.same({ a = 3 }, async.join { a = async.future(rx.recv, rx) })
      local got
      async.await(async.poll_fn(function(cx)
        got = table.pack(async.future(rx.recv, rx):poll(cx))
        return "ready"
      end))
      assert.same({ n = 2, "ready", 4 }, got)
    end)
  end)
end)

describe("a loser that has used up its budget", function()
  it("on operations that are over as they begin unwinds", function()
    run(function()
      local tx, rx = async.channel(1)
      rx:close()
      local key = async.select {
        a = function() for _ = 1, 1000 do rx:recv() end end,
        b = function() async.yield() return "b" end,
      }
      assert.equal("b", key)
      assert.is_nil((tx:send(1)))
      local t = async.spawn(function() while true do rx:recv() end end)
      async.yield()
      t:cancel()
      assert.is_false(pcall(t.await, t))
    end)
  end)
end)

describe("a dump", function()
  it("looks at no task that a collection ends meanwhile", function()
    run(function()
      for _ = 1, 100 do
        for _ = 1, 10 do
          begin(async.future(function()
            async.join(function() async.sleep(100) end, function() async.sleep(100) end)
          end))
        end
        async.dump()
      end
    end)
  end)
end)

describe("a Future that was begun and left", function()
  it("does not keep the run from ending, though its arms would", function()
    local left
    run(function()
      left = async.future(async.select, { function() while true do async.sleep(0.001) end end })
      begin(left)
    end)
    assert.is_false(pcall(run, function() left:await() end))
  end)

  it("may be collected by a drop function of one of its own arms", function()
    run(function()
      local wake
      local never = function() return "pending" end
      local left = async.future(async.select, {
        async.poll_fn(function(cx)
          if wake then return "ready" end
          wake = cx:waker()
          return "pending"
        end),
        async.poll_fn(never, function() collectgarbage() collectgarbage() end),
        async.poll_fn(never), async.poll_fn(never),
      })
      begin(left)
      while not wake do async.yield() end
      left = nil
      wake:wake()
      for _ = 1, 5 do async.yield() end
    end)
  end)
end)

describe("a timeout in the turn of the result", function()
  for name, call in pairs {
    scope = function(rx) return async.scope(function() return rx:recv() end) end,
    map = function(rx) return async.map({ 1 }, function() return rx:recv() end)[1] end,
  } do
    it("around a " .. name .. " loses no message", function()
      run(function()
        time.pause()
        for _ = 1, 4 do
          local tx, rx = async.channel(1)
          local sender = async.spawn(function()
            async.sleep(1)
            tx:send("x")
          end)
          local v = async.timeout(1, call, rx)
          sender:await()
          assert.equal("x", v or rx:try_recv())
        end
      end)
    end)
  end
end)

describe("a combinator by hand", function()
  it("polls more children than a task has budget", function()
    run(function()
      local children, polls = {}, 0
      for i = 1, 400 do
        children[i] = async.poll_fn(function()
          polls = polls + 1
          return i == 400 and "ready" or "pending"
        end)
      end
      async.await(async.poll_fn(function(cx)
        for i = 1, 400 do if children[i]:poll(cx) == "ready" then return "ready" end end
        return "pending"
      end))
      assert.equal(400, polls)
    end)
  end)
end)

describe("an arm that fails as it unwinds", function()
  it("is told, when the whole join is cancelled", function()
    run(function()
      local told = {}
      local old = async.on_error(function(e) told[#told + 1] = e end)
      local t = async.spawn(async.join, function()
        local _ <close> = setmetatable({}, { __close = function() error("boom", 0) end })
        async.sleep(1000)
      end)
      for _ = 1, 3 do async.yield() end
      t:cancel()
      assert.is_false(pcall(t.await, t))
      async.on_error(old)
      assert.same({ "boom" }, told)
    end)
  end)
end)

describe("what is ready at once", function()
  it("in a loop lets others have turns", function()
    run(function()
      local ended = async.spawn(function() end)
      ended:await()
      for _, f in ipairs {
        function() async.select { ended } end, function() async.join(ended) end, function() async.join() end,
        function() async.scope(function() end) end, function() async.map({}, print) end,
      } do
        local turns, stop = 0, false
        local t = async.spawn(function()
          while not stop do
            turns = turns + 1
            async.yield()
          end
        end)
        for _ = 1, 2000 do f() end
        stop = true
        t:await()
        assert.is_true(turns >= 5, turns)
      end
    end)
  end)
end)

describe("who waits for an arm", function()
  local function poll(f)
    async.poll_fn(function(cx)
      f:poll(cx)
      return "ready"
    end):await()
  end

  it("is nobody once that has ended", function()
    async.run(function()
      async.time.pause()
      local current = "unasked"
      local f = async.future(function()
        async.join(function()
          async.sleep(0.001)
          current = async.current()
        end)
      end)
      async.select { function() poll(f) end }
      collectgarbage()
      collectgarbage()
      async.sleep(0.01)
      assert.is_nil(current)
    end)
  end)

  it("may be an arm that waits for it in turn", function()
    async.run(function()
      async.time.pause()
      local x, y, current, dump = nil, nil, "unasked", nil
      x = async.future(function() async.join(function() y:await() end) end)
      y = async.future(function()
        async.select { function()
          poll(x)
          async.sleep(0.001)
          current, dump = async.current(), async.dump()
        end }
      end)
      poll(y)
      async.sleep(0.01)
      assert.is_nil(current)
      assert.matches("nobody's", dump)
    end)
  end)
end)

describe("broadcast messages that are claimed and given up", function()
  it("come again, in whatever order they are given up", function()
    async.run(function()
      for _, last_first in ipairs { false, true } do
        local tx = async.sync.broadcast(8)
        local rx = tx:subscribe()
        local futures = {}
        for i = 1, 3 do futures[i] = async.future(rx.recv, rx) end
        async.poll_fn(function(cx)
          for i = 1, 3 do futures[i]:poll(cx) end
          for _, m in ipairs { "A", "B", "C" } do tx:send(m) end
          return "ready"
        end):await()
        async.yield()
        if last_first then futures[1], futures[3] = futures[3], futures[1] end
        pcall(async.join, futures[1], futures[2], futures[3], function()
          async.yield()
          async.yield()
          error("x")
        end)
        for _, m in ipairs { "A", "B", "C" } do assert.equal(m, (rx:try_recv())) end
      end
    end)
  end)
end)
