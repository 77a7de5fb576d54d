-- The tags of specs, which say where each runs, are those that spec/README.md explains.
local function lines_of(path)
  local f <close> = assert(io.open(path))
  local list = {}
  for line in f:lines() do list[#list + 1] = line end
  return list
end

local function known_tags()
  local known = {}
  for _, line in ipairs(lines_of "spec/README.md") do
    local tag = line:match "^| `#(%l+)` |"
    if tag then known[tag] = true end
  end
  return known
end

-- Names of tests and groups: a tag is a word behind "#" in one.
local function tags_in(path)
  local tags = {}
  for number, line in ipairs(lines_of(path)) do
    local called = line:match "^%s*;?%(?.-%f[%a](describe)%f[%A]" or line:match "^%s*(it)%("
    if called and line:find "function%(" then
      for text in line:gmatch '"([^"]*)"' do
        for tag in (" " .. text):gmatch "%s#(%a[%w_%-]*)" do tags[#tags + 1] = { tag, path .. ":" .. number } end
      end
    end
  end
  return tags
end

describe("a tag #notsan #nogc #noseeds", function()
  it("is one that the tests know", function()
    local known, count = known_tags(), 0
    assert.is_true(known.process and known.notsan)
    local p <close> = assert(io.popen "find spec -name '*_spec.lua'")
    for path in p:lines() do
      for _, tag in ipairs(tags_in(path)) do
        count = count + 1
        assert.is_true(known[tag[1]], tag[2] .. ": #" .. tag[1])
      end
    end
    assert.is_true(count > 100)
  end)
end)
