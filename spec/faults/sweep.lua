-- The sweep of run.lua: which calls fail how, one child for each, and what is right afterwards.
local tracee = assert(package.loadlib("build/spec/tracee.so", "luaopen_tracee"))()
local sys = assert(package.loadlib("build/spec/sys.so", "luaopen_sys"))()
local async = require "lua_async"

sys.setenv("UV_THREADPOOL_SIZE", "1")

local sweep = {}
local folder = arg and arg[0]:match("faults/run%.lua$") and arg[0]:match("^(.*)/[^/]*$") or "spec/faults"

sweep.programs = { "tcp", "unix", "udp", "files", "tree", "process", "standard", "names" }
-- Each thread and process has counts of its own: where new ones come, the same call fails again and again.
local unsteady = { process = true, names = true }
local once = { standard = true } -- what a failed round has left in the pipes is in the way
-- Lookups have threads that no signal reaches.
local never = { names = { openat = "EINTR", read = "EINTR" } }
local LIMIT = 20 -- seconds

-- ---- which calls fail how ------------------------------------------------------------------

-- What the manual pages say can happen, and what makes sense of the rest. No EAGAIN where it would be a
-- notice that comes again only with new bytes; of epoll EINTR alone, as libuv aborts with others.
local errors = {}
local function may(calls, codes)
  for call in calls:gmatch("%S+") do
    errors[call] = errors[call] or {}
    for code in codes:gmatch("%S+") do table.insert(errors[call], code) end
  end
end
may("read pread64 preadv2 readv write pwrite64 pwritev2 writev splice sendfile copy_file_range", "EINTR EIO ENOMEM")
may("write pwrite64 pwritev2 copy_file_range ftruncate fsync fdatasync mkdir mkdirat rename openat", "ENOSPC")
may("sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg", "EINTR ENOBUFS ENOMEM")
may("accept4 accept", "EINTR ECONNABORTED ENOBUFS ENOMEM EMFILE")
may("connect", "EINTR ENOBUFS EADDRNOTAVAIL ECONNREFUSED")
may("socket socketpair", "ENOBUFS ENOMEM EMFILE")
may("bind listen", "EADDRINUSE ENOBUFS")
may("setsockopt getsockname getpeername shutdown", "ENOBUFS")
may("openat", "EINTR EIO ENOMEM EMFILE")
may("fsync fdatasync ftruncate", "EINTR EIO")
may("rename unlink unlinkat mkdir mkdirat rmdir getdents64 newfstatat fstat statx", "EIO ENOMEM")
may("symlink symlinkat link linkat readlink readlinkat chmod fchmod utimensat lseek flock", "EIO ENOMEM")
may("epoll_wait epoll_pwait poll ppoll", "EINTR")
may("wait4 waitid", "EINTR")
may("pipe2 dup3", "EMFILE")
may("ioctl", "ENOMEM")
may("clone clone3 vfork", "EAGAIN ENOMEM")
may("inotify_init1 inotify_add_watch", "EMFILE ENOMEM")
may("pidfd_open pidfd_send_signal kill", "ENOMEM")
may("close", "EIO")

-- Calls whose failure libuv takes for impossible, on what is its own: it aborts, or tries for ever.
local function libuvs_own(line, own)
  if line:find("eventfd", 1, true) or line:find("inotify", 1, true) then return true end
  if line:find("write%(%d+<pipe:%[%d+%]>, .*, 16[%) ]") then return true end -- a signal
  if line:find("read%(%d+<pipe:%[%d+%]>, 0x%x+, %d+%) ") then -- its lock, a child's errno, signals
    local size = line:match(", (%d+)%) ")
    if size == "1" or size == "4" or size == "512" then return true end
  end
  if line:find("CLONE_THREAD", 1, true) then return true end -- that of a pool which could just be had
  local pipe = line:match("pipe:%[%d+%]")
  return pipe and own:find(pipe, 1, true)
end

-- ---- the child -----------------------------------------------------------------------------

local function text_of(n)
  local parts = {}
  for i = 1, n // 10 + 1 do parts[i] = ("%08x,\n"):format(i) end
  return table.concat(parts):sub(1, n)
end

local FINE = setmetatable({}, { __tostring = function() return "a child of ours failed" end })

local function is_error(e) return type(e) == "table" and e.code and e.op and e.message end

local function world(dir)
  local w = { async = async, dir = dir, fine = FINE, text = text_of, pid = sys.pid, close = sys.close }
  function w.ok(x, err, ...)
    if x == nil or x == false then
      if not is_error(err) then
        error("not the error of an operation: " .. tostring(err), 2)
      end
      error(err, 0)
    end
    return x, err, ...
  end
  function w.same(a, b, what)
    if a == b then return end
    if type(a) == "string" and #a > 40 then a = #a .. " bytes" end
    if type(b) == "string" and #b > 40 then b = #b .. " bytes" end
    error(("%s: %s instead of %s"):format(what, tostring(a), tostring(b)), 2)
  end
  -- A failure at the end of the scope is no news.
  function w.closing(file) return setmetatable({}, { __close = function() file:close() end }) end
  -- As those of sys and net, whose failures are no faults; the descriptor is closed by from_fd at all events.
  function w.pipe()
    local done, r, to = pcall(sys.pipe)
    if not done then error(FINE, 0) end
    return r, to
  end
  function w.dup(fd) return tracee.dup(fd) or error(FINE, 0) end
  function w.from_fd(fd)
    local x, err = async.net.from_fd(fd)
    if not x then pcall(sys.close, fd) end
    return w.ok(x, err)
  end
  function w.port(x)
    local host, port = x:address()
    w.ok(host, port)
    return port
  end
  return w
end

-- Several times: what counts the descriptors may fail as well.
local function count_fds()
  for _ = 1, 5 do
    collectgarbage()
    local ok, n = pcall(sys.fds)
    if ok then return n end
  end
end

-- "done", "failed" and the error, or "fault" and what.
local function round(program, w)
  local done, e = pcall(async.run, function()
    async.on_error(function() end)
    local _, late = async.timeout(LIMIT / 2, function() program(w) return true end)
    if late then error(late.code == "ETIMEDOUT" and late.op == "timeout" and "it hangs" or late, 0) end
  end)
  if done then return "done" end
  if e == FINE or is_error(e) then return "failed", e end
  return "fault", tostring(e)
end

local function clean(dir)
  os.execute(("rm -rf '%s' && mkdir '%s'"):format(dir, dir))
end

-- The program until it works, so many times at the most. The report: a line for each round.
local function child(program, w, file, before, rounds)
  local report = {}
  function report.write(_, text) -- in one call, which may fail, too
    for _ = 1, 5 do
      if file:write(text) then return end
    end
  end
  for i = 1, rounds do
    local result, e = round(program, w)
    if result == "failed" then
      report:write(("failed %s\n"):format(tostring(e)))
      if e ~= FINE and e.code == "EINTR" then result, e = "fault", "an EINTR is shown" end
    end
    if result == "fault" then return report:write("fault " .. e .. "\n") end
    local fds = count_fds()
    if fds and fds > before then
      return report:write(("fault %d descriptors are left\n"):format(fds - before))
    end
    if result == "done" then return report:write("done\n") end
    if i < rounds then sweep.reset(w.dir) end
  end
end

-- Removes by plain calls what a failed round has left. Those may fail in turn.
function sweep.reset(dir)
  local paths = {}
  for _ = 1, 3 do
    pcall(async.run, function()
      for path in async.fs.walk(dir, { order = "post" }) do paths[#paths + 1] = path end
      for _, path in ipairs(paths) do async.fs.remove(path) end
    end)
  end
end

-- ---- one run -------------------------------------------------------------------------------

local function read_all(path)
  local f = io.open(path)
  if not f then return "" end
  local text = f:read("a")
  f:close()
  return text
end

-- Runs the program with strace's flags: how it ended, the report and the trace.
local function run_one(name, flags, base)
  local dir, out, trace = base .. "/dir", base .. "/report", base .. "/trace"
  clean(dir)
  os.remove(trace)
  local pid = tracee.fork()
  if pid == 0 then
    local w = world(dir)
    local report = assert(io.open(out, "w"))
    report:setvbuf("no")
    w.stdin, w.stdout = tracee.standard()
    local program = assert(loadfile(folder .. "/programs/" .. name .. ".lua"))
    -- What libuv keeps for good is there before the first call counts.
    async.run(function() end)
    for fd = 3, 12 do
      local to = tracee.readlink("/proc/self/fd/" .. fd)
      if to then report:write("own " .. to .. "\n") end
    end
    local before = sys.fds()
    tracee.stop()
    child(program, w, report, before, once[name] and 1 or 3)
    os.exit(0, false)
  end
  tracee.stopped(pid)
  local strace = assert(io.popen(("strace -f -y -o %s %s -p %d 2>&1"):format(trace, flags, pid)))
  local first = strace:read("l")
  assert(first and first:find("attached"), "strace: " .. tostring(first))
  tracee.go_on(pid)
  local how, code = tracee.wait(pid, LIMIT)
  strace:close()
  return how, code, read_all(out), read_all(trace)
end

-- The largest number of calls of each kind that a thread makes in peace.
local function counts(name, base)
  local how, code, report, trace = run_one(name, "", base)
  if how ~= "exit" or code ~= 0 or not report:find("done\n$") then
    error(("%s does not work in peace: %s %s\n%s"):format(name, how, code or "", report), 0)
  end
  local of, most = {}, {}
  for pid, call in trace:gmatch("(%d+) +([%w_]+)%(") do
    local key = pid .. call
    of[key] = (of[key] or 0) + 1
    most[call] = math.max(most[call] or 0, of[key])
  end
  return most
end

local function judge(how, code, report, trace, name, call, opts)
  local injected, begun = {}, {}
  for line in trace:gmatch("[^\n]+") do
    local pid = line:match("^%d+")
    if line:find("unfinished ...>", 1, true) then begun[pid] = line end
    if line:find("(INJECTED)", 1, true) then
      if line:find("resumed>", 1, true) then line = (begun[pid] or "") .. line end
      injected[#injected + 1] = line
    end
  end
  if #injected == 0 then return "none" end
  local fault
  local own = false
  for _, line in ipairs(injected) do own = own or libuvs_own(line, report) end
  if how == "hung" then
    if not own and call ~= "close" then fault = "it hangs" end
  elseif how == "signal" then
    if not own or code ~= 6 then fault = "killed by signal " .. code end
  elseif code ~= 0 then
    fault = "exit code " .. code
  else
    fault = report:match("\nfault ([^\n]*)")
    -- A close that strace made fail has closed nothing.
    local left = fault and fault:match("^(%d+) descriptors are left")
    if left and call == "close" and tonumber(left) <= #injected then return "failed" end
    if fault == "it hangs" and (call == "close" or own) then return "failed" end
    if not fault and not report:find("done\n$") and not (opts.lasting or unsteady[name] or once[name]) then
      fault = "it does not work again"
    end
  end
  if fault then return "fault", fault .. "\n  " .. table.concat(injected, "\n  ", 1, math.min(#injected, 3)) end
  return report:find("failed ", 1, true) and "failed" or "done"
end

-- ---- the sweep -----------------------------------------------------------------------------

local function next_when(n, opts)
  if opts.brief then return math.huge end
  return n < opts.dense and n + 1 or n + n // 3 + 1
end

function sweep.run(name, opts)
  local base = os.tmpname()
  os.remove(base)
  assert(os.execute("mkdir " .. base))
  local result = { runs = 0, failures = 0, faults = {} }
  local most = counts(name, base)
  local calls = {}
  for call in pairs(most) do calls[#calls + 1] = call end
  table.sort(calls)
  for _, call in ipairs(calls) do
    for _, code in ipairs(errors[call] or {}) do
      local wanted = (not opts.calls or opts.calls[call]) and (not opts.errors or opts.errors[code])
      if never[name] and never[name][call] == code then wanted = false end
      local n = wanted and (opts.brief and most[call] // 2 + 1 or 1) or math.huge
      while n <= most[call] do
        local flags = ("-e trace=%s -e inject=%s:error=%s:when=%d%s")
          :format(call, call, code, n, opts.lasting and "+" or "")
        local how, status, report, trace = run_one(name, flags, base)
        local verdict, why = judge(how, status, report, trace, name, call, opts)
        result.runs = result.runs + 1
        if verdict == "failed" then result.failures = result.failures + 1 end
        if verdict == "fault" then
          result.faults[#result.faults + 1] = ("%s, %s: %s, call %d%s: %s"):format(name, call, code, n,
            opts.lasting and " and on" or "", why)
        end
        n = next_when(n, opts)
      end
    end
  end
  os.execute("rm -rf " .. base)
  return result
end

return sweep
