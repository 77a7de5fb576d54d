-- An accept that waits for descriptors to come free wakes who polled it last, and not who
-- polled it when it began to wait.
local async = require "lua_async"
local support = require "spec.support"

describe("an accept that is out of descriptors #process", function()
  it("is woken also when another task has taken it over", function()
    support.child_ok([[
      async.run(function()
        async.time.pause()
        local l <close> = assert(async.net.listen("127.0.0.1", 0))
        local _, port = l:address()
        local accepting = async.future(l.accept, l)
        local client <close> = assert(async.net.connect("127.0.0.1", port))
        sys.nofile(sys.fds() + 20)
        local held = {}
        for fd in sys.dup do held[#held + 1] = fd end
        local first = async.spawn(function()
          async.timeout(0.012, async.poll_fn(function(cx) return accepting:poll(cx) end))
        end)
        first:await() -- it has polled the accept, which backs off, and is no more
        local second = async.spawn(function() return accepting:await() end)
        async.yield()
        for _, fd in ipairs(held) do sys.close(fd) end
        local conn, err = async.timeout(10, second)
        assert(conn, tostring(err))
        conn:close()
      end)
      print "ok"
    ]], { seconds = 20 })
  end)
end)
