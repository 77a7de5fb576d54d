-- Random programs against what has to hold of all of them: see support/model.lua. MODEL_SEEDS
-- is how many (a thousand), MODEL_FIRST the first; `make model` runs many more.
local model = require "spec.support.model"

local first = tonumber(os.getenv "MODEL_FIRST") or 1
local count = tonumber(os.getenv "MODEL_SEEDS") or 1000

describe("random trees of tasks #notsan #nogc #noseeds", function()
  it("lose no message, permit or task, whatever is cancelled", function()
    local steps, messages = 0, 0
    for seed = first, first + count - 1 do
      local ok, ops, sent = pcall(model.run, seed)
      if not ok then error(("seed %d: %s"):format(seed, tostring(ops)), 0) end
      steps, messages = steps + ops, messages + sent
    end
    assert.is_true(steps > 10 * count and messages > count, "the programs do nothing")
  end)
end)
