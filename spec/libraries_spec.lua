-- Libraries that run on coroutines of their own, beside tasks. Each program is one of its own, since it may
-- put async.coroutine in the place of the library `coroutine` before the other library is loaded.


-- What a program writes, all of it.
local function output(program, arg)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(program)
  file:flush()
  local pipe = assert(io.popen(("lua5.4 %s %s 2>&1"):format(path, arg or "")))
  local text = pipe:read("a")
  pipe:close()
  os.remove(path)
  return text
end

-- copas from LuaRocks is on the path; Debian's package has it for older releases of Lua alone.
local copas_path = package.searchpath("copas", package.path .. ";/usr/share/lua/5.2/?.lua")

describe("copas #process", function()
  local program = ([[
    package.path = package.path .. ";/usr/share/lua/5.2/?.lua"
    local async = require "lua_async"
    if arg[1] == "async" then coroutine = async.coroutine end
    local socket = require("lua_async.socket").install()
    local copas = require "copas"
    async.run(function()
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local beside, done = 0, 0
      copas.addserver(server, function(connection)
        connection = copas.wrap(connection)
        for _ = 1, 100 do
          local line = connection:receive("*l")
          if arg[1] == "async" then async.sleep(0) end
          connection:send(line:upper() .. "\n")
        end
      end)
      local answers = {}
      for i = 1, 3 do
        copas.addthread(function()
          local client = socket.tcp()
          client:settimeout(0)
          assert(copas.connect(client, "127.0.0.1", port))
          client = copas.wrap(client)
          for k = 1, 100 do
            client:send(("hello %d %d\n"):format(i, k))
            local line = client:receive("*l")
            answers[#answers + 1] = line
          end
          done = done + 1
        end)
      end
      local ticker = async.spawn(function()
        while true do
          beside = beside + 1
          async.yield()
        end
      end)
      while done < 3 do copas.step(1) end
      ticker:cancel()
      table.sort(answers)
      print(#answers, answers[1], answers[300], beside > 0)
      os.exit(0) -- copas keeps its server
    end)
  ]])
  local expected = "300\tHELLO 1 1\tHELLO 3 99\ttrue\n"

  it("is there", function() assert.truthy(copas_path, "make test installs it (Debian: lua-copas)") end)

  it("dispatches its coroutines on our sockets, and tasks run beside them", function()
    assert.equal(expected, output(program))
  end)

  it("lets its threads wait as tasks do, on async.coroutine", function()
    assert.equal(expected, output(program, "async"))
  end)
end)

-- As TypeScriptToLua translates async functions: a coroutine for each call, that is resumed when the promise
-- which it has yielded is settled.
describe("async functions on coroutines #process", function()
  local program = ([[
    local async = require "lua_async"
    if arg[1] == "async" then coroutine = async.coroutine end
    local create, resume, status, yield = coroutine.create, coroutine.resume, coroutine.status, coroutine.yield

    local function settled(promise, value)
      promise.value, promise.done = value, true
      for _, f in ipairs(promise) do f(value) end
    end
    local function async_function(f)
      return function(...)
        local promise, arguments = {}, table.pack(...)
        local co = create(function() return f(table.unpack(arguments, 1, arguments.n)) end)
        local function step(value)
          local ok, result = resume(co, value)
          if not ok then promise.failure = result return end
          if status(co) == "dead" then return settled(promise, result) end
          if result.done then return step(result.value) end
          result[#result + 1] = step
        end
        step()
        return promise
      end
    end
    local await = yield

    local work = async_function(function(name)
      async.sleep(0.001)
      return name
    end)
    local main = async_function(function()
      local a = await(work "one")
      local b = await(work "two")
      return a .. " " .. b
    end)
    async.run(function()
      local promise = main()
      print(promise.value or promise.failure)
    end)
  ]])

  it("may wait, on async.coroutine", function() assert.equal("one two\n", output(program, "async")) end)

  it("are told what to do, on the library coroutine", function()
    local text = output(program:gsub("print%(promise.value or promise.failure%)", "print(work('x').failure)"))
    assert.matches("cannot wait inside a plain coroutine", text)
    assert.matches("async.coroutine", text)
  end)
end)

