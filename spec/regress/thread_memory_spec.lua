-- Messages whose memory is out of proportion to what is in them.
local async = require "lua_async"
local support = require "spec.support"
local run, thread = support.run, async.thread

describe("a table whose border is far away #seldom", function()
  it("is as large as what is in it", function()
    run(function()
      local flags = load [[return {
        [1] = "a", [2] = "b", [4] = "c", [8] = "d", [16] = "e", [32] = "f", [64] = "g", [128] = "h", [256] = "i",
        [512] = "j", [1024] = "k", [2048] = "l", [4096] = "m", [8192] = "n", [1 << 14] = "o", [1 << 15] = "p",
        [1 << 16] = "q", [1 << 17] = "r", [1 << 18] = "s", [1 << 19] = "t", [1 << 20] = "u" }]]()
      assert.equal(1 << 20, #flags) -- the border that this version of Lua finds
      local tx, rx = thread.channel(1)
      tx:send(flags)
      collectgarbage()
      collectgarbage "stop"
      local before = collectgarbage "count"
      local got = rx:recv()
      local kilobytes = collectgarbage "count" - before
      collectgarbage "restart"
      assert.same(flags, got)
      assert.is_true(kilobytes < 64, kilobytes)
    end)
  end)

  it("arrives with all that it has, whatever is missing in between", function()
    run(function()
      local tx, rx = thread.channel(1)
      local holes = { 1, 2, { 3 }, nil, 5, [100] = 6 }
      for _, t in ipairs { { nil, nil, 3 }, { 1, nil, 3, x = {} }, holes, { [0] = 0, 1 } } do
        tx:send(t)
        assert.same(t, rx:recv())
      end
    end)
  end)
end)

describe("a chain of channels, each of which holds the next one's receiver #seldom", function()
  it("is dropped without recursion, however long #large #process", function()
    support.child_ok [[
      local thread = async.thread
      local before
      for i = 1, 200000 do
        local tx, rx = thread.channel(1)
        assert(tx:try_send { before })
        if before then before:close() end
        tx:close()
        before = rx
      end
      before:close()
      local first, last = thread.oneshot()
      first, last = last, first
      for i = 1, 200000 do
        local tx, rx = thread.oneshot()
        last:send { i, rx }
        rx:close()
        last = tx
      end
      last:close()
      first:close()
      print "ok"
    ]]
  end)
end)
