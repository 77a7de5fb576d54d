-- README.md has what there is; the programs in it and in docs/ compile and name only what exists; the blocks marked
-- "lua run" are run, in a folder of their own, and print what their "-->" say.
local async = require "lua_async"
local support = require "spec.support"

local LIMIT = 60 -- seconds, where only a hang is to be found

local function read(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

-- The blocks of Lua in the pages: { where=, text=, run= }.
local function blocks()
  local list = {}
  for _, page in ipairs { "README.md", "docs/guide.md", "docs/reference.md" } do
    local source = read(page)
    for at, mark, text in source:gmatch("()```lua([^\n]*)\n(.-)```") do
      local _, line = source:sub(1, at):gsub("\n", "")
      list[#list + 1] = { where = ("%s:%d"):format(page, line + 2), text = text, run = mark == " run" }
    end
  end
  return list
end
local all = blocks()

-- As a program: the module is loaded, and what waits is in a run. The lines keep their numbers.
local function program(text)
  if not text:find('require "lua_async"', 1, true) then text = 'local async = require "lua_async" ' .. text end
  if text:find("async.run(", 1, true) or text:find("async.loop(", 1, true) then return text end
  return 'require("lua_async").run(function() ' .. text .. "\nend)"
end

-- What it prints on both outputs, and its status; what it reads is "one\ntwo\n".
local function run(text)
  local folder = support.folder()
  local f <close> = assert(io.open(folder .. "/program.lua", "w"))
  f:write(text)
  f:close()
  -- Leaks are looked for elsewhere: here they would be those of sort, which fails then.
  local command = "cd '%s' && export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 && "
    .. "printf 'one\\ntwo\\n' | timeout %d lua5.4 program.lua 2>&1"
  local p = assert(io.popen(command:format(folder, LIMIT)))
  local out = p:read("a")
  return out, select(3, p:close())
end

-- A port that was free just now.
local function free_port()
  return support.run(function()
    local listener <close> = assert(async.net.listen("127.0.0.1", 0))
    return (select(2, listener:address()))
  end)
end

describe("README.md #noseeds", function()
  it("has every example", function()
    local readme = read("README.md")
    local count = 0
    local p <close> = assert(io.popen("find examples -type f"))
    for path in p:lines() do
      count = count + 1
      assert.is_truthy(readme:find("](" .. path .. ")", 1, true), path)
    end
    assert.is_true(count >= 20)
  end)

  it("and the guide link to what is there", function()
    for _, page in ipairs { "README.md", "docs/guide.md", "docs/reference.md" } do
      for path in read(page):gmatch("%]%(([%w_./-]+)#?[%w_-]*%)") do -- no address has only these characters
        local f = io.open(page:gsub("[^/]*$", "") .. path)
        assert.is_truthy(f, page .. ": " .. path)
        f:close()
      end
    end
  end)
end)

describe("a program in the documents #noseeds", function()
  teardown(support.clean)

  it("compiles", function()
    for _, block in ipairs(all) do -- "…" stands for what is left out
      local ok, err = load(program((block.text:gsub("…", " "))), "=" .. block.where)
      assert.is_truthy(ok, err)
    end
    assert.is_true(#all >= 30)
  end)

  it("names functions that exist", function()
    for _, block in ipairs(all) do
      for name in block.text:gmatch("%f[%w_]async%.([%w_.]+)") do
        local value = async
        for part in name:gmatch("[^.]+") do value = value[part] end
        assert.is_truthy(value, block.where .. ": async." .. name)
      end
    end
  end)

  it("calls methods that are in the reference", function()
    local reference = read("docs/reference.md")
    for _, block in ipairs(all) do
      for name in block.text:gmatch("%w:([%a_]+)%(") do
        assert.is_truthy(string[name] or reference:find("[%l]:" .. name .. "%("), block.where .. ": " .. name)
      end
    end
  end)

  it("prints what it says #process", function()
    local count = 0
    for _, block in ipairs(all) do
      if block.run then
        count = count + 1
        local out, status = run(program(block.text))
        assert.equal(0, status, block.where .. "\n" .. out)
        local wanted = {}
        for line in block.text:gmatch("%-%-> ([^\n]*)") do wanted[#wanted + 1] = line .. "\n" end
        local function plain(s) return (s:gsub("[ \t]+", " ")) end
        if #wanted > 0 then assert.equal(plain(table.concat(wanted)), plain(out), block.where) end
      end
    end
    assert.is_true(count >= 18)
  end)

  it("echoes lines when it is a server #process", function()
    local count = 0
    for _, block in ipairs(all) do
      if block.text:find('listen("127.0.0.1", 8080)', 1, true) then
        count = count + 1
        local port = free_port()
        local path = support.folder() .. "/server.lua"
        local f <close> = assert(io.open(path, "w"))
        f:write(program((block.text:gsub("8080", port))))
        f:close()
        support.run(function()
          local server <close> = assert(async.process.spawn { "lua5.4", path })
          local conn
          repeat -- it may not listen yet
            async.sleep(0.01)
            conn = async.net.connect("127.0.0.1", port)
          until conn
          conn:write("hello\nagain\n")
          assert.same({ "hello\n", "again\n" }, { conn:read("L", "L") })
          conn:close()
        end)
      end
    end
    assert.equal(2, count)
  end)
end)
