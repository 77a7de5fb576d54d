-- threads: work on other threads; lua5.4 threads.lua lua_async WORK N, with WORK one of
--   message    N small tables through a thread.channel of 128, to another thread
--   cqueues    the same by cqueues.thread, as lines made and parsed by hand; luv: by luv's threads, a pipe
--   string     N strings of 1 MiB
--   blocking   N empty functions by spawn_blocking, one after another; blocking64: 64 at once
--   spawn      N empty runs by thread.spawn, one after another
--   one, two   a sum of N steps in 64 pieces, in this thread, and by spawn_blocking: wall time
local common = require "common"
local work, n = arg[2], tonumber(arg[3])

local works = {}

function works.message()
  local async = require "lua_async"
  async.run(function()
    local tx, rx = async.thread.channel(128)
    local t = async.thread.spawn(function(from)
      local sum = 0
      for m in from do sum = sum + m.i + #m.name end
      return sum
    end, rx)
    rx:close()
    for i = 1, n do tx:send { i = i, name = "x" } end
    tx:close()
    assert(t:await() == n * (n + 1) // 2 + n)
  end)
end

function works.cqueues()
  local thread = require "cqueues.thread"
  local t, con = thread.start(function(con)
    local sum = 0
    for line in con:lines() do
      local i, name = line:match("^(%d+) (.*)$")
      local m = { i = tonumber(i), name = name }
      sum = sum + m.i + #m.name
    end
    con:write(("%d\n"):format(sum))
    con:flush()
  end)
  for i = 1, n do
    local m = { i = i, name = "x" }
    assert(con:write(("%d %s\n"):format(m.i, m.name)))
    assert(con:flush())
  end
  con:shutdown("w")
  assert(tonumber(con:read("*l")) == n * (n + 1) // 2 + n)
  t:join()
end

function works.luv()
  local uv = require "luv"
  local fds = uv.socketpair("stream", 0, { nonblock = true }, { nonblock = true })
  local t = uv.new_thread(function(fd, wanted)
    local uv = require "luv" -- luacheck: ignore
    local pipe, rest, sum = uv.new_pipe(false), "", 0
    pipe:open(fd)
    pipe:read_start(function(_, data)
      if not data then return pipe:close() end
      rest = rest .. data
      local last = 1
      for i, name, at in rest:gmatch("(%d+) ([^\n]*)\n()") do
        local m = { i = tonumber(i), name = name }
        sum, last = sum + m.i + #m.name, at
      end
      rest = rest:sub(last)
    end)
    uv.run()
    assert(sum == wanted)
  end, fds[2], n * (n + 1) // 2 + n)
  local pipe, sent, ended = uv.new_pipe(false), 0, 0
  pipe:open(fds[1])
  local function more()
    while sent < n and sent - ended < 128 do
      sent = sent + 1
      local m = { i = sent, name = "x" }
      pipe:write(("%d %s\n"):format(m.i, m.name), function()
        ended = ended + 1
        if ended == n then pipe:close() else more() end
      end)
    end
  end
  more()
  uv.run()
  t:join()
end

local function strings(size)
  local async = require "lua_async"
  async.run(function()
    local tx, rx = async.thread.channel(4)
    local t = async.thread.spawn(function(from)
      local sum = 0
      for s in from do sum = sum + #s end
      return sum
    end, rx)
    rx:close()
    local s = ("x"):rep(size)
    for _ = 1, n do tx:send(s) end
    tx:close()
    assert(t:await() == n * size)
  end)
end

function works.string() strings(1 << 20) end

local function blocking(at_once)
  local async = require "lua_async"
  local function nothing() end
  async.run(function()
    local function some(count)
      for _ = 1, count do async.thread.spawn_blocking(nothing):await() end
    end
    if at_once == 1 then return some(n) end
    async.scope(function(scope)
      for _ = 1, at_once do scope:spawn(some, n // at_once) end
    end)
  end)
end
function works.blocking() blocking(1) end
function works.blocking64() blocking(64) end

function works.spawn()
  local async = require "lua_async"
  local function nothing() end
  async.run(function()
    for _ = 1, n do async.thread.spawn(nothing):await() end
  end)
end

local function piece(steps)
  local x = 0
  for i = 1, steps do x = (x * 31 + i) % 1000003 end
  return x
end

function works.one()
  for _ = 1, 64 do piece(n // 64) end
end

function works.two()
  local async = require "lua_async"
  async.run(function()
    local parts = {}
    for i = 1, 64 do parts[i] = n // 64 end
    async.map(parts, function(steps)
      return async.thread.spawn_blocking(piece, steps):await()
    end, { limit = 2 })
  end)
end

local async = require "lua_async"
common.clock = async.now
local stop = common.start()
works[work]()
local wall, cpu = stop()
common.report("threads " .. work, arg[1], n, wall, cpu, ('"wall_ns":%.1f'):format(wall / n * 1e9))
