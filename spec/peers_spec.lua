-- Real programs at the other end, which end their halves at different times: socat, nc, and children
-- that close one of their pipes. Some MiB in each direction, compared by content. They leak, which is no
-- business of a sanitizer that is preloaded here.
local async = require "lua_async"
local support = require "spec.support"
local net, process = async.net, async.process

local PLAIN = "--unset=LD_PRELOAD"

-- No piece of one comes twice, nor in the other.
local function text_of(letter)
  local parts = {}
  for i = 1, 200000 do parts[i] = ("%s%07x %d\n"):format(letter, i, i * 7919 % 1000003) end
  return table.concat(parts)
end

-- TCP and Unix: a listener, how nc and socat name it, and how we connect to what socat serves.
local kinds = {
  TCP = {
    listen = function()
      local listener = assert(net.listen("127.0.0.1", 0))
      local host, port = listener:address()
      return listener, { "env", PLAIN, "nc", "-N", host, port }, ("TCP:%s:%d"):format(host, port)
    end,
    served = "TCP-LISTEN:0,bind=127.0.0.1",
    connect = function(line)
      local port = line:match("listening on AF=2 127%.0%.0%.1:(%d+)")
      return port and net.connect("127.0.0.1", math.tointeger(tonumber(port)))
    end,
  },
  ["a Unix socket"] = {
    listen = function(folder)
      local path = folder .. "/ours"
      return assert(net.listen_unix(path)), { "env", PLAIN, "nc", "-N", "-U", path }, "UNIX-CONNECT:" .. path
    end,
    served = "UNIX-LISTEN:%s/theirs",
    connect = function(line, folder)
      return line:find("listening on AF=1", 1, true) and net.connect_unix(folder .. "/theirs")
    end,
  },
}

-- socat that serves one connection to us by a command: the connection and its child.
local function socat(kind, folder, command)
  local child = assert(process.spawn {
    "env", PLAIN, "socat", "-t60", "-d", "-d", kind.served:format(folder), command, stderr = "pipe" })
  for line in child.stderr:lines() do
    local conn, err = kind.connect(line, folder)
    if conn or err then return assert(conn, err), child end
  end
  error("socat does not listen")
end

local function sorted(text)
  local lines = {}
  for line in text:gmatch("[^\n]*\n") do lines[#lines + 1] = line end
  table.sort(lines)
  return table.concat(lines)
end

for name, kind in pairs(kinds) do
  describe("over " .. name .. " #process", function()
    local folder, ours, theirs, both
    setup(function()
      ours, theirs = text_of "o", text_of "t"
      both = sorted(ours .. theirs)
    end)
    teardown(function() ours, theirs, both = nil, nil, nil end)
    before_each(function() folder = support.folder() end)
    after_each(support.clean)

    local function run(f)
      return function() support.run(f) end
    end

    it("a peer that ends its half reads on: nc -N", run(function()
      local listener <close>, nc = kind.listen(folder)
      local server = async.spawn(function()
        local conn <close> = assert(listener:accept())
        local got = assert(conn:read("a"))
        assert(conn:write(ours, "the end"))
        return got
      end)
      nc.input = theirs
      local r = assert(process.output(nc))
      assert.is_true(r.ok, r.stderr)
      assert.is_true(r.stdout == ours .. "the end")
      assert.is_true(server:await() == theirs)
    end))

    it("a peer reads and writes at once, and both ends come", run(function()
      local listener <close>, nc = kind.listen(folder)
      local server = async.spawn(function()
        local conn <close> = assert(listener:accept())
        local got = async.join(function() return conn:read("a") end, function()
          assert(conn:write(ours))
          return conn:shutdown("send")
        end)
        return got
      end)
      nc.input = theirs
      local r = assert(process.output(nc))
      assert.is_true(r.stdout == ours)
      assert.is_true(server:await() == theirs)
    end))

    it("ours ends its half and reads all that still comes: socat, and sort behind it", run(function()
      local conn, child = socat(kind, folder, "EXEC:sort")
      local _ <close> = support.closing(conn, child)
      assert(conn:write(theirs, ours)) -- sort says nothing before it has read the end
      assert(conn:shutdown("send"))
      assert.is_true(conn:read("a") == both)
      assert.is_nil(conn:read(1))
      assert.is_true(assert(child:wait()).ok)
    end))

    it("a peer whose half has ended at once is written to", run(function()
      local listener <close>, nc = kind.listen(folder)
      local out = assert(async.fs.open(folder .. "/out", "w"))
      nc.stdin, nc.stdout = "null", out
      local child <close> = assert(process.spawn(nc))
      assert(out:close())
      local conn <close> = assert(listener:accept())
      assert.equal("", conn:read("a"))
      for i = 1, #ours, 100000 do assert(conn:write(ours:sub(i, i + 99999))) end
      assert(conn:shutdown("send"))
      assert.is_true(assert(child:wait()).ok)
      assert.is_true(async.fs.read_file(folder .. "/out") == ours)
    end))

    it("a peer that goes in the middle is told by writes, and what it had sent can be read", run(function()
      local listener <close>, _, address = kind.listen(folder)
      local child <close> = assert(process.spawn { "env", PLAIN, "socat", "-u", "SYSTEM:'echo last words'", address })
      local conn <close> = assert(listener:accept())
      assert(child:wait())
      local done, err
      repeat done, err = conn:write(ours) until not done
      assert.is_true(err.code == "EPIPE" or err.code == "ECONNRESET", tostring(err))
      if name ~= "TCP" then assert.equal("last words", conn:read("l")) end -- a reset of TCP takes them along
    end))

    it("copy_both passes each end on, in its own time: nc, us, socat and sort", run(function()
      local listener <close>, nc = kind.listen(folder)
      local upstream, child = socat(kind, folder, "EXEC:sort")
      local _ <close> = support.closing(upstream, child)
      local proxy = async.spawn(function()
        local conn <close> = assert(listener:accept())
        local there, back = async.copy_both(conn, upstream)
        return there, back
      end)
      nc.input = theirs .. ours
      local r = assert(process.output(nc))
      assert.is_true(r.ok, r.stderr)
      assert.is_true(r.stdout == both)
      assert.same({ #theirs + #ours, #theirs + #ours }, { proxy:await() })
      assert.is_true(assert(child:wait()).ok)
    end))

    it("copy_both passes on the end that comes from there, while we send on", run(function()
      local listener <close>, nc = kind.listen(folder)
      nc.input = "first\n"
      local back = async.spawn(process.output, nc) -- its half ends at once
      local upstream <close> = assert(listener:accept())
      local front, conn = support.pair()
      local _ <close> = support.closing(front, conn)
      local proxy = async.spawn(async.copy_both, conn, upstream)
      assert.equal("first\n", front:read("a"))
      assert(front:write(ours))
      assert(front:shutdown("send"))
      assert.is_true(back:await().stdout == ours)
      assert.same({ #ours, 6 }, { proxy:await() })
    end))
  end)
end

describe("a child #process", function()
  local ours
  setup(function() ours = text_of "o" end)
  teardown(function() ours = nil end)
  local folder
  before_each(function() folder = support.folder() end)
  after_each(support.clean)

  it("that closes its stdin writes on; who writes to it is told", function()
    support.run(function()
      assert(async.fs.write_file(folder .. "/text", ours))
      local child <close> = assert(process.spawn {
        "sh", "-c", "exec <&-; echo closed; cat " .. folder .. "/text", stdin = "pipe", stdout = "pipe" })
      assert.equal("closed", child.stdout:read("l"))
      local done, err = child.stdin:write(ours)
      assert.is_nil(done)
      assert.equal("EPIPE", err.code)
      assert.is_true(child.stdout:read("a") == ours)
      assert.is_true(assert(child:wait()).ok)
    end)
  end)

  it("that closes its stdout reads on", function()
    support.run(function()
      local child <close> = assert(process.spawn {
        "sh", "-c", "exec >&-; cat >" .. folder .. "/text", stdin = "pipe", stdout = "pipe" })
      assert.equal("", child.stdout:read("a"))
      assert(child.stdin:write(ours))
      assert(child.stdin:close())
      assert.is_true(assert(child:wait()).ok)
      assert.is_true(async.fs.read_file(folder .. "/text") == ours)
    end)
  end)

  it("that has one socket as stdin and stdout, as ssh gives it, ends its half and is read", function()
    support.run(function()
      local listener <close> = assert(net.listen_unix(folder .. "/socket"))
      local theirs = assert(net.connect_unix(folder .. "/socket"))
      local conn <close> = assert(listener:accept())
      local child <close> = assert(process.spawn { "env", PLAIN, "sh", "-c", "sort <&3 >&3", fds = { [3] = theirs } })
      assert(conn:write(ours))
      assert(conn:shutdown("send"))
      assert.is_true(conn:read("a") == sorted(ours))
      assert.is_true(assert(child:wait()).ok)
    end)
  end)
end)
