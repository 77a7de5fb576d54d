-- A program that a thread has just written can be executed, whatever other threads start meanwhile: none of their
-- children still has the descriptor that it was written through.
local async = require "lua_async"
local support = require "spec.support"

describe("threads that write programs and run them #process #large", function()
  it("never find them busy", function()
    support.run(function()
      local folder = support.folder()
      local tasks = {}
      for i = 1, 4 do
        tasks[i] = async.thread.spawn(load [[
          local path = ...
          local async = require "lua_async"
          local failed = {}
          for _ = 1, 150 do
            assert(async.fs.write_file(path, "#!/bin/sh\nexit 0\n", { mode = tonumber("755", 8) }))
            local result, err = async.process.output { path }
            if not result then failed[#failed + 1] = tostring(err) end
            async.fs.remove(path)
          end
          return failed
        ]], folder .. "/program" .. i)
      end
      for _, task in ipairs(tasks) do assert.same({}, task:await()) end
    end)
  end)

  it("are told when a program is busy for good", function()
    support.run(function()
      local path = support.folder() .. "/program"
      local writer <close> = assert(async.fs.open(path, "w", { mode = tonumber("755", 8) }))
      assert(writer:write("#!/bin/sh\nexit 0\n"))
      assert(writer:flush())
      local result, err = async.process.output { path }
      assert.is_nil(result)
      assert.equal("ETXTBSY", err.code)
      assert(writer:close())
      assert.is_true(async.process.output({ path }).ok)
    end)
  end)
end)
