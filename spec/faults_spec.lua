-- A part of `make faults`: each program of spec/faults/programs with one system call of each kind failing.
local flavour = os.getenv("LUA_ASYNC_FLAVOUR") or "release"
local traces = (flavour == "release" or flavour == "torture") and os.execute("strace -o /dev/null true 2>/dev/null")

describe("whatever system call fails #process", function()
  if not traces then return end
  -- Not EIO for processes: where it hits the pipe that libuv has for SIGCHLD, libuv tries for ever.
  for errors, programs in pairs {
    EINTR = "", ["EIO,ENOSPC"] = "files names standard tcp tree udp unix", ["ECONNABORTED,ENOBUFS,EAGAIN"] = "",
  } do
    it("with " .. errors .. ", it is told or mended, nothing crashes, hangs, leaks or lies", function()
      local out = os.tmpname()
      local _, _, code = os.execute(
        ("timeout 300 lua5.4 spec/faults/run.lua --brief --errors=%s %s >%s 2>&1"):format(errors, programs, out))
      local f <close> = assert(io.open(out))
      local text = f:read("a")
      os.remove(out)
      assert.equal(0, code, text)
      assert.matches("faults: %d+ runs, 0 faults", text)
    end)
  end
end)
