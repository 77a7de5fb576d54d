-- async.stdin that is a regular file, and what was read ahead of it: the next run had part of it twice, and a child
-- that was given the descriptor began behind it.
local support = require "spec.support"

-- Runs the program with that shell command, in which $L stands for its start, and $D for a folder in which
-- `lines` has the numbers up to 100000; it has to print "ok" last.
local function ok(program, command)
  local folder = support.folder()
  local f <close> = assert(io.open(folder .. "/program.lua", "w"))
  f:write("local async = require 'lua_async'\n", program, "\nio.stderr:write('ok\\n')")
  f:close()
  command = command:gsub("%$L", "timeout -k 5 60 lua5.4 " .. folder .. "/program.lua"):gsub("%$D", folder)
  os.execute(("seq 1 100000 >%s/lines; { %s; } 2>%s/err"):format(folder, command, folder))
  local err <close> = assert(io.open(folder .. "/err"))
  assert.equal("ok\n", err:read("a"))
end

describe("standard streams from run to run, and in children #process", function()
  after_each(support.clean)

  it("lose no byte of a file", function()
    ok([[
      local n = 0
      local function check(line)
        n = n + 1
        assert(line == tostring(n), line)
      end
      for _ = 1, 7 do -- the first ends where a buffer has been taken over in part
        async.run(function()
          for _ = 1, 12800 do check(async.stdin:read("l")) end
        end)
      end
      async.run(function() for line in async.stdin:lines() do check(line) end end)
      assert(n == 100000)
    ]], "$L <$D/lines")
  end)

  it("give a child what it has not read of a file", function()
    ok([[
      local function child()
        local out = async.process.output { "head", "-n", "1", stdin = async.stdin }
        return out.stdout
      end
      async.run(function()
        assert(async.stdin:read("l") == "1")
        assert(child() == "2\n")
      end)
      async.run(function() assert(async.stdin:read("l") == "3") end)
      async.run(function()
        assert(child() == "4\n")
        assert(async.stdin:read("l") == "5")
        local rest = async.process.output { "cat", stdin = async.stdin }
        assert(rest.stdout:sub(1, 4) == "6\n7\n" and rest.stdout:sub(-7) == "100000\n")
        assert(async.stdin:read("l") == nil)
        async.stdin:close()
        local done, err = pcall(async.process.spawn, { "cat", stdin = async.stdin })
        assert(not done and err:find "the stream is closed", err)
      end)
    ]], "$L <$D/lines")
  end)

  it("refuse to be a child's where bytes were read ahead from a pipe", function()
    ok([[
      for _, first in ipairs { "1", "2" } do
        async.run(function()
          assert(async.stdin:read("l") == first)
          local done, err = pcall(async.process.spawn, { "cat", stdin = async.stdin })
          assert(not done and err:find "read ahead", err)
        end)
      end
      async.run(function()
        local done, err = pcall(async.process.spawn, { "cat", stdin = async.stdin })
        assert(not done and err:find "read ahead", err)
        assert(async.stdin:read("l") == "3")
        async.stdin:read("a")
        local t = async.spawn(async.stdin.read, async.stdin, "a")
        async.process.output { "cat", stdin = async.stdin }
        assert(t:await() == "")
      end)
    ]], "cat $D/lines | $L")
  end)

  it("stay open when a child has them, a pipe that was used too", function()
    ok([[
      async.run(function()
        async.stdout:write("a\n")
        async.process.spawn { "echo", "b", stdout = async.stdout }:wait()
        assert(async.stdout:write("c\n"))
      end)
    ]], "$L | { read a; read b; read c; [ $a$b$c = abc ]; } || echo wrong >&2")
  end)
end)
