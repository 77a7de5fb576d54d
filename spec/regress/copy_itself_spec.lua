-- A File copied to itself: its reader and its writer are one, and the piece that was written was read's.
local async = require "lua_async"
local support = require "spec.support"
local flavour = os.getenv("LUA_ASYNC_FLAVOUR") or "release"

describe("async.copy through a pipe of the system's #seldom", function()
  it("goes on through memory when the target will not be spliced to #process", function()
    if flavour ~= "release" or not os.execute("strace -o /dev/null true 2>/dev/null") then return end
    for _, second in ipairs { "2", "4" } do -- the first of a piece that goes out, and a later one
      support.child_ok([[
        local function pair()
          local listener <close> = assert(async.net.listen("127.0.0.1", 0))
          local _, port = listener:address()
          local client = assert(async.net.connect("127.0.0.1", port))
          return client, assert(listener:accept())
        end
        async.run(function()
          local source, from = pair()
          local to, sink = pair()
          local text = {}
          for i = 1, 100000 do text[i] = ("%07d "):format(i) end
          text = table.concat(text)
          async.spawn(function()
            source:write(text)
            source:close()
          end)
          local all = async.spawn(sink.read, sink, "a")
          assert(async.copy(from, to) == #text)
          to:close()
          assert(all:await() == text)
        end)
        print "ok"
      ]], { under = "strace -f -o /dev/null -e trace=splice -e inject=splice:error=EINVAL:when=" .. second })
    end
  end)

  it("loses no byte when the other end goes away #large", function()
    support.run(function()
      local text = {}
      for i = 1, 200000 do text[i] = ("%07d "):format(i):rep(10) end
      text = table.concat(text)
      for wait = 1, 4 do
        local source <close>, from = support.pair()
        local to, sink = support.pair()
        local _ <close> = from
        local writer = async.spawn(function()
          source:write(text)
          source:shutdown("send")
        end)
        local t = async.spawn(async.copy, from, to)
        local got = sink:read(1000 * wait) -- then it is under way, and the sink is full
        async.sleep(0.02)
        sink:close()
        local n, err = t:await()
        assert.is_nil(n)
        local rest = from:read("a")
        assert.is_true(err.partial >= #got)
        assert.is_true(rest == text:sub(err.partial + 1))
        writer:await()
        to:close()
      end
    end)
  end)
end)

describe("async.copy of a file to itself #seldom", function()
  after_each(support.clean)

  it("raises, and says what to do; opened twice it is copied", function()
    support.run(function()
      local path = support.folder() .. "/f"
      assert(async.fs.write_file(path, "abc"))
      local file <close> = assert(async.fs.open(path, "r+"))
      for _, copy in ipairs { async.copy, async.copy_both } do
        local ok, e = pcall(copy, file, file)
        assert.is_false(ok)
        assert.matches("open it twice", tostring(e))
      end
      assert.equal("abc", file:read("a"))
      local again <close> = assert(async.fs.open(path))
      assert.equal(3, async.copy(again, file, 3)) -- for without a limit it reads what it writes
      assert(file:flush())
      assert.equal("abcabc", async.fs.read_file(path))
    end)
  end)

  it("is not meant for connections, which echo so", function()
    support.run(function()
      local a <close>, b = support.pair()
      local _ <close> = b
      local echo = async.spawn(async.copy, b, b)
      assert(a:write("hello"))
      assert(a:shutdown("send"))
      assert.equal("hello", a:read(5))
      assert.equal(5, echo:await())
    end)
  end)
end)
