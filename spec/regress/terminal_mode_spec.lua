-- The mode of a terminal belongs to whoever has it in the foreground; a run that ends in the background
-- ends, and raw(true) is true when it says so.

-- Runs `script` in a terminal, in a process group of its own; `parent` is Python, run beside it.
local HARNESS = [=[
import os, pty, select, signal, subprocess, sys, termios, time
script, parent = sys.argv[1], sys.argv[2]
pid, fd = pty.fork()
if pid == 0:
  signal.signal(signal.SIGTTOU, signal.SIG_IGN)
  r, w = os.pipe()
  child = os.fork()
  if child == 0:
    os.setpgid(0, 0); os.tcsetpgrp(0, os.getpid()); signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.set_inheritable(w, True)
    os.execvp("lua5.4", ["lua5.4", script, str(w)])
  os.close(w)
  def told(): return os.read(r, 1)
  def background(): os.tcsetpgrp(0, os.getpgrp())
  def icanon(): return bool(termios.tcgetattr(0)[3] & termios.ICANON)
  def end():
    for _ in range(500):
      p, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
      if p: break
      time.sleep(0.01)
    else: os.kill(child, 9); return "hangs"
    if os.WIFSTOPPED(status): os.kill(child, 9); return "stopped by %d" % os.WSTOPSIG(status)
    return "ended with %d" % status
  exec(parent)
  os._exit(0)
out = b""
try:
  while True:
    d = os.read(fd, 4096)
    if not d: break
    out += d
except OSError: pass
print(out.decode())
]=]

local async = require "lua_async"

local function in_terminal(script, parent)
  local name = os.tmpname()
  local f <close> = assert(io.open(name, "w"))
  f:write("local async = require 'lua_async'\n",
    "local function tell() io.open('/dev/fd/' .. arg[1], 'w'):write('x'):close() end\n",
    script)
  f:flush()
  local result = async.run(function()
    return assert(async.process.output { "python3", "-c", HARNESS, name, parent, stderr = "stdout" })
  end)
  os.remove(name)
  return result.stdout
end

describe("a terminal's mode", function()
  it("is restored in the background without a stop #process", function()
    local out = in_terminal([[async.run(function() async.stdin:raw(true) tell() async.sleep(0.2) end)]],
      [[told(); background(); print(icanon(), end(), icanon())]])
    assert.matches("False ended with 0 True", out)
  end)

  it("is left in the background to who has set it #process", function()
    local out = in_terminal([[async.run(function() async.stdin:raw(true) tell() async.sleep(0.2) end)]],
      [[
told(); background()
mode = termios.tcgetattr(0); mode[3] = mode[3] & ~termios.ECHOE | termios.ISIG
termios.tcsetattr(0, termios.TCSANOW, mode)
print(end(), termios.tcgetattr(0) == mode)]])
    assert.matches("ended with 0 True", out)
  end)

  it("is raw after raw(true), though somebody has changed it, and restored as it was found #process", function()
    local out = in_terminal([[
      local function icanon() return select(3, os.execute("stty -a </dev/tty | grep -q -e -icanon")) ~= 0 end
      async.run(function()
        assert(async.stdin:raw(true))
        for _ = 1, 2 do
          assert(async.process.spawn { "stty", "icanon" }:wait().ok)
          assert(icanon())
          assert(async.stdin:raw(true))
          assert(not icanon())
        end
      end)
      tell()]], [[told(); print(end(), icanon())]])
    assert.matches("ended with 0 True", out)
  end)
end)

