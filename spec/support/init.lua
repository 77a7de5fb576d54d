-- What the specs share: the `sys` module (C), runs that cannot hang, children, scratch folders.
local async = require "lua_async"

local support = {}

-- spec/support/sys.c; compiled at its first use, unless spec/support/build was run before.
local function load_sys()
  local path, tsan = "build/spec/sys.so", os.getenv("LUA_ASYNC_FLAVOUR") == "tsan"
  if not tsan then assert(os.execute("sh spec/support/build"), "cannot compile spec/support/sys.c") end
  local sys = assert(package.loadlib(path, "luaopen_sys"), path .. " is not there: sh spec/support/build")()
  -- Libtsan crashes in a shell: it is there from here on, and not in children.
  if tsan then sys.setenv("LD_PRELOAD") end
  return sys
end
support.sys = load_sys()

-- The first loop of a process makes what libuv keeps for good (a pipe for signals): from
-- here on descriptors can be counted.
async.run(function() async.fs.stat("/") end)

-- async.run(f, ...) that fails instead of hanging.
local LIMIT = 120
function support.run(f, ...)
  return async.run(function(...)
    local limit = async.now() + LIMIT
    local r = table.pack(async.deadline(limit, f, ...))
    if async.now() >= limit then error("the test hung for " .. LIMIT .. " seconds", 0) end
    return table.unpack(r, 1, r.n)
  end, ...)
end

-- The error of awaiting a task that was cancelled.
function support.was_cancelled(e)
  return type(e) == "table" and e.code == "ECANCELED" and e.op == "await" and not async.is_cancelled(e)
end

-- Calls f with LUA_ASYNC_SEED in the environment, or without: what is about the very order in which
-- ready tasks run has to know it.
support.seed = os.getenv("LUA_ASYNC_SEED")
function support.with_seed(seed, f, ...)
  support.sys.setenv("LUA_ASYNC_SEED", seed and tostring(seed))
  local _ <close> = setmetatable({}, { __close = function() support.sys.setenv("LUA_ASYNC_SEED", support.seed) end })
  return f(...)
end
function support.in_order(f, ...) return support.with_seed(nil, support.run, f, ...) end

-- Open descriptors, without those of garbage.
function support.fds()
  collectgarbage()
  collectgarbage()
  return support.sys.fds()
end

-- A place to wait at: every wait() of a task lasts until another calls open(). For an order
-- that no load of the machine changes.
function support.gate()
  local opened, wakers = false, {}
  local gate = {}
  function gate.wait()
    return async.await(async.poll_fn(function(cx)
      if opened then return "ready" end
      wakers[#wakers + 1] = cx:waker()
      return "pending"
    end))
  end
  function gate.open()
    opened = true
    for _, waker in ipairs(wakers) do waker:wake() end
    wakers = {}
  end
  return gate
end

-- Waits until the reader of `conn` has taken from the system what was sent on `fd`, its peer.
function support.taken(fd, conn)
  local own = support.sys.socket(select(2, conn:address()), select(2, conn:peer()))
  while select(2, support.sys.queued(fd)) > 0 or support.sys.queued(own) > 0 do async.sleep(0.001) end
end

-- Waits until `count()` stands still, or is `most`: a writer whose peer does not read.
function support.still(count, most)
  local last, same = count(), 0
  while same < 5 and last < most do
    async.sleep(0.02)
    same = count() == last and same + 1 or 0
    last = count()
  end
  return last
end

-- A fresh folder under $TMPDIR or /tmp; support.clean removes all that were made.
local folders = {}
function support.folder()
  local name = os.tmpname()
  os.remove(name)
  assert(os.execute("mkdir '" .. name .. "'"))
  folders[#folders + 1] = name
  return name
end

function support.clean()
  for _, name in ipairs(folders) do os.execute("rm -rf '" .. name .. "'") end
  folders = {}
end

-- Runs a Lua program in a process of its own: `before` a shell command, `under` one that
-- starts others (env), `with` the interpreter.
-- Returns its output (both streams) and its exit code (128 + n for signal n). 124: it hung.
function support.child(program, opts)
  opts = opts or {}
  local file, out = os.tmpname(), os.tmpname()
  local f <close> = assert(io.open(file, "w"))
  f:write("local sys = package.loadlib('build/spec/sys.so', 'luaopen_sys')()\n",
    "local async = require 'lua_async'\n", program)
  f:close()
  local _, _, code = os.execute(("%s timeout -k 5 %d %s %s %s >%s 2>&1 </dev/null"):format(
    opts.before or "", opts.seconds or 300, opts.under or "", opts.with or "lua5.4", file, out))
  local o <close> = assert(io.open(out))
  local text = o:read("a")
  os.remove(file)
  os.remove(out)
  return text, code
end

-- The same, for a program that has to print "ok" last and end with 0.
function support.child_ok(program, opts)
  local text, code = support.child(program, opts)
  if code ~= 0 or not text:find("ok\n$") then
    error(("the child ended with %s:\n%s"):format(code, text), 2)
  end
  return text
end

-- Two ends of one connection: of this module, and a plain descriptor.
function support.with_peer(receive_buffer)
  local listener <close> = assert(async.net.listen("127.0.0.1", 0))
  local _, port = listener:address()
  local fd = support.sys.connect(port, receive_buffer)
  return assert(listener:accept()), fd
end

-- Two ends of one connection, both of this module.
function support.pair()
  local listener <close> = assert(async.net.listen("127.0.0.1", 0))
  local _, port = listener:address()
  local client = assert(async.net.connect("127.0.0.1", port))
  return client, assert(listener:accept())
end

-- A <close> value that closes all of its arguments.
function support.closing(...)
  local all = { ... }
  return setmetatable({}, { __close = function()
    for _, x in ipairs(all) do x:close() end
  end })
end

return support
