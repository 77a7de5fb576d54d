-- An open that nobody waits for any more, ended by its thread just as the run ends.
local async = require "lua_async"
local support = require "spec.support"

describe("fs.mkstemp that a run leaves in flight #seldom", function()
  it("leaves no file and no descriptor, however far it was", function()
    local dir = os.tmpname()
    os.remove(dir)
    async.run(async.fs.mkdir, dir)
    local fds = support.fds()
    for i = 1, 400 do
      async.run(function()
        async.spawn(function() -- whose task had its answer before the end owns the file
          local _, path = async.fs.mkstemp(dir .. "/new")
          os.remove(path)
        end)
        async.yield()
        local till = os.clock() + i * 1e-6
        while os.clock() < till do end
      end)
    end
    local left = {}
    async.run(function() for name in async.fs.dir(dir) do left[#left + 1] = name end end)
    async.run(async.fs.remove, dir, { recursive = true })
    assert.same({}, left)
    assert.equal(fds, support.fds())
  end)
end)
