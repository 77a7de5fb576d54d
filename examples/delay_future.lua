-- DelayFuture: a future whose timer is another OS thread, which calls the waker.
--
-- In Lua the future is a poll function, and the thread comes from the example module
-- in C: wake_after(seconds, waker) starts one that sleeps and wakes. The module has the
-- same future written wholly in C, too: wait(seconds). For real programs there is
-- async.sleep, which needs no thread.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so;%sexamples/?.so"):format(package.cpath, build, build)

local async = require "lua_async"
local delay_future = require "delay_future"

local function delay(seconds)
  local deadline, waker -- none before the first poll: a future is lazy
  return async.poll_fn(function(cx)
    local me = "task " .. async.current().id
    if deadline == nil then
      print("polled by " .. me .. ": starts the thread")
      deadline = async.now() + seconds
    elseif async.now() >= deadline then
      return "ready", "Timer Complete!"
    elseif waker:will_wake(cx:waker()) then
      return "pending" -- woken for another reason; our thread is still to come
    else
      -- Polled on behalf of another task: it is that one which has to be woken. The
      -- waker is replaced, and a thread sleeps for what is left.
      print("polled by " .. me .. ": replaces the waker")
    end
    waker = cx:waker()
    -- A millisecond of grace: woken before the deadline, we would be woken no more.
    delay_future.wake_after(deadline - async.now() + 0.001, waker)
    return "pending"
  end, function() print("given up before it was ready") end)
end

async.run(function()
  local start = async.now()

  -- Another task polls it once and then loses interest; we await what it began.
  local fut = delay(0.1)
  async.spawn(function()
    async.await(async.poll_fn(function(cx) return "ready", fut:poll(cx) end))
  end):await()
  print(fut:await())
  assert(async.now() - start >= 0.1)

  -- Meanwhile the executor is free: a thread that sleeps blocks only itself.
  local ticks = 0
  local ticker = async.spawn(function()
    while true do async.sleep(0.01) ticks = ticks + 1 end
  end)
  print(delay_future.wait(0.1) .. " (the one in C)")
  ticker:cancel()
  print("the ticker went on: " .. tostring(ticks >= 3))

  -- Given up in the middle: drop is called, and the thread's wake finds nobody.
  local value, err = async.timeout(0.02, delay(5))
  print(value, err.code)
end)
