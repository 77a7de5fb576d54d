-- libuv aborts when it closes a loop that was given the descriptor 0, 1 or 2.
local support = require "spec.support"

describe("a run in a process without standard descriptors #process", function()
  it("ends as any other, and does not take their place", function()
    for _, closed in ipairs { "<&-", ">&-", "2>&-", "<&- >&- 2>&-" } do
      local path = os.tmpname()
      local _, _, code = os.execute(("timeout 60 lua5.4 -e '%s' %s"):format(
        [[local async = require "lua_async"
          async.run(function() assert(async.net.listen("127.0.0.1", 0)):close() end)
          assert(io.open("]] .. path .. [[", "w")):write("over"):close()]], closed))
      assert.equal(0, code, closed)
      local f <close> = assert(io.open(path))
      assert.equal("over", f:read("a"))
      os.remove(path)
    end
  end)
end)
