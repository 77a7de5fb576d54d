-- async.scope{ supervise = true }: children that fail are told to on_error, and cancel nobody.
local async = require "lua_async"
local support = require "spec.support"
local steps = require "spec.support.steps"
local fails, scope, spin = steps.fails, async.scope, steps.spin
local options = { supervise = true }

local function run(f) steps.told(function(told) support.in_order(f, told) end) end

describe("a scope that supervises", function()
  it("goes on when children fail, which are reported, and waits for all", function()
    run(function(told)
      local log = {}
      local r = table.pack(scope(options, function(s, ...)
        s:spawn(error, "one")
        s:spawn(function() spin(10) log[#log + 1] = "slow" end)
        s:spawn(error, "two")
        spin()
        log[#log + 1] = "body"
        return ...
      end, 1, nil, 3))
      assert.same({ n = 3, 1, nil, 3 }, r)
      assert.same({ "body", "slow" }, log)
      assert.same({ "one", "two" }, told)
    end)
  end)

  it("raises what the body raises, once all have been cancelled", function()
    run(function(told)
      local log = {}
      assert.equal("the body", fails(scope, options, function(s)
        s:spawn(steps.slow(log, "child", 0))
        s:spawn(error, "a child")
        spin()
        error("the body", 0)
      end))
      assert.same({ "child cancelled", "child over" }, log)
      assert.same({ "a child" }, told)
    end)
  end)

  it("gives a failure to who awaits the child, and reports it to nobody then", function()
    run(function(told)
      assert.equal("awaited", scope(options, function(s)
        local t = s:spawn(function() spin() error("awaited", 0) end)
        return fails(t.await, t)
      end))
      assert.equal("raised", fails(scope, options, function(s)
        s:spawn(function() spin() error("raised", 0) end):await()
      end))
      assert.same({}, told)
    end)
  end)

  it("is cancelled as others are: by itself, from outside, by a timeout", function()
    run(function(told)
      scope(options, function(s)
        s:spawn(steps.forever)
        s:cancel()
      end)
      local r, e = async.timeout(0.001, scope, options, function(s) s:spawn(steps.forever) end)
      steps.code("ETIMEDOUT", r, e)
      local t = async.spawn(scope, options, function(s)
        s:spawn(steps.forever)
        s:spawn(function() error "x" end)
      end)
      spin()
      assert.equal("waiting", t:status())
      t:cancel()
      assert.is_true(support.was_cancelled(fails(t.await, t)))
      assert.equal(1, #told)
      assert.equal(1, steps.tasks())
    end)
  end)

  it("keeps a server alive whose clients fail", function()
    run(function(told)
      local listener <close> = assert(async.net.listen("127.0.0.1", 0))
      local _, port = listener:address()
      local served = 0
      local server = async.spawn(scope, options, function(s)
        for conn in listener:incoming() do
          s:spawn(function()
            local c <close> = conn
            if c:read("l") == "bad" then error("a bad client", 0) end
            served = served + 1
          end)
        end
      end)
      for _, line in ipairs { "good", "bad", "good" } do
        local conn <close> = assert(async.net.connect("127.0.0.1", port))
        assert(conn:write(line, "\n"))
        conn:read("a")
      end
      assert.equal(2, served)
      assert.same({ "a bad client" }, told)
      server:cancel()
      pcall(server.await, server)
    end)
  end)

  it("has no other options", function()
    run(function()
      assert.matches("unknown option 'supervised'", fails(scope, { supervised = true }, print))
      assert.matches("option 'supervise' must be a boolean", fails(scope, { supervise = 1 }, print))
      assert.matches("bad argument #2 to .*function expected, which gets the scope", fails(scope, options))
      assert.matches("bad argument #1 to .*function expected, which gets the scope", fails(scope, 1))
      local log = {}
      assert.equal("x", fails(scope, { supervise = false }, function(s)
        s:spawn(steps.slow(log, "other"))
        s:spawn(function() spin() error("x", 0) end)
      end))
      assert.same({ "other cancelled", "other over" }, log)
    end)
  end)
end)
