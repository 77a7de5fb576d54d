-- pipeline: the commonest words of files, in stages, each a thread of its own. lua5.4 pipeline.lua [path...]
--
--   reader --pieces--> words (two of them) --counts--> total
--
-- The channels are bounded: a stage that is slow holds up the ones before it, and nothing piles up. A channel
-- ends when all its senders are closed, and so does each stage after the one before it.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"
local thread = async.thread

-- Pieces of the files, each of whole lines.
local function reader(paths, pieces)
  for _, path in ipairs(paths) do
    local file <close> = assert(async.fs.open(path))
    local rest = ""
    for piece in file:lines(65536) do
      local whole, left = (rest .. piece):match("^(.*\n)(.*)$")
      rest = left or rest .. piece
      if whole then assert(pieces:send(whole)) end
    end
    if rest ~= "" then assert(pieces:send(rest)) end
  end
end

local function words(pieces, counts)
  for piece in pieces do
    local count = {}
    for word in piece:gmatch("%a+") do
      word = word:lower()
      count[word] = (count[word] or 0) + 1
    end
    assert(counts:send(count))
  end
end

local function total(counts)
  local sum = {}
  for count in counts do
    for word, n in pairs(count) do sum[word] = (sum[word] or 0) + n end
  end
  local list = {}
  for word, n in pairs(sum) do list[#list + 1] = { word = word, n = n } end
  table.sort(list, function(a, b) return a.n > b.n or a.n == b.n and a.word < b.word end)
  return table.move(list, 1, 10, 1, {})
end

async.run(function()
  local paths = #arg > 0 and { table.unpack(arg) } or { arg[0] }
  local pieces, from_reader = thread.channel(4)
  local counts, from_words = thread.channel(4)

  -- An end that is sent is one more there, so ours are closed, or no stage would end.
  local stages = {
    thread.spawn(reader, paths, pieces),
    thread.spawn(words, from_reader, counts),
    thread.spawn(words, from_reader, counts),
  }
  local result = thread.spawn(total, from_words)
  for _, ours in ipairs { pieces, from_reader, counts, from_words } do ours:close() end

  for _, stage in ipairs(stages) do stage:await() end -- raises what one of them has raised
  for _, entry in ipairs(result:await()) do print(("%7d %s"):format(entry.n, entry.word)) end
end)
