-- Each program of programs/ with one system call after another failing: run.lua [option…] [program…]
--   --errors=EIO,EINTR   only these          --calls=read,write   only these
--   --dense=N            the first N calls of each kind one by one (16), then fewer and fewer
--   --lasting            the call fails from the n-th on, not only the n-th time
--   --brief              one call of each kind, in the middle
-- A fault, which is printed and makes it fail: a program that crashes, hangs, leaves a descriptor, raises
-- anything but the error object of a failed operation, has wrong data though nothing failed, shows an EINTR,
-- or does not work again when the calls do. Run by `make faults`; a part of it by spec/faults_spec.lua.
-- It needs strace, which counts the calls of each thread by itself.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path
local sweep = require "sweep"

local names, opts = {}, { dense = 16 }
local function list(text)
  local set = {}
  for one in text:gmatch("[^,]+") do set[one] = true end
  return set
end
for _, a in ipairs(arg) do
  local key, value = a:match("^%-%-(%w+)=?(.*)$")
  if key == "errors" or key == "calls" then
    opts[key] = list(value)
  elseif key == "dense" then
    opts.dense = assert(math.tointeger(tonumber(value)), "--dense=N")
  elseif key == "lasting" or key == "brief" then
    opts[key] = true
  elseif key then
    error("no such option: " .. a, 0)
  else
    names[#names + 1] = a
  end
end
if #names == 0 then names = sweep.programs end

local faults, runs = 0, 0
for _, name in ipairs(names) do
  local r = sweep.run(name, opts)
  print(("faults: %-10s %5d runs, %d clean failures, %d faults"):format(name, r.runs, r.failures, #r.faults))
  for _, fault in ipairs(r.faults) do print(fault) end
  faults, runs = faults + #r.faults, runs + r.runs
end
print(("faults: %d runs, %d faults"):format(runs, faults))
os.exit(faults == 0)
