-- A pool of worker processes, fed by lines over pipes: a job is a line to a worker, its answer the
-- line that comes back. A worker that dies is replaced, and its job is given to another, twice at most.
--   process_pool.lua [workers [jobs]]
-- The workers here are a shell that adds, and dies of every job that is divisible by 7 when it
-- is young.
local here = arg[0]:gsub("[^/]*$", "")
package.cpath = ("%s;%s../build/?.so"):format(package.cpath, here)

local async = require "lua_async"

local WORKER = {
  "sh", "-c", [[
    while read -r n try; do
      if [ $((n % 7)) = 0 ] && [ "$try" = 1 ]; then kill -9 $$; fi
      echo $((n * n))
    done
  ]],
  stdin = "pipe", stdout = "pipe",
}

local ATTEMPTS = 3

-- One worker: takes jobs as long as there are any. When its process dies, it starts another.
local function work(jobs, restarts)
  local child
  local _ <close> = setmetatable({}, { __close = function() if child then child:close() end end })
  for job in jobs.recv, jobs do
    for attempt = 1, ATTEMPTS do
      child = child or assert(async.process.spawn(WORKER))
      local answer = child.stdin:write(job.text, " ", tostring(attempt), "\n") and child.stdout:read("l")
      if answer then
        job.reply:send(answer)
        break
      end
      local status = child:wait() -- it closed its pipes: it has ended, or is about to
      child:close()
      child = nil
      restarts(status.signal or status.code)
      if attempt == ATTEMPTS then job.reply:send(false) end
    end
  end
  if child then -- no more jobs: it reads the end of its input, and ends by itself
    child.stdin:close()
    assert(child:wait().ok)
  end
end

-- Calls body(ask), where ask(text) waits for the answer of one of `n` workers.
local function with_pool(n, restarts, body)
  return async.scope(function(scope)
    local tx, rx = async.channel(n)
    for _ = 1, n do scope:spawn(work, rx, restarts) end
    local _ <close> = tx
    return body(function(text)
      local reply, answer = async.sync.oneshot()
      assert(tx:send { text = text, reply = reply })
      return answer:recv()
    end)
  end)
end

async.run(function(workers, count)
  local deaths = 0
  local function restarts(why)
    deaths = deaths + 1
    if deaths == 1 then print("a worker died of " .. why .. ": it is replaced") end
  end
  with_pool(workers, restarts, function(ask)
    local numbers = {}
    for i = 1, count do numbers[i] = i end
    local squares = async.map(numbers, function(i) return tonumber(ask(tostring(i))) end,
      { limit = 2 * workers })
    local sum = 0
    for i, square in ipairs(squares) do
      assert(square == i * i)
      sum = sum + square
    end
    print(("%d jobs, %d workers, %d replaced: the sum of the squares is %d"):format(
      count, workers, deaths, sum))
  end)
end, tonumber(arg[1] or 4), tonumber(arg[2] or 100))
