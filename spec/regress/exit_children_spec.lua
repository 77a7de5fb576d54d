-- os.exit in a task kills the children that the end of the run would have killed, whoever started them.
local support = require "spec.support"

local function lives(pid)
  local f = io.open("/proc/" .. pid .. "/stat")
  if not f then return false end
  local state = f:read("a"):match("%) (%a)")
  f:close()
  return state ~= "Z"
end

describe("os.exit in a task #process", function()
  for name, call in pairs { ["os.exit(0)"] = "os.exit(0)", ["os.exit(0, true)"] = "os.exit(0, true)" } do
    it("kills the children of runs, pipelines, Loops and threads, but detached ones: " .. name, function()
      local text, status = support.child(([[
        local loop = async.loop()
        loop:spawn(function()
          print("dies", async.process.spawn({ "sleep", "1000" }).pid)
          async.sleep(math.huge)
        end)
        loop:turn()
        async.run(function()
          local child = async.process.spawn { "sleep", "1000" }
          local group = async.process.spawn { "sh", "-c", "sleep 1000 & echo $!; wait", group = true, stdout = "pipe" }
          local line = async.process.pipeline({ "sleep", "1000" }, { "cat" })
          local stays = async.process.spawn { "sleep", "1000", detached = true }
          print("dies", child.pid)
          print("dies", group.pid)
          print("dies", (group.stdout:read("l")))
          print("dies", line[1].pid)
          print("stays", stays.pid)
          local ready, from = async.thread.channel(1)
          async.thread.spawn(function(ready)
            local async = require "lua_async"
            local child = async.process.spawn { "sleep", "1000" }
            ready:send(child.pid)
            async.sleep(math.huge)
          end, ready)
          print("dies", from:recv())
          io.stdout:flush()
          %s
        end)
      ]]):format(call))
      assert.equal(0, status, text)
      local count = 0
      for what, pid in text:gmatch("(%a+)\t(%d+)") do
        count = count + 1
        if what == "stays" then
          assert.is_true(lives(pid))
          os.execute("kill " .. pid)
        else
          for _ = 1, 500 do -- SIGKILL is on its way
            if not lives(pid) then break end
            os.execute("sleep 0.01")
          end
          assert.is_false(lives(pid), pid)
        end
      end
      assert.equal(7, count)
    end)
  end

  it("leaves none that other threads were starting", function()
    local tag = ("1000.%d"):format(support.sys.pid())
    local text, status = support.child(([[
      async.run(function()
        local began, from = async.thread.channel(100)
        for _ = 1, 3 do
          async.thread.spawn(function(began)
            local async = require "lua_async"
            local children = {}
            for i = 1, 1000 do
              children[i] = async.process.spawn { "sleep", "%s" } -- until the exit, which lets none begin
              began:send(true)
            end
          end, began)
        end
        for _ = 1, 10 do from:recv() end
        os.exit(0)
      end)
    ]]):format(tag))
    assert.equal(0, status, text)
    local left
    for _ = 1, 100 do -- SIGKILL is on its way
      local p <close> = io.popen("grep -lzx -e '" .. tag .. "' /proc/[0-9]*/cmdline 2>/dev/null")
      left = p:read("a")
      if left == "" then break end
      os.execute("sleep 0.01")
    end
    for pid in left:gmatch("/proc/(%d+)/") do os.execute("kill " .. pid) end
    assert.equal("", left)
  end)
end)
