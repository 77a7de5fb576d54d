-- Torture: each script of scripts/ runs again and again, with the 1st, 2nd, 3rd …
-- allocation failing, of Lua's and of C's, until a run needs no more of them. Each must end
-- with an error or with success, and the runtime must work afterwards; no descriptor may be
-- left. run.lua [script…]; run by `make torture`.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
local build = "build/torture"

local function sh(command)
  local ok, _, code = os.execute(command)
  return ok, code
end

if not os.getenv("LD_PRELOAD") then -- the driver: compiles, and starts a child for each script
  assert(sh("mkdir -p " .. build))
  local cc = os.getenv("CC") or "cc"
  assert(sh(("%s -O1 -shared -fPIC $(pkg-config --cflags lua5.4 2>/dev/null || pkg-config --cflags lua) -o "
    .. "%s/failing_malloc.so %s/failing_malloc.c -ldl -lpthread"):format(cc, build, here)))
  local names = { table.unpack(arg) }
  if #names == 0 then
    for name in io.popen("ls " .. here .. "/scripts"):lines() do names[#names + 1] = name end
  end
  local failed = 0
  for _, name in ipairs(names) do
    if not sh(("LD_PRELOAD=%s/failing_malloc.so timeout 120 lua5.4 %s %s"):format(build, arg[0], name)) then
      failed = failed + 1
      print("torture: " .. name .. " failed")
    end
  end
  print(("torture: %d scripts, %d failed"):format(#names, failed))
  os.exit(failed == 0)
end

package.cpath = build .. "/?.so;" .. package.cpath
local async = require "lua_async"
local malloc = require "failing_malloc"

local script = assert(loadfile(here .. "/scripts/" .. arg[1]))
async.on_error(function() end)

-- Arms the allocator in the thread of a script (thread_*.lua), which is another.
local function there(path, n, span)
  local inner_malloc = require "failing_malloc"
  local body = assert(loadfile(path))
  if n then inner_malloc.arm(n, span) end
  local ok, e = pcall(body)
  return n and inner_malloc.disarm() or 0, ok, tostring(e)
end

local function whole()
  script()
  return true
end

-- A script in a task; those of hosts (host_*.lua) have no runtime around them. True, or nil and why not.
local function run(limit)
  if arg[1]:find("^host_") then return whole() end
  return async.run(async.timeout, limit, whole)
end

local function run_failing(n, span)
  if arg[1]:find("^thread_") then
    local path, results = here .. "/scripts/" .. arg[1], nil
    async.run(function()
      results = table.pack(pcall(async.timeout, 5, function()
        return async.thread.spawn(there, path, n, span):await()
      end))
    end)
    if not results[1] then return malloc.disarm() end -- not even its results could be sent
    if results[2] == 0 then assert(results[3], results[4]) end
    return results[2]
  end
  malloc.arm(n, span)
  local ok, e = pcall(run, 0.3)
  local failures = malloc.disarm()
  if failures == 0 then assert(ok, e) end
  return failures
end

local function works() return async.run(function() async.sleep(0) return "works" end) == "works" end

assert(run(30)) -- once in peace: what is loaded or made once is there
collectgarbage()
local before = malloc.descriptors()
for _, span in ipairs { 2, math.maxinteger } do
  local n = 1
  while run_failing(n, span) > 0 do
    if n % 16 == 0 then assert(works(), "the runtime is broken") end
    n = n + 1
  end
  assert(works(), "the runtime is broken")
  collectgarbage()
  collectgarbage()
  local after, list = malloc.descriptors()
  assert(after == before, "descriptors are left, or gone: " .. list)
  print(("torture: %-12s %4d allocations failed in turn, %s"):format(arg[1], n - 1,
    span == 2 and "alone" or "with all after them"))
end
