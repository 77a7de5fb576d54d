-- The project's own benchmarks: each beside its floor in C, in one run. run.lua [--markdown] [PATTERN]
-- CPU per operation, the median of REPS (3) interleaved runs and of the ratios of each pair. With a pattern
-- of Lua only the rows whose work it matches.
local out = "build/bench"
local reps = tonumber(os.getenv("REPS") or "3")
local markdown = arg[1] == "--markdown"
local only = arg[markdown and 2 or 1] or ""
local pin = os.execute("taskset -c 1 true 2>/dev/null") and "taskset -c %d " or ""

local function capture(command)
  local p = assert(io.popen(command))
  local text = p:read("a")
  assert(p:close(), command .. " failed")
  return text
end

local function on(core) return pin ~= "" and pin:format(core) or "" end
local function lua(file, args) return on(1) .. "lua5.4 bench/" .. file .. ".lua lua_async " .. args end
local function floor(args)
  return function() return tonumber(capture(on(1) .. out .. "/floor " .. args)) end
end
local function field(name, command)
  return function() return tonumber(capture(command):match('"' .. name .. '":([%d.]+)')) end
end

local port = 21000 + os.time() % 1000
local function server(command, load)
  return function()
    port = port + 1
    local pid = capture(on(0) .. command:format(port) .. " >/dev/null 2>&1 & echo $!"):match("%d+")
    os.execute("sleep 0.4")
    local ok, figure = pcall(capture, on(1) .. out .. "/load " .. load:format(port) .. " " .. pid)
    os.execute("kill " .. pid)
    assert(ok, figure)
    return tonumber(figure)
  end
end

local function echo(load)
  return server("lua5.4 bench/echo.lua lua_async %d", load), server(out .. "/echo %d", load)
end

-- The same for a proxy, which has an echo server in C behind it.
local function proxy(command, load)
  return function()
    port = port + 1
    local measured = server(command .. " %d " .. port, load)
    local pid = capture(on(1) .. out .. "/echo " .. port .. " >/dev/null 2>&1 & echo $!"):match("%d+")
    local ok, figure = pcall(measured)
    os.execute("kill " .. pid)
    return assert(ok and figure, figure)
  end
end

local function compose(work) return field("per_op_ns", lua("compose", work)) end

local function row(work, unit, reach, ours, base)
  return { work = work, unit = unit, reach = reach, ours = ours, base = base }
end

local function startup(code)
  return function()
    local n = 100
    local loop = "bash -c 'time (for i in $(seq %d); do %slua5.4 %s; done)' 2>&1"
    local t = capture(loop:format(n, on(1), code))
    local u, s = t:match("user%s+%d+m([%d.]+)s"), t:match("sys%s+%d+m([%d.]+)s")
    return (tonumber(u) + tonumber(s)) / n * 1000
  end
end

-- CPU of a shell command with all its children, in microseconds for each of `n`.
local function spent(n, command)
  return function()
    local t = capture(("bash -c 'time (%s)' 2>&1"):format(command))
    local u, s = t:match("user%s+%d+m([%d.]+)s"), t:match("sys%s+%d+m([%d.]+)s")
    return (tonumber(u) + tonumber(s)) / n * 1e6
  end
end

local echo50, echo50c = echo("echo %d 50 64 2")
local echo1k, echo1kc = echo("echo %d 1000 64 2")
local echo64, echo64c = echo("echo %d 50 65536 2")
local conn, connc = echo("conn %d 50 64 2")
local function proxies(load)
  return proxy("lua5.4 bench/proxy.lua lua_async", load), proxy(out .. "/proxy", load)
end
local proxy64, proxy64c = proxies("echo %d 50 64 2")
local proxy64k, proxy64kc = proxies("echo %d 50 65536 2")
local udp = "udp %d 50 64 2"
local udpc = server(out .. "/udp %d", udp)
local rows = {
  row("spawn and finish a task", "ns", nil, field("per_op_ns", lua("spawn", "batch 1000000")),
    floor("spawn 1000000")),
  row("the same, floor with a Task object", "ns", nil, field("per_op_ns", lua("spawn", "batch 1000000")),
    floor("tasks 1000000")),
  row("yield", "ns", 1.5, field("per_op_ns", lua("switch", "1000000")), floor("switch 1000000")),
  row("sleep, 200,000 tasks", "ns", 1.1, field("per_op_ns", lua("timers", "200000")),
    floor("timers 200000")),
  row("message, channel of 128", "ns", nil, field("per_op_ns", lua("sync", "channel 1000000")),
    floor("channel 1000000")),
  row("lock, unlock; two calls", "ns", 3, field("per_op_ns", lua("sync", "mutex 1000000")),
    floor("call 1000000")),
  row("acquire, release; two calls", "ns", 3, field("per_op_ns", lua("sync", "semaphore 1000000")),
    floor("call 1000000")),
  row("memory of a sleeping task", "B", nil, field("bytes_per", lua("parked", "200000")),
    floor("parked 200000")),
  row("join of 10,000 / bare awaits", "ns", 2, compose("join"), compose("awaits")),
  row("select of 100 / bare awaits", "ns", 2, compose("select"), compose("awaits")),
  row("timeout around a call / the call", "ns", nil, compose("timeout"), compose("call")),
  row("echo, 50 x 64 B", "us", 1.10, echo50, echo50c),
  row("echo, 1,000 x 64 B", "us", 1.10, echo1k, echo1kc),
  row("echo, 50 x 64 KiB", "us", 1.20, echo64, echo64c),
  row("connect, echo, close", "us", 1.05, conn, connc),
  row("proxy, 50 x 64 KiB", "us", 1.20, proxy64k, proxy64kc),
  row("proxy, 50 x 64 B", "us", 1.20, proxy64, proxy64c),
  row("UDP echo, 50 x 64 B", "us", 1.30, server("lua5.4 bench/udp.lua lua_async %d", udp), udpc),
  row("UDP by recv_many, send_many", "us", 1.30,
    server("lua5.4 bench/udp.lua lua_async %d many", udp), udpc),
  row("start, run nothing, end", "ms", 1.3, startup("bench/startup.lua"), startup('-e ""')),
}

-- Threads: on all cores, as that is what they are for. Peers only where they are installed.
local function threads(work, name)
  return field(name or "per_op_ns", "lua5.4 bench/threads.lua lua_async " .. work)
end
local function work_floor(args)
  return function() return tonumber(capture(out .. "/work " .. args)) end
end
local function cores(count)
  local serve = "lua5.4 examples/echo_cores.lua 127.0.0.1 %d " .. count
  return function()
    local figure = server(serve, "echo %d 50 64 2")()
    os.execute("sleep 0.5") -- it drains
    return figure
  end
end
for _, r in ipairs {
  row("work in a thread: one, two", "ns", 1 / 1.9, threads("two 60000000", "wall_ns"),
    threads("one 60000000", "wall_ns")),
  row("spawn_blocking; uv_queue_work", "ns", 2, threads("blocking 20000"), work_floor("work 20000")),
  row("the same, 64 at once", "ns", nil, threads("blocking64 64000"), work_floor("work64 64000")),
  row("table to a thread; cqueues", "ns", 1, threads("message 300000"), threads("cqueues 300000")),
  row("table to a thread; luv", "ns", 1, threads("message 300000"), threads("luv 300000")),
  row("1 MiB to a thread; memcpy", "ns", 2.5, threads("string 3000"), work_floor("memcpy 3000")),
  row("thread.spawn; a turn of work", "ns", nil, threads("spawn 2000"), work_floor("work 20000")),
  row("echo by two workers; by one", "us", 1.05, cores(2), cores(1)),
} do rows[#rows + 1] = r end

-- Processes and files: wall time for one. Files on memory: one of SIZE (1024) MiB, a million lines.
local shm = capture("mktemp -d /dev/shm/lua_async.XXXXXX"):match("%S+")
local size = tonumber(os.getenv("SIZE") or "1024")
local made = false
local function make_files()
  capture(("head -c %dM /dev/urandom >%s/src"):format(size, shm))
  capture("lua5.4 bench/files_floor.lua fslines " .. shm .. "/lines 1000000")
  made = true
end
local function wall(command, field_of)
  return function()
    if not made then make_files() end
    os.remove(shm .. "/dst")
    if field_of then return tonumber(capture(command):match('"seconds":([%d.]+)')) * 1e9 / field_of end
    return tonumber(capture("bash -c 'TIMEFORMAT=%R; time (" .. command .. ") >/dev/null' 2>&1")) * 1e3
  end
end
local function files(what, args, n)
  return wall("lua5.4 bench/files.lua lua_async " .. what .. " " .. args, n)
end
local function plain(what, args, n) return wall("lua5.4 bench/files_floor.lua " .. what .. " " .. args, n) end
local copied, lines = shm .. "/src " .. shm .. "/dst", shm .. "/lines 1000000"
local pieces = size * 16
local processes = "lua5.4 bench/processes.lua lua_async 1000 8"
local xargs = "seq 1000 | xargs -P8 -n1 /bin/true"
for _, r in ipairs {
  row("1,000 of /bin/true, 8 at once", "ms", 1.1, wall(processes), wall(xargs)),
  row("/bin/true, CPU for one", "us", 1.1, spent(1000, processes), spent(1000, xargs)),
  row(("async.copy of %d MiB; cp"):format(size), "ms", 1.1, files("copy", copied, 1e6),
    wall("cp " .. copied)),
  row("fs.copy of the same; cp", "ms", 1.1, files("fscp", copied, 1e6), wall("cp " .. copied)),
  row("read and write 64 KiB; io", "us", 2, files("fscopy", copied, pieces * 1e3),
    plain("fscopy", copied, pieces * 1e3)),
  row("write a line; io", "ns", 1, files("fslines", lines, 1e6), plain("fslines", lines, 1e6)),
  row("read a line; io", "ns", 1, files("fsreadlines", lines, 1e6), plain("fsreadlines", lines, 1e6)),
} do rows[#rows + 1] = r end

local function median(t)
  table.sort(t)
  return t[(#t + 1) // 2]
end

local line = markdown and "| %s | %s | %s | %s | %s |" or "%-28s %14s %14s %8s %8s"
print(line:format("work", "C, or floor", "lua_async", "ratio", "reach"))
if markdown then print("|---|---|---|---|---|") end
local function measure(r)
  local ours, base, ratio = {}, {}, {}
  for i = 1, reps do
    base[i], ours[i] = r.base(), r.ours()
    ratio[i] = ours[i] / base[i]
  end
  local function figure(t) return ("%.1f %s"):format(median(t), r.unit) end
  print(line:format(r.work, figure(base), figure(ours), ("%.2f"):format(median(ratio)),
    r.reach and ("%.2f"):format(r.reach) or ""))
end
local function all()
  for _, r in ipairs(rows) do
    if r.work:find(only) then measure(r) end
  end
end
local ok, err = pcall(all)
os.execute("rm -rf " .. shm)
assert(ok, err)
