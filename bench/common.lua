-- What the benchmarks share: a clock, memory, the fixed pseudo-random delays, one line of JSON.
local M = { clock = os.time }

local function status(key)
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^" .. key .. ":%s+(%d+)")
    if kb then return tonumber(kb) end
  end
end

function M.rss() return status("VmRSS") end

-- start(): begins timing; returns a function that gives the wall and the CPU seconds since
function M.start()
  local cpu, wall = os.clock(), M.clock()
  return function() return M.clock() - wall, os.clock() - cpu end
end

function M.delays()
  local s = 12345
  return function()
    s = (s * 1103515245 + 12345) & 0xffffffff
    return 1 + (s >> 16) % 1000
  end
end

function M.report(bench, peer, n, seconds, cpu, extra)
  print(('{"bench":"%s","peer":"%s","n":%d,"seconds":%.6f,"cpu_seconds":%.6f,"per_op_ns":%.1f%s}'):format(
    bench, peer, n, seconds, cpu, cpu / n * 1e9, extra and "," .. extra or ""))
end

return M
