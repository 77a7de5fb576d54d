-- What a file or a standard stream has accepted and cannot write is told to somebody: to close, by the
-- run, or by on_error.
local support = require "spec.support"

local FULL = "local async = require 'lua_async'\n" ..
  "local function full() return assert(async.fs.open('/dev/full', 'w')):write('x') end\n"
local HANDLER = "async.on_error(function(e) io.stderr:write('told: ', tostring(e), '\\n') end)\n"

-- What is said on stderr, and the status, with stdout at `out`.
local function outcome(program, out)
  local name = os.tmpname()
  local f <close> = assert(io.open(name, "w"))
  f:write(FULL, program)
  f:flush()
  local command = ("timeout -k 5 60 lua5.4 %s 2>&1 >%s; echo status $?"):format(name, out or "/dev/null")
  local pipe <close> = assert(io.popen(command))
  local text = pipe:read("a")
  os.remove(name)
  return text:gsub("status (%d+)\n$", ""), tonumber(text:match("status (%d+)\n$"))
end

local function times(text, what) return select(2, text:gsub(what, "")) end

describe("stdout's last bytes that cannot be written", function()
  local STDOUT = "write stdout: [^\n]+%(ENOSPC%)"

  it("make the run fail #process", function()
    for _, wait in ipairs { "", "async.sleep(0.05)" } do
      local body = "assert(async.stdout:write('hi\\n')) " .. wait
      local text, status = outcome(HANDLER .. "async.run(function() " .. body .. " end)", "/dev/full")
      assert.equal(1, status)
      assert.matches("lua5.4: " .. STDOUT, text)
      assert.equal(0, times(text, "told"))
    end
  end)

  it("are an error object that a pcall around run gets #process", function()
    local text, status = outcome([[
      local ok, e = pcall(async.run, function() async.stdout:write("hi\n") end)
      io.stderr:write(tostring(ok), " ", e.code, " ", e.op, " ", e.path, "\n")]], "/dev/full")
    assert.equal("false ENOSPC write stdout\n", text)
    assert.equal(0, status)
  end)

  it("are told beside the root task's own error #process", function()
    local text, status = outcome(HANDLER .. "async.run(function() async.stdout:write('hi\\n') error('its own') end)",
      "/dev/full")
    assert.equal(1, status)
    assert.equal(1, times(text, "told: " .. STDOUT))
    assert.matches("its own", text)
  end)

  it("are told by close and flush, once #process", function()
    local text, status = outcome(HANDLER .. [[
      async.run(function()
        async.stdout:write("hi\n")
        local ok, err = async.stdout:close()
        io.stderr:write(tostring(ok), " ", tostring(err), " ", tostring(async.stdout:close()), "\n")
      end)
      async.run(function()
        async.stderr:write("to stderr\n")
        assert(async.stderr:close())
      end)]], "/dev/full")
    assert.equal("nil close: no space left on device (ENOSPC) true\nto stderr\n", text)
    assert.equal(0, status)
    text = outcome(HANDLER .. [[
      async.run(function()
        async.stdout:write("hi\n")
        io.stderr:write(tostring(select(2, async.stdout:flush())), "\n")
      end)]], "/dev/full")
    assert.matches("^flush: no space left on device", text)
  end)

  it("are told as os.exit ends the process #process", function()
    for _, wait in ipairs { "", "async.sleep(0.05)" } do
      local body = "async.stdout:write('hi\\n') " .. wait .. " os.exit(7)"
      local text, status = outcome(HANDLER .. "async.run(function() " .. body .. " end)", "/dev/full")
      assert.equal(7, status)
      assert.equal(1, times(text, "told: " .. STDOUT))
    end
  end)

  it("are on stderr without a handler #process", function()
    local text = outcome("async.run(function() async.stdout:write('hi\\n') os.exit(7) end)", "/dev/full")
    assert.matches("^lua_async: " .. STDOUT, text)
  end)
end)

describe("a file that nobody has closed and that cannot be written", function()
  for name, body in pairs {
    ["at the end of the run"] = "kept = full()",
    ["at os.exit"] = "kept = full() os.exit(0)",
    ["at os.exit that closes the state"] = "kept = full() os.exit(0, true)",
    ["as it is collected"] = "full() collectgarbage() collectgarbage() async.sleep(0.02)",
    ["as its close is given up"] = [[local f = full()
      local t = async.spawn(f.close, f) async.yield() t:cancel()]],
    ["in a thread"] = [[async.thread.spawn(function()
      local async = require "lua_async"
      kept = async.fs.open("/dev/full", "w") kept:write("x")
    end):await()]],
  } do
    it("is told to on_error " .. name .. " #process", function()
      local text, status = outcome(HANDLER .. "async.run(function() " .. body .. "\nend)")
      assert.equal(0, status, text)
      assert.equal(1, times(text, "told: close: no space left on device[^\n]*%(ENOSPC%)"), text)
    end)
  end

  it("is told to on_error as a loop is closed #process", function()
    local text = outcome(HANDLER .. [[
      local loop = async.loop()
      loop:spawn(function() kept = full() end)
      while not kept do loop:turn() end
      loop:close()
      io.stderr:write("closed\n")]])
    assert.matches("^told: close[^\n]*\nclosed\n$", text)
  end)

  it("is told while the run goes on #process", function()
    local text = outcome(HANDLER .. [[async.run(function()
      full() collectgarbage() collectgarbage() async.sleep(0.02)
      async.fs.stat("/")
      io.stderr:write("the run goes on\n")
    end)]])
    assert.matches("^told: close.*the run goes on\n$", text)
  end)

  it("is not told when close was #process", function()
    local text = outcome(HANDLER .. [[async.run(function()
      local f = full()
      io.stderr:write(f:close() and "ok" or "failed", "\n")
    end)]])
    assert.equal("failed\n", text)
  end)
end)

support.clean()
