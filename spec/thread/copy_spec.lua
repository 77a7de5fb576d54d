-- What arrives in another thread: copies, and what cannot be sent says where it stood.
local async = require "lua_async"
local support = require "spec.support"
local body = require("spec.support.threads").body
local run, thread = support.run, async.thread

-- Through another state and back.
local function echo(...)
  return thread.spawn_blocking(body "return ...", ...):await()
end

describe("a value for another thread #nogc", function()
  it("is copied: nil, booleans, numbers, strings", function()
    run(function()
      local r = table.pack(echo(nil, true, false, 0, -1, 255, 256, math.maxinteger, math.mininteger, 0.5, 1.0, 1e308,
        "", "a\0b", ("x"):rep(255), ("y"):rep(256), nil))
      assert.same({ n = 17, nil, true, false, 0, -1, 255, 256, math.maxinteger, math.mininteger, 0.5, 1.0, 1e308,
        "", "a\0b", ("x"):rep(255), ("y"):rep(256) }, r)
      assert.equal("float", math.type(r[11]))
      assert.equal("integer", math.type(r[4]))
      local inf, nan = echo(math.huge, 0 / 0)
      assert.equal(math.huge, inf)
      assert.is_true(nan ~= nan)
    end)
  end)

  it("is copied: strings of many MiB", function()
    run(function()
      local s = ("0123456789abcdef"):rep(1 << 20)
      assert.is_true(echo(s) == s)
    end)
  end)

  it("is copied: tables, with all that is in them", function()
    run(function()
      local t = { 1, 2, nil, 4, x = { y = { z = true } }, [1.5] = "f", [false] = 0, [-1] = "m" }
      local got = echo(t)
      assert.same(t, got)
      assert.not_equal(t, got)
    end)
  end)

  it("keeps shared references and cycles", function()
    run(function()
      local shared, key = { "s" }, {}
      local t = { a = shared, b = shared, [key] = key }
      t.self = t
      t[t] = "me"
      local got, again = echo(t, shared)
      assert.equal(got.a, got.b)
      assert.equal(got.a, again)
      assert.equal(got, got.self)
      assert.equal("me", got[got])
      local n = 0
      for k, v in pairs(got) do
        if type(k) == "table" and k ~= got then
          n = n + 1
          assert.equal(k, v)
        end
      end
      assert.equal(1, n)
    end)
  end)

  it("may be nested a hundred thousand tables deep", function()
    run(function()
      local t = {}
      for _ = 1, 100000 do t = { t } end
      local depth = thread.spawn_blocking(body "local t, n = ..., 0 while t[1] do t, n = t[1], n + 1 end return n", t)
      assert.equal(100000, depth:await())
    end)
  end)

  it("has its metatable, whose functions are copied", function()
    run(function()
      local mt = load("return { __index = function(_, k) return k .. '!' end, __len = function() return 7 end }")()
      local a, b = echo(setmetatable({}, mt), setmetatable({}, mt))
      assert.equal("x!", a.x)
      assert.equal(7, #b)
      assert.equal(getmetatable(a), getmetatable(b))
      assert.not_equal(mt, getmetatable(a))
    end)
  end)

  it("is a function with its upvalues, shared as they were", function()
    run(function()
      local inc, get = load([[
        local n = 5
        return function() n = n + 1 return n end, function() return n end]])()
      local r = thread.spawn_blocking(body "local inc, get = ... inc() inc() return get(), inc, get", inc, get)
      local n, inc2, get2 = r:await()
      assert.equal(7, n)
      assert.equal(7, get2())
      assert.equal(8, inc2())
      assert.equal(8, get2())
      assert.equal(5, get()) -- ours is ours
    end)
  end)

  it("is a recursive function, and functions that know one another", function()
    run(function()
      local f = load([[
        local function even(n) if n == 0 then return true end return odd(n - 1) end
        local odd
        local fib
        fib = function(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
        return fib]])()
      assert.equal(55, thread.spawn_blocking(f, 10):await())
    end)
  end)

  it("finds the globals and modules of where it arrives", function()
    run(function()
      rawset(_G, "only_here", true)
      local seen, same, env = thread.spawn_blocking(body [[
        local f, g = ...
        return only_here, f == string.format and g == async.sleep, _G == _ENV]], string.format, async.sleep):await()
      rawset(_G, "only_here", nil)
      assert.is_nil(seen)
      assert.is_true(same)
      assert.is_true(env)
      assert.equal(string.format, (echo(string.format)))
      assert.equal(async, (echo(async)))
      assert.equal(math, (echo({ math })[1]))
      assert.equal(_G, (echo(_G)))
    end)
  end)

  it("is an error object, and keeps its metatable and identity as a cancellation", function()
    run(function()
      local _, err = async.fs.stat("/no such")
      local got = echo(err)
      assert.equal("ENOENT", got.code)
      assert.equal(tostring(err), tostring(got))
      local cancelled
      local t = async.spawn(function() cancelled = select(2, pcall(async.sleep, 10)) end)
      async.yield()
      t:cancel()
      t:await()
      assert.is_true(async.is_cancelled(echo(cancelled)))
      local waits = async.spawn(async.sleep, 10)
      waits:cancel()
      local of_another = select(2, pcall(waits.await, waits))
      assert.is_true(support.was_cancelled(echo(of_another)))
      assert.equal(waits, of_another.task)
      assert.is_nil(echo(of_another).task) -- a Task stays where it is
    end)
  end)

  it("that cannot be sent says which key it stood under", function()
    run(function()
      local function refused(pattern, ...)
        local ok, e = pcall(thread.spawn_blocking, body "", ...)
        assert.is_false(ok)
        assert.matches(pattern, tostring(e))
      end
      local co = coroutine.create(print)
      refused("argument 2: .*coroutine", co)
      refused("argument 3%.a%.b%[2%]: .*coroutine", 1, { a = { b = { 0, co } } })
      refused("%[true%]", { [true] = co })
      refused("argument 2%.x: a FILE%*", { x = io.tmpfile() })
      refused("__gc", { x = setmetatable({}, { __gc = function() end }) })
      local f = load("local t = ... return function() return t end")({ deep = { co } })
      refused("upvalue .t.%.deep%[1%]", f)
      local key = {}
      key[co] = 1
      refused("coroutine", key)
    end)
  end)

  it("that cannot be a result is the error of the task, at its key", function()
    run(function()
      local t = thread.spawn_blocking(body "return 1, { x = coroutine.create(print) }")
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches("result 2%.x: .*coroutine", tostring(e))
    end)
  end)
end)

describe("a new state #nogc", function()
  it("has the standard libraries and package.path, and no modules of others", function()
    run(function()
      package.loaded["spec.none"] = { here = true }
      local path, cpath, none = thread.spawn_blocking(body [[
        return package.path, package.cpath, pcall(require, "spec.none")]]):await()
      package.loaded["spec.none"] = nil
      assert.equal(package.path, path)
      assert.equal(package.cpath, cpath)
      assert.is_false(none)
    end)
  end)

  it("has package.preload, as far as it can be sent, from the time of the spawn on", function()
    run(function()
      package.preload["spec.preloaded"] = load("return { 42 }")
      package.preload["spec.not"] = coroutine.wrap(function() end)
      local n, bad = thread.spawn_blocking(body [[
        return require("spec.preloaded")[1], pcall(require, "spec.not")]]):await()
      package.preload["spec.preloaded"], package.preload["spec.not"] = nil, nil
      assert.equal(42, n)
      assert.is_false(bad)
    end)
  end)

  it("runs the function of thread.init first, from then on", function()
    run(function()
      thread.init(load("made = (made or 0) + 1"))
      local function made() return thread.spawn_blocking(body "return made"):await() end
      assert.equal(1, made())
      assert.equal(1, made()) -- the state is kept
      assert.equal(1, thread.spawn(body "return made"):await())
      thread.init(load("made = 'other'"))
      assert.equal("other", made())
      thread.init(load("error 'no state'"))
      local t = thread.spawn_blocking(body "return made")
      local ok, e = pcall(t.await, t)
      assert.is_false(ok)
      assert.matches("no state", tostring(e))
      thread.init(nil)
      assert.is_nil(made())
      assert.has_error(function() thread.init(7) end)
    end)
  end)
end)
