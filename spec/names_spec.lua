-- Every public name has its type in types/ and its place in docs/reference.md, and neither
-- lists another. Names are compared as "async.net.connect", "Task:cancel", "Error.code".
local async = require "lua_async"

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("a")
  f:close()
  return text
end

-- ---- what there is ---------------------------------------------------------------------

local function add_table(set, prefix, t)
  for name, value in pairs(t) do
    set[prefix .. name] = true
    if type(value) == "table" then add_table(set, prefix .. name .. ".", value) end
  end
end

-- The methods of an object's class.
local function add_methods(set, class, object)
  local index = debug.getmetatable(object).__index
  if type(index) == "function" then index = select(2, debug.getupvalue(index, 1)) end
  for name in pairs(index) do set[class .. ":" .. name] = true end
end

local function add_fields(set, class, object)
  for name in pairs(object) do set[class .. "." .. name] = true end
end

local function add_threads(set)
  local thread = async.thread
  local function ends(name, tx, rx)
    add_methods(set, "Thread" .. name .. "Sender", tx)
    if rx then add_methods(set, "Thread" .. name .. "Receiver", rx) end
  end
  ends("", thread.channel(1))
  ends("Oneshot", (thread.oneshot()))
  ends("Watch", thread.watch(1))
  local tx = thread.broadcast(1)
  ends("Broadcast", tx, tx:subscribe())
  add_methods(set, "Shared", thread.shared(1))
end

local function add_sync(set)
  local sync = async.sync
  local function ends(name, tx, rx)
    add_methods(set, name .. "Sender", tx)
    if rx then add_methods(set, name .. "Receiver", rx) end
  end
  ends("", sync.channel(1))
  ends("Oneshot", (sync.oneshot()))
  ends("Watch", sync.watch(1))
  local tx = sync.broadcast(1)
  local rx = tx:subscribe()
  ends("Broadcast", tx, rx)
  tx:send(1)
  tx:send(2)
  add_fields(set, "Error", select(2, rx:recv()))
  local mutex, semaphore = sync.mutex(), sync.semaphore(1)
  add_methods(set, "Mutex", mutex)
  add_methods(set, "Guard", mutex:lock())
  add_methods(set, "RwLock", sync.rwlock())
  add_methods(set, "Semaphore", semaphore)
  add_methods(set, "Permit", semaphore:acquire())
  add_methods(set, "Notify", sync.notify())
  add_methods(set, "Barrier", sync.barrier(1))
  add_methods(set, "Once", sync.once(print))
end

local function add_processes(set)
  local process = async.process
  local child <close> = process.spawn { "cat", stdin = "pipe", stdout = "pipe", stderr = "pipe" }
  add_methods(set, "Child", child)
  for _, name in ipairs { "pid", "stdin", "stdout", "stderr" } do
    assert.is_truthy(child[name])
    set["Child." .. name] = true
  end
  local line <close> = process.pipeline({ "cat", stdin = "pipe" }, { "cat", stdout = "pipe" })
  add_methods(set, "Pipeline", line)
  for _, name in ipairs { "stdin", "stdout" } do
    assert.is_truthy(line[name])
    set["Pipeline." .. name] = true
  end
  local stream <close> = async.signal.stream("SIGUSR1")
  add_methods(set, "SignalStream", stream)
end

-- All names of the library, from its table and from one object of each class.
local function public_names()
  local set = {}
  add_table(set, "async.", async)
  async.run(function()
    local task = async.current()
    add_methods(set, "Task", task)
    assert.equal(1, task.id)
    set["Task.id"] = true
    add_methods(set, "Future", async.future(print))
    add_methods(set, "Deferred", async.defer(print))
    async.await(async.poll_fn(function(cx)
      add_methods(set, "Context", cx)
      add_methods(set, "Waker", cx:waker())
      return "ready"
    end))
    async.scope(function(scope) add_methods(set, "Scope", scope) end)
    add_methods(set, "Interval", (async.time.interval(1)))
    local loop <close> = async.loop()
    add_methods(set, "Loop", loop)
    local listener <close> = assert(async.net.listen("127.0.0.1", 0))
    add_methods(set, "Listener", listener)
    local conn <close> = assert(async.net.connect(listener:address()))
    add_methods(set, "Connection", conn)
    local path = os.tmpname() .. ".socket"
    local unix_listener <close> = assert(async.net.listen_unix(path))
    local unix <close> = assert(async.net.connect_unix(path))
    add_methods(set, "UnixConnection", unix)
    local udp <close> = assert(async.net.udp())
    add_methods(set, "UDPSocket", udp)
    add_methods(set, "StandardStream", async.stdin)
    local file <close> = assert(async.fs.open("LICENSE"))
    add_methods(set, "File", file)
    add_fields(set, "Stat", file:stat())
    add_methods(set, "Walk", (assert(async.fs.walk("spec"))))
    add_methods(set, "FileWatch", (assert(async.fs.watch("spec"))))
    add_fields(set, "Error", select(2, async.fs.stat("/no/such/file")))
    add_fields(set, "Error", select(2, async.fs.rename("/no/such/file", "/no/such/other")))
    add_fields(set, "Error", select(2, async.net.connect("127.0.0.1", 1)))
    set["Error.task"] = true -- kept beside the object
    add_fields(set, "Error", select(2, async.timeout(0, async.yield)))
    add_fields(set, "Error", select(2, file:write("x"))) -- not open for writing
    add_processes(set)
    add_sync(set)
    add_threads(set)
  end)
  return set
end

-- ---- what types/ has ---------------------------------------------------------------------

-- The names, and the fields of each class of options.
local function typed_names()
  local set, options, class, parents, classes = {}, {}, nil, {}, { async = "async" }
  local function short(name) return (name:gsub("^lua_async%.", ""):gsub("^lua_async$", "async")) end
  for line in read("types/lua_async.lua"):gmatch("[^\n]+") do
    local name, parent = line:match("^%-%-%-@class ([%w_.]+):? ?([%w_.]*)")
    local field = line:match("^%-%-%-@field ([%w_]+)")
    local variable = line:match("^local (%w+) = {}") or line:match("^(async%.%w+) = {}")
    local object = line:match("^(async%.%w+) = nil")
    local owner, sep, method = line:match("^function ([%w_.]+)([.:])([%w_]+)%(")
    if name then
      class = short(name)
      if parent ~= "" then parents[class] = short(parent) end
    elseif field and class:find("Options$") then
      options[class] = options[class] or {}
      options[class][field] = true
    elseif field then
      set[class .. "." .. field] = true
    elseif variable then
      classes[variable] = variable:find("^async") and variable or class
      if variable:find("^async%.") then set[variable] = true end
    elseif object then
      set[object] = true
    elseif owner then
      set[assert(classes[owner], line) .. sep .. method] = true
    end
  end
  for child, parent in pairs(parents) do -- children have what their parent has
    local inherited = {}
    for name in pairs(set) do
      inherited[#inherited + 1] = name:match("^" .. parent .. "(:.+)")
    end
    for _, name in ipairs(inherited) do set[child .. name] = true end
  end
  for _, parent in pairs(parents) do -- which itself no object is of
    for name in pairs(set) do
      if name:find("^" .. parent .. ":") then set[name] = nil end
    end
  end
  return set, options
end

-- ---- what the reference has ----------------------------------------------------------------

local receivers = {
  task = { "Task" }, fut = { "Future" }, deferred = { "Deferred" }, cx = { "Context" }, waker = { "Waker" },
  listener = { "Listener" }, conn = { "Connection" }, file = { "File" },
  scope = { "Scope" }, interval = { "Interval" }, loop = { "Loop" }, walk = { "Walk" }, watch = { "FileWatch" },
  socket = { "UDPSocket" }, unix = { "UnixConnection" }, stdio = { "StandardStream" },
  stream = { "Connection", "File", "UnixConnection", "StandardStream" }, stat = { "Stat" }, err = { "Error" },
  tx = { "Sender" }, rx = { "Receiver" }, oneshot_tx = { "OneshotSender" },
  broadcast_tx = { "BroadcastSender" }, broadcast_rx = { "BroadcastReceiver" },
  watch_tx = { "WatchSender" }, watch_rx = { "WatchReceiver" },
  mutex = { "Mutex" }, rwlock = { "RwLock" }, guard = { "Guard" }, semaphore = { "Semaphore" },
  child = { "Child" }, pipeline = { "Pipeline" }, signal_stream = { "SignalStream" },
  thread_tx = { "ThreadSender" }, thread_rx = { "ThreadReceiver" }, thread_oneshot_tx = { "ThreadOneshotSender" },
  thread_broadcast_tx = { "ThreadBroadcastSender" }, thread_broadcast_rx = { "ThreadBroadcastReceiver" },
  thread_watch_tx = { "ThreadWatchSender" }, thread_watch_rx = { "ThreadWatchReceiver" }, shared = { "Shared" },
  permit = { "Permit" }, notify = { "Notify" }, barrier = { "Barrier" }, once = { "Once" },
}

local function documented_names()
  local set, modules = {}, {}
  for level, heading in read("docs/reference.md"):gmatch("\n(##+) ([^\n]+)") do
    for code in heading:gmatch("`([%w_.:]+)") do
      local receiver, rest = code:match("^([%w_]+)([.:].+)$")
      if receiver == "async" then
        set[code] = true
        if level == "##" then modules[code] = true end
      else
        for _, class in ipairs(assert(receivers[receiver], heading)) do set[class .. rest] = true end
      end
    end
  end
  set["async.time"] = true -- a section of that name
  assert.is_true(modules["async.net"] and modules["async.fs"])
  return set
end

-- ---- compared --------------------------------------------------------------------------------

local function missing(wanted, set)
  local list = {}
  for name in pairs(wanted) do
    if not set[name] then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

describe("a public name #noseeds", function()
  local public = public_names()

  it("has its type, and there is a type for no other", function()
    local typed = typed_names()
    assert.same({}, missing(public, typed))
    assert.same({}, missing(typed, public))
  end)

  it("has its place in the reference, which lists no other", function()
    local documented = documented_names()
    assert.same({}, missing(public, documented))
    assert.same({}, missing(documented, public))
  end)

  it("is found by this test", function() -- that the tables above are not empty
    for _, name in ipairs { "async.run", "async.net.connect", "Task:cancel", "Task.id", "File:read_at",
                            "Connection:read", "Waker:wake", "Context:waker", "Error.code", "Error.address",
                            "Error.path", "Error.partial", "Stat.size", "async.coroutine.wrap" } do
      assert.is_true(public[name], name)
    end
  end)
end)

describe("an option #noseeds", function()
  local wrong = function() end -- no option has this type, but `when`
  local function with_command(o)
    o[1] = "true"
    return o
  end
  local function spawned() return async.process.spawn { "sleep", "1000" } end
  local calls = {
    ConnectOptions = function(o) async.net.connect("127.0.0.1", 1, o) end,
    ListenOptions = function(o) async.net.listen("127.0.0.1", 0, o) end,
    ResolveOptions = function(o) async.net.resolve("::1", o) end,
    UDPOptions = function(o) async.net.udp("127.0.0.1", 0, o) end,
    ListenUnixOptions = function(o) async.net.listen_unix("/no/such/file", o) end,
    OpenOptions = function(o) async.fs.open("LICENSE", "r", o) end,
    ReadFileOptions = function(o) async.fs.read_file("LICENSE", o) end,
    WriteFileOptions = function(o) async.fs.write_file("/no/such/file", "", o) end,
    ScopeOptions = function(o) async.scope(o, print) end,
    RetryOptions = function(o) async.retry(print, o) end,
    MapOptions = function(o) async.map({}, print, o) end,
    LoopOptions = function(o) async.loop(o) end,
    IntervalOptions = function(o) async.time.interval(1, o) end,
    SpawnOptions = function(o) async.process.spawn(with_command(o)) end,
    OutputOptions = function(o) async.process.output(with_command(o)) end,
    KillOptions = function(o) spawned():kill("SIGKILL", o) end,
    RemoveOptions = function(o) async.fs.remove("/no/such/file", o) end,
    CopyOptions = function(o) async.fs.copy("/no/such/file", "/no/such/file", o) end,
    WalkOptions = function(o) async.fs.walk("/no/such/file", o) end,
    WorkersOptions = function(o) async.thread.workers(o, print) end,
    MkdirOptions = function(o) async.fs.mkdir("/no/such/file", o) end,
  }

  it("with a type exists, and is in the reference", function()
    local _, options = typed_names()
    local reference = read("docs/reference.md")
    local count = 0
    async.run(function()
      for class, fields in pairs(options) do
        for name in pairs(fields) do
          local ok, err = pcall(calls[class], { [name] = name == "when" and 1 or wrong })
          assert.is_false(ok)
          assert.matches("option '" .. name .. "' must be", err)
          assert.is_truthy(reference:find("`" .. name .. "`", 1, true))
          count = count + 1
        end
      end
    end)
    assert.equal(59, count)
  end)

  it("that is unknown raises", function()
    async.run(function()
      for _, call in pairs(calls) do
        local ok, err = pcall(call, { no_such_option = 1 })
        assert.is_false(ok)
        assert.matches("unknown option 'no_such_option'", err)
      end
    end)
  end)
end)
