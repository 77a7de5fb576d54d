-- async.stdin, stdout and stderr, each way a program may be started: pipes, files, sockets,
-- a terminal, and nothing at all. Each case is a process of its own.
local support = require "spec.support"

-- Runs the program under the shell command, in which $L stands for its start.
local function sh(program, command)
  local folder = support.folder()
  local f <close> = assert(io.open(folder .. "/program.lua", "w"))
  f:write("local async = require 'lua_async'\nlocal sys = package.loadlib('build/spec/sys.so', 'luaopen_sys')()\n",
    program)
  f:close()
  command = command:gsub("%$L", "timeout --foreground -k 5 60 lua5.4 " .. folder .. "/program.lua"):gsub("%$D", folder)
  local _, _, code = os.execute(("{ %s; } >%s/out 2>%s/err"):format(command, folder, folder))
  local out <close> = assert(io.open(folder .. "/out"))
  local err <close> = assert(io.open(folder .. "/err"))
  return out:read("a"), err:read("a"), code
end

local upper = [[
  async.run(function()
    for line in async.stdin:lines("L") do async.stdout:write(line:upper()) end
  end)
]]

describe("a standard stream #process", function()
  after_each(support.clean)

  it("is a pipe", function()
    local out, err = sh(upper, "printf 'one\\ntwo' | $L | cat")
    assert.equal("ONE\nTWO", out)
    assert.equal("", err)
  end)

  it("is a file", function()
    local out, err = sh(upper, "printf 'one\\ntwo' >$D/in; $L <$D/in >$D/it; cat $D/it")
    assert.equal("ONE\nTWO", out)
    assert.equal("", err)
  end)

  it("goes on where a file stands, and is appended to", function()
    local out = sh(upper, "printf 'first\\nsecond\\n' >$D/in; " ..
      "{ head -c 6 >/dev/null; $L; } <$D/in >>$D/it; $L <$D/in >>$D/it; cat $D/it")
    assert.equal("SECOND\nFIRST\nSECOND\n", out)
  end)

  it("is /dev/null", function()
    local out, err, code = sh(upper .. "print(async.run(function() return async.stdin:read('a') end) == '')",
      "$L </dev/null")
    assert.equal("true\n", out)
    assert.equal("", err)
    assert.equal(0, code)
  end)

  it("is closed", function()
    local out, err, code = sh([[
      async.run(function()
        local got, err = async.stdin:read("a")
        assert(got == nil and err.code == "EBADF", tostring(err))
        local done, why = async.stdout:write("x")
        assert(done == nil and why.code == "EBADF", tostring(why))
        async.stderr:write("told\n")
      end)
    ]], "$L <&- >&-")
    assert.equal("told\n", err)
    assert.equal("", out)
    assert.equal(0, code)
  end)

  it("is the end of a socket", function()
    local out, err, code = sh([[
      async.run(function()
        local listener <close> = assert(async.net.listen("127.0.0.1", 0))
        local path = arg[0]:gsub("program.lua", "inner.lua")
        local f <close> = assert(io.open(path, "w"))
        f:write("local async = require 'lua_async' async.run(function() ",
          "for line in async.stdin:lines('L') do async.stdout:write(line:upper()) end end)")
        f:close()
        local client = async.spawn(function()
          local conn <close> = assert(async.net.connect(listener:address()))
          conn:write("one\ntwo\n")
          conn:shutdown("send")
          print(conn:read("a"))
        end)
        local conn = assert(listener:accept())
        local fd = conn:fd()
        sys.inherit(fd)
        assert(os.execute(("bash -c 'timeout 20 lua5.4 %s <&%d >&%d' &"):format(path, fd, fd)))
        conn:close()
        client:await()
      end)
    ]], "$L")
    assert.equal("", err)
    assert.equal("ONE\nTWO\n\n", out)
    assert.equal(0, code)
  end)

  it("does not change the pipe for those who share it", function()
    local out, err, code = sh([[
      async.run(function()
        async.stdin:read("l")
        async.stdout:write("x\n")
        async.stderr:write("")
        for fd = 0, 2 do assert(not sys.nonblocking(fd), fd) end
      end)
      for fd = 0, 2 do assert(not sys.nonblocking(fd), fd) end
    ]], "echo one | { $L 2>&1; echo $?; } | cat")
    assert.equal("x\n0\n", out)
    assert.equal("", err)
    assert.equal(0, code)
  end)

  it("keeps what one run has read for the next", function()
    for _, command in ipairs { "printf 'a\\nb\\nc\\nd\\n' | $L", "printf 'a\\nb\\nc\\nd\\n' >$D/in; $L <$D/in" } do
      local out = sh([[
        async.run(function() print(async.stdin:read()) end)
        async.run(function() print(async.stdin:read()) end)
        async.run(function() async.stdout:write(async.stdin:read("a")) end)
      ]], command)
      assert.equal("a\nb\nc\nd\n", out)
    end
  end)

  it("waits, and others run meanwhile", function()
    local out = sh([[
      async.run(function()
        local turns, line = 0, nil
        async.join(function() line = async.stdin:read() end, function()
          repeat
            turns = turns + 1
            async.yield()
          until line
        end)
        print(line, turns > 1)
      end)
    ]], "{ sleep 0.2; echo line; } | $L")
    assert.equal("line\ttrue\n", out)
  end)

  it("writes all to a slow reader, and a run ends with it written", function()
    local out = sh([[
      async.run(function() async.stdout:write(("x"):rep(1 << 22)) end)
    ]], "$L | { sleep 0.2; wc -c; }")
    assert.equal(1 << 22, tonumber(out))
    out = sh([[
      async.run(function() for i = 1, 100000 do async.stdout:write(i, "\n") end end)
    ]], "$L >$D/it; md5sum <$D/it; seq 100000 | md5sum")
    local one, two = out:match("^(%x+)%s+%-\n(%x+)")
    assert.equal(one, two)
  end)

  it("whose reader has gone fails, and nobody dies", function()
    local _, err, code = sh([[
      async.run(function()
        local done, why
        repeat done, why = async.stdout:write(("x"):rep(65536)) until not done
        async.stderr:write(why.code)
      end)
    ]], "$L | true")
    assert.equal("EPIPE", err)
    assert.equal(0, code)
  end)

  it("that is not read does not hold up the end of the run", function()
    local out, err, code = sh([[
      async.run(function()
        async.spawn(function() async.stdin:read() end)
        async.yield()
        print "over"
      end)
    ]], "mkfifo $D/fifo; exec 9<>$D/fifo; $L <$D/fifo")
    assert.equal("over\n", out)
    assert.equal("", err)
    assert.equal(0, code)
  end)

  it("is closed for good, but not the descriptor", function()
    local out = sh([[
      async.run(function()
        assert(async.stdout:write("one\n"))
        assert(async.stdout:close() == true)
        assert(async.stdout:close() == true)
        local done, err = async.stdout:write("two\n")
        assert(done == nil and err.code == "EBADF")
      end)
      async.run(function() assert(async.stdout:write("three\n") == nil) end)
      print "four"
    ]], "$L | cat")
    assert.equal("one\nfour\n", out)
  end)

  it("says what it is", function()
    local out = sh([[
      print(async.stdin, async.stdout, async.stderr)
      print(async.stdin:fd(), async.stdout:fd(), async.stderr:fd())
      print(async.stdin:isatty(), async.stdout:isatty())
      print(select(2, async.stdout:size()).code)
      print(select(2, async.run(function() return async.stdin:raw() end)).code)
      print(pcall(async.stdin.read, async.stdin))
    ]], "echo | $L")
    assert.equal("StandardStream (stdin)\tStandardStream (stdout)\tStandardStream (stderr)\n0\t1\t2\n" ..
      "false\tfalse\nENOTTY\nENOTTY\n", out:match("^(.-ENOTTY\nENOTTY\n)"))
    assert.matches("false\tcannot wait outside a runtime", out)
  end)

  -- script(1) starts it in a terminal of its own.
  local function in_terminal(program, keys)
    return sh(program, "export SHELL=/bin/sh; { sleep 0.3; printf '" .. keys ..
      "'; sleep 0.3; } | script -qec '$L; stty -a | grep -o .icanon' /dev/null | tr -d '\\r'")
  end

  it("is a terminal, with a size", function()
    local out = in_terminal([[
      async.run(function()
        os.execute("stty rows 33 cols 77")
        print(async.stdin:isatty(), async.stdout:isatty(), async.stdout:size())
        print("got " .. async.stdin:read())
      end)
    ]], "line\\n")
    assert.matches("true\ttrue\t77\t33\n", out)
    assert.matches("got line\n", out)
  end)

  it("is a terminal in raw mode, until the run ends, whatever it ends by", function()
    for _, ending in ipairs { "", "error('x')", "os.exit(1)", "async.stdin:raw(false)" } do
      local out = in_terminal([[
        async.run(function()
          assert(async.stdin:raw())
          assert(async.stdin:raw() == true)
          os.execute("stty -a | grep -o .icanon | sed s/^/in/")
          async.stdout:write("ready\n")
          local key = async.stdin:read_exact(1)
          async.stdout:write("got ", key:byte(), "\n")
          ]] .. ending .. [[
        end)
      ]], "\\003")
      assert.matches("in%-icanon", out)
      assert.matches("got 3\n", out)
      assert.matches("\n icanon\n$", out, ending)
    end
  end)
end)
