-- async.dump of combinators: who waits for whom.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local spawn = async.spawn
local forever, spin = steps.forever, steps.spin

-- The dump once `f` waits in a task of the name "it"; the task is cancelled then.
local function dump_of(f)
  return support.run(function()
    async.time.pause()
    local t = spawn(f)
    t:name("it")
    spin(50)
    local text = async.dump()
    t:cancel()
    pcall(t.await, t)
    return text
  end)
end
-- The first lines of the blocks.
local function heads(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do
    if line:match("^task ") or line:match("^nobody") then list[#list + 1] = line end
  end
  return list
end
local function has(text, ...)
  for _, line in ipairs(heads(text)) do
    local all = true
    for _, part in ipairs { ... } do all = all and line:find(part, 1, true) ~= nil end
    if all then return true end
  end
  error(("no line with %s in:\n%s"):format(table.concat({ ... }, ", "), text), 2)
end

describe("async.dump", function()
  it("shows the task that dumps, running, and the others with what they wait for", function()
    local text = dump_of(function() async.sleep(5) end)
    has(text, "task 1", "running")
    has(text, "'it'", "waiting", "waits for sleep", "spawned at spec/task/dump_spec.lua")
    assert.equal(2, #heads(text))
  end)

  it("shows the arms of a join, of whom they are, and what each waits for", function()
    local other
    local text = dump_of(function()
      other = spawn(forever)
      async.join(function() async.sleep(5) end, other, async.future(async.sleep, 7), forever)
    end)
    has(text, "'it'", "waiting", "waits for join")
    has(text, "'it', arm 1 of join", "waits for sleep")
    has(text, "'it', arm 2 of join", "waits for task " .. other.id)
    has(text, "'it', arm 3 of join", "waits for sleep")
    has(text, "'it', arm 4 of join", "waiting")
    assert.matches("arm 1 of join[^\n]*\nstack traceback:[^\n]*\n.-dump_spec.lua", text)
  end)

  it("shows those of a select, and of one in the other", function()
    local text = dump_of(function()
      async.join(function() async.select { forever, function() async.sleep(1) end } end, forever)
    end)
    has(text, "'it', arm 1 of join", "waits for select")
    has(text, "'it', arm 1 of join, arm 1 of select", "waiting")
    has(text, "'it', arm 1 of join, arm 2 of select", "waits for sleep")
  end)

  it("shows a task that waits for its scope's children, and these", function()
    local text = dump_of(function()
      async.scope(function(s)
        s:spawn(async.sleep, 5):name("child")
        s:spawn(forever):cancel()
      end)
    end)
    has(text, "'it'", "waits for scope")
    has(text, "'child'", "waits for sleep")
    text = dump_of(function() async.map({ 1, 2, 3 }, function() async.sleep(1) end, { limit = 2 }) end)
    has(text, "'it'", "waits for scope")
    assert.equal(4, #heads(text))
  end)

  it("shows what is cancelled and unwinds, and who waits for a task or an interval", function()
    support.run(function()
      async.time.pause()
      local t = spawn(async.shield, async.sleep, 5)
      spawn(function() t:await() end):name("waiter")
      local tick = async.time.interval(5)
      tick()
      spawn(tick):name("ticker")
      spin()
      t:cancel()
      local text = async.dump()
      has(text, "task " .. t.id, "cancelled", "spawned at")
      has(text, "'waiter'", "waits for task " .. t.id)
      has(text, "'ticker'", "waits for sleep")
    end)
  end)

  it("of a deadlock shows the arms", function()
    local ok, e = pcall(async.run, async.join, forever, function() async.select { forever } end)
    assert.is_false(ok)
    assert.equal("EDEADLK", e.code)
    has(e.message, "task 1", "waits for join")
    has(e.message, "task 1, arm 2 of join, arm 1 of select")
  end)

  it("of very many, and very deep, is long, and no more", function()
    local text = dump_of(function()
      local arms = {}
      for i = 1, 1000 do arms[i] = forever end
      async.join(arms)
    end)
    assert.equal(1002, #heads(text))
    local function deep(n)
      if n == 0 then forever() end
      async.join(function() deep(n - 1) end)
    end
    text = dump_of(function() spawn(deep, 30) forever() end)
    assert.equal(33, #heads(text))
  end)
end)

describe("async.dump", function()
  it("tells whose child a task of a scope or a map is", function()
    local async = require "lua_async"
    async.run(function()
      local _, rx = async.channel(1)
      local t = async.spawn(function()
        async.scope(function(scope)
          scope:spawn(rx.recv, rx):name("kid")
          async.map({ 1 }, function() rx:recv() end)
        end)
      end)
      for _ = 1, 3 do async.yield() end
      local dump = async.dump()
      assert.matches(("'kid': waiting, waits for [%%w.]+, of the scope in task %d, spawned at"):format(t.id), dump)
      assert.matches(("waits for [%%w.]+, of the map in task %d, spawned at"):format(t.id), dump)
      t:cancel()
    end)
  end)

  it("is short however deep arms are nested", function()
    local async = require "lua_async"
    async.run(function()
      local _, rx = async.channel(1)
      local function nest(k)
        if k == 0 then rx:recv() else async.join(function() nest(k - 1) end) end
      end
      local t = async.spawn(nest, 30)
      for _ = 1, 40 do async.yield() end
      assert.matches("task %d+, …, arm 1 of join", async.dump())
      for line in async.dump():gmatch("[^\n]+") do assert.is_true(#line < 300) end
      t:cancel()
    end)
  end)
end)
