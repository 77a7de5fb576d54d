-- The examples, run as their readers run them.
local async = require "lua_async"

local LIMIT = 180 -- seconds, where only a hang is to be found

-- They find the module that was built by themselves; other flavours of it are found by the environment.
local release = (os.getenv("LUA_ASYNC_FLAVOUR") or "release") == "release"
local alone = release and "-u LUA_PATH -u LUA_CPATH" or ""

-- What they print shows the order of their tasks, which a seed would change.
local function command(name, ...)
  local words = { "env -u LUA_ASYNC_SEED", alone, "timeout", LIMIT, "lua5.4", "examples/" .. name .. ".lua" }
  for _, word in ipairs { ... } do words[#words + 1] = "'" .. word .. "'" end
  return table.concat(words, " ")
end

-- What it printed, on both outputs, and its exit status.
local function example(name, ...)
  local p = assert(io.popen(command(name, ...) .. " 2>&1"))
  local out = p:read("a")
  local _, _, status = p:close()
  return out, status
end

local function expect(name, text, ...)
  local out, status = example(name, ...)
  assert.equal(text, out)
  assert.equal(0, status)
end

-- Starts a server on a port of the system's choice.
local function server(name, ...)
  local p = assert(io.popen(command(name, "127.0.0.1", 0, ...) .. " 2>&1"))
  local first = p:read("l")
  local port = math.tointeger(tonumber(first:match("^listening on 127%.0%.0%.1 port (%d+)$")))
  return p, assert(port, first)
end

-- The rest of its output; it ended by itself, with success.
local function ended(p)
  local out = p:read("a")
  assert.is_true(p:close())
  return out
end

describe("the example #process", function()
  it("counter_future polls until the target, in Lua and in C", function()
    expect("counter_future", [[
made: a future is lazy, nothing was polled yet
lua: polled, count = 1
lua: polled, count = 2
lua: polled, count = 3
lua: reached 3
result: 3
a: polled, count = 1
b: polled, count = 1
a: polled, count = 2
b: polled, count = 2
a: reached 2
b: reached 2
sum: 4
C, awaited in place: 3
C, as a lazy future: 1000
]])
  end)

  it("luasocket checks links with LuaSocket's own http, many at once", function()
    expect("luasocket", [[
/one         HTTP/1.1 200 OK
/two         HTTP/1.1 200 OK
/gone        HTTP/1.1 404 Not Found
]])
  end)

  it("delay_future is woken by another thread", function()
    -- Its times are short: on a machine that stands still for a tenth of a second it tells
    -- another story, so it may try again.
    local want, out, status = [[
polled by task 2: starts the thread
polled by task 1: replaces the waker
Timer Complete!
Timer Complete! (the one in C)
the ticker went on: true
polled by task 1: starts the thread
given up before it was ready
nil	ETIMEDOUT
]]
    for _ = 1, 5 do
      out, status = example("delay_future")
      assert.equal(0, status)
      if out == want then break end
    end
    assert.equal(want, out)
  end)

  it("get_two_pages fetches the second before it has the first when they are joined", function()
    local out, status = example("get_two_pages")
    assert.equal(0, status)
    local times = {}
    out = out:gsub("([%d.]+) s\n", function(s) times[#times + 1] = tonumber(s) return "? s\n" end)
    assert.equal([[
fetching /one
got page 1
fetching /two
got page 2
one after the other: Content from /one; Content from /two; ? s
fetching /one
fetching /two
joined: Content from /one; Content from /two; ? s
]], out)
    assert.is_true(times[1] >= 0.4 and times[2] >= 0.2)
  end)

  it("async_block captures a variable", function()
    expect("async_block", [[
made
preparing the greeting
Hello, World!
Moon	World
spawned under the Moon
nil	timeout: no result from sleep within 0.01 s (ETIMEDOUT)
Hello, you!
this future has finished or was dropped: make a new one
]])
  end)

  it("read_files prints the size of every file in its folder", function()
    local out, status = example("read_files")
    assert.equal(0, status)
    local count = 0
    for size, path in out:gmatch(" *(%d+)  (examples/%S+)\n") do
      local f = assert(io.open(path, "rb"))
      assert.equal(f:seek("end"), tonumber(size))
      f:close()
      count = count + 1
    end
    assert.is_true(count >= 12)
    assert.matches("bytes and %d+ lines in " .. count .. " files\n$", out)
  end)

  it("read_files names what cannot be read, and fails", function()
    local out, status = example("read_files", "LICENSE", "no such file")
    assert.equal(1, status)
    assert.matches("%d+  LICENSE\n", out)
    assert.matches("read_file no such file: no such file or directory %(ENOENT%)\n", out)
    assert.matches("in 1 files\n", out)
  end)

  it("process_pool replaces the workers that die", function()
    expect("process_pool", [[
a worker died of SIGKILL: it is replaced
100 jobs, 4 workers, 14 replaced: the sum of the squares is 338350
]])
    expect("process_pool", "6 jobs, 1 workers, 0 replaced: the sum of the squares is 91\n", 1, 6)
  end)

  it("resolve_many prints in order, and names what it did not find", function()
    local out, status = example("resolve_many", "-n", 2, "192.0.2.1", "localhost", "no.such.name.invalid", "::1")
    assert.equal(1, status)
    local lines = {}
    for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.equal("192.0.2.1\t192.0.2.1", lines[1])
    assert.matches("^localhost\t.*127%.0%.0%.1", lines[2])
    assert.matches("^no%.such%.name%.invalid\tEAI_", lines[3])
    assert.equal("::1\t::1", lines[4])
    assert.equal(4, #lines)
  end)

  it("resolve_many reads names from its input", function()
    local p = assert(io.popen("seq -f 10.0.0.%g 1 200 | " .. command("resolve_many")))
    for i = 1, 200 do assert.equal(("10.0.0.%d\t10.0.0.%d"):format(i, i), p:read("l")) end
    assert.is_nil(p:read("l"))
    assert.is_true(p:close())
  end)

  it("poll_fn is ready with the first of two", function()
    expect("poll_fn", "2\tfast\tand\tmore\n1\ta\n1\tthe value\n2\t2\n")
  end)

  it("echo_server and echo_client talk to each other", function()
    local p, port = server("echo_server", 2)
    expect("echo_client", "hello\nand good-bye\n", "127.0.0.1", port)
    expect("echo_client", "one\n\n two \n", "127.0.0.1", port, "one", "", " two ")
    local out = ended(p)
    assert.matches("127%.0%.0%.1:%d+: 19 bytes, closed\n", out)
    assert.matches("127%.0%.0%.1:%d+: 11 bytes, closed\nstopped\n$", out)
  end)

  it("echo_client tells when there is no server", function()
    local p, port = server("echo_server", 1)
    example("echo_client", "127.0.0.1", port)
    ended(p)
    local out, status = example("echo_client", "127.0.0.1", port)
    assert.equal(1, status)
    assert.equal(("connect 127.0.0.1:%d: connection refused (ECONNREFUSED)\n"):format(port), out)
  end)

  it("proxy passes on what echo_client and echo_server say to each other", function()
    local e, echo_port = server("echo_server", 1)
    local p, port = server("proxy", "127.0.0.1", echo_port, 2)
    expect("echo_client", "hello\nand good-bye\n", "127.0.0.1", port)
    ended(e)
    local _, status = example("echo_client", "127.0.0.1", port) -- there is no server any more
    assert.equal(1, status)
    assert.equal("19 bytes there, 19 back\n" ..
      ("connect 127.0.0.1:%d: connection refused (ECONNREFUSED)\n"):format(echo_port), ended(p))
  end)

  it("progress counts, and draws a bar on a terminal only", function()
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    f:write(("one\ntwo\n"):rep(1000))
    f:close()
    local result = ("%9d %6d  %s"):format(8000, 2000, path)
    expect("progress", result .. "\n", path)
    local p = assert(io.popen("SHELL=/bin/sh script -qec '" .. command("progress", path) .. "' /dev/null </dev/null"))
    local out = p:read("a")
    p:close()
    os.remove(path)
    assert.matches("\r%[[= ]+%] +%d+%%", out)
    assert.is_truthy(out:find("\r\27[K" .. result, 1, true))
  end)

  it("mandelbrot computes on all cores what one computes", function()
    local path = os.tmpname()
    local out, status = example("mandelbrot", path, 40, 30)
    assert.equal(0, status)
    assert.matches(": 40 x 30 points, on up to %d+ cores\n$", out)
    local f <close> = assert(io.open(path, "rb"))
    local picture = f:read("a")
    os.remove(path)
    assert.equal("P5\n40 30\n255\n", picture:sub(1, 13))
    assert.equal(13 + 40 * 30, #picture)
    local function at(x, y) return picture:byte(14 + y * 40 + x) end
    assert.equal(0, at(20, 15)) -- in the set
    assert.equal(254, at(0, 0)) -- far from it
    for y = 1, 29 do -- symmetric about its middle row
      for x = 0, 39 do assert.equal(at(x, y), at(x, 30 - y)) end
    end
  end)

  it("pipeline counts words, in stages", function()
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    for _ = 1, 20000 do f:write("the cat saw the dog\nA dog, the end\n") end
    f:close()
    expect("pipeline", [[
  60000 the
  40000 dog
  20000 a
  20000 cat
  20000 end
  20000 saw
]], path)
    os.remove(path)
  end)

  it("echo_cores serves on all cores, and stops gracefully at SIGTERM", function()
    local p, port = server("echo_cores", 2)
    local conn
    async.run(function()
      repeat conn = async.net.connect("127.0.0.1", port) until conn or async.sleep(0.01) -- until they listen
      conn:write("hello\n")
      assert.equal("hello", conn:read("l"))
      for pid in async.fs.dir("/proc") do -- not the shell and timeout around it
        local line = pid:find("^%d+$") and async.fs.read_file("/proc/" .. pid .. "/cmdline")
        if line and line:find("^lua5.4%zexamples/echo_cores.lua%z") then
          assert(async.process.kill(tonumber(pid), "SIGTERM"))
        end
      end
      conn:write("still there\n")
      assert.equal("still there", conn:read("l"))
      conn:close()
    end)
    assert.equal("stopped\n", ended(p))
  end)

  it("supervisor starts what fails again, and gives up in the end", function()
    local out, status = example("supervisor")
    assert.equal(0, status)
    -- The two that end well are on threads of their own: either may be the first.
    out = out:gsub("done follower\ndone flaky\n", "done flaky\ndone follower\n")
    assert.equal([[
start flaky
start follower
failed flaky: lost count
start flaky
start follower
failed flaky: lost count
start flaky
start follower
done flaky
done follower
all done
start hopeless
failed hopeless: lost count
start hopeless
failed hopeless: lost count
start hopeless
failed hopeless: lost count
start hopeless
failed hopeless: lost count
false	too many failures, the last of them: lost count
]], out)
  end)

  it("tour checks every byte, and says so in one line", function()
    local out, status = example("tour")
    assert.equal(0, status)
    assert.matches("soup is ready", out)
    assert.matches("tea: await: task %d+ was cancelled", out)
    local files, lines, times = out:match(
      "100 clients send a server (%d+) files, (%d+) lines, ([%w ]+), and check every answer:\n")
    assert.is_true(tonumber(files) > 10)
    local sent = lines * tonumber(times:match("%d+") or 1)
    assert.matches(("ok: %d lines and [%%d.]+ MB echoed to 100 connections"):format(sent), out)
    assert.is_nil(out:find("\r", 1, true)) -- no terminal here
  end)
end)

describe("the file examples #process", function()
  local support = require "spec.support"
  local dir
  before_each(function() dir = support.folder() end)
  after_each(support.clean)

  local function put(name, text, mode)
    local f <close> = assert(io.open(dir .. "/" .. name, mode or "wb"))
    f:write(text)
  end

  it("grep finds lines in all files of a tree", function()
    assert(os.execute("mkdir -p " .. dir .. "/a/b " .. dir .. "/.hidden"))
    put("one", "nothing\na needle\n")
    put("a/b/two", "needles\nand needles without an end")
    put("a/binary", "needle \0 needle")
    put(".hidden/three", "needle")
    for i = 1, 100 do put("a/b/" .. i, "hay " .. i) end
    local out, status = example("grep", "needles?$", dir)
    assert.equal(0, status)
    local lines = {}
    for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ dir .. "/a/b/two:1:needles", dir .. "/one:2:a needle" }, lines)
    out, status = example("grep", "hay 77", dir, "/no/such/folder")
    assert.matches(dir:gsub("%p", "%%%0") .. "/a/b/77:1:hay 77\n", out)
    assert.matches("walk /no/such/folder: no such file or directory %(ENOENT%)\n", out)
    assert.equal(2, status)
    assert.equal(1, select(2, example("grep", "haystack", dir)))
  end)

  it("tail follows a file through rotation and truncation", function()
    put("log", "old\n")
    local p = assert(io.popen(command("tail", dir .. "/log", 6) .. " 2>&1"))
    assert.equal("following " .. dir .. "/log", p:read("l"))
    put("other", "not this\n")
    put("log", "one\ntw", "ab")
    assert.equal("one", p:read("l"))
    put("log", "o\n", "ab")
    assert.equal("two", p:read("l"))
    put("log", "three\n", "ab")
    assert(os.rename(dir .. "/log", dir .. "/log.1")) -- maybe before it was read
    put("log.1", "four\n", "ab")
    put("log", "five\n")
    assert.equal("three", p:read("l"))
    assert.equal("four", p:read("l"))
    assert.equal("five", p:read("l"))
    put("log", "6\n") -- emptied, and shorter
    assert.equal("6", p:read("l"))
    assert.equal("", ended(p))
  end)
end)

describe("the chat server #process", function()
  local function join(port, name)
    local conn = assert(async.net.connect("127.0.0.1", port))
    assert.equal("your name? ", conn:read_exact(11))
    conn:write(name, "\n")
    return conn
  end

  local function hears(conn, line) assert.equal(line, async.timeout(LIMIT, conn.read, conn, "l")) end

  it("tells everybody what one says, who comes and who leaves", function()
    local p, port = server("chat_server", 2)
    async.run(function()
      local ada = join(port, "ada")
      hears(ada, "welcome, ada")
      local bob <close> = join(port, "ada") -- taken
      assert.equal("not that one. your name? ", bob:read_exact(25))
      bob:write("bob\r\n")
      hears(bob, "welcome, bob")
      hears(ada, "* bob is here")
      ada:write("hello\nis anybody there?\n")
      hears(bob, "ada: hello")
      hears(bob, "ada: is anybody there?")
      bob:write("yes\n")
      hears(ada, "bob: yes")
      ada:close()
      hears(bob, "* ada has left")
    end)
    assert.equal("ada is here\nbob is here\nada has left\nbob has left\n", ended(p))
  end)

  it("is not held up by a guest who does not read", function()
    local p, port = server("chat_server", 3)
    async.run(function()
      local ada <close> = join(port, "ada")
      hears(ada, "welcome, ada")
      local bob <close> = join(port, "bob")
      hears(bob, "welcome, bob")
      local deaf <close> = join(port, "deaf")
      hears(deaf, "welcome, deaf")
      hears(bob, "* deaf is here")
      local line = ("x"):rep(4000)
      local function count_to(n)
        repeat
          local heard = assert(async.timeout(LIMIT, bob.read, bob, "l"))
          if heard == "ada: " .. line then n = n - 1 else assert.equal("* deaf has left", heard) end
        until n == 0
      end
      for _ = 1, 80 do -- 16 MB in all, more than the system buffers
        async.spawn(function() for _ = 1, 50 do ada:write(line, "\n") end end)
        count_to(50)
      end
    end)
    assert.matches("deaf is here\ndeaf has left\n", ended(p))
  end)
end)
