-- Children: pipes in both directions, output, pipelines, signals.
local w = ...
local ok, async = w.ok, w.async
local process = async.process

local text = w.text(150000)
-- A child that fails is no fault of ours: its calls fail too.
local function ended(result)
  if not result.ok then error(w.fine, 0) end
end

local r = ok(process.output { "cat", input = text })
ended(r)
w.same(r.stdout, text, "what cat wrote")
do
  local child <close> = ok(process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
  async.scope(function(scope)
    scope:spawn(function()
      ok(child.stdin:write(text))
      ok(child.stdin:close())
    end)
    local got = ok(child.stdout:read("a"))
    ended(ok(child:wait()))
    w.same(got, text, "what cat wrote")
  end)
end
do
  local p <close> = ok(process.pipeline({ "cat", stdin = "pipe" }, { "cat", stdout = "pipe" }))
  ok(p.stdin:write("through both\n"))
  ok(p.stdin:close())
  local got = ok(p.stdout:read("a"))
  ended(ok(p:wait()))
  w.same(got, "through both\n", "what came through both")
end
do
  local child <close> = ok(process.spawn { "sleep", "8", group = true })
  local signals = async.signal.stream("SIGUSR1")
  ok(process.kill(w.pid(), "SIGUSR1"))
  w.same(ok(signals()), "SIGUSR1", "a signal")
  signals:close()
  ok(child:kill("SIGTERM", { tree = true }))
  local result = ok(child:wait())
  if result.code then error(w.fine, 0) end -- it could not even sleep
  w.same(result.signal, "SIGTERM", "how it ended")
end
