-- Standard streams, which are pipes here.
local w = ...
local ok, async = w.ok, w.async

local text = w.text(100000)
local feed <close> = w.from_fd(w.dup(w.stdin))
local drain <close> = w.from_fd(w.dup(w.stdout))
async.scope(function(scope)
  scope:spawn(function()
    ok(feed:write(text))
  end)
  scope:spawn(function()
    for _ = 1, 10 do
      local got, err = async.stdin:read_exact(10000)
      ok(got, err)
      ok(async.stdout:write(got))
    end
    ok(async.stdout:flush())
  end)
  w.same(ok(drain:read_exact(#text)), text, "what came through")
end)
