-- resolve_many: looks up many names at once, and prints their addresses in the order of the names.
--
--     lua5.4 resolve_many.lua [-n AT_ONCE] [NAME…]
--
-- Without names it reads them from the standard input, one a line, while it looks up those before.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"

local at_once, names = 50, { table.unpack(arg) }
if names[1] == "-n" then
  at_once = math.tointeger(tonumber(names[2]))
  if not at_once or at_once < 1 then
    io.stderr:write("resolve_many: -n takes a number from 1 on\n")
    os.exit(2)
  end
  table.remove(names, 1)
  table.remove(names, 1)
end

-- The names, one after the other: of the command line, or of the lines of the input.
local function source()
  if #names > 0 then
    local i = 0
    return function()
      i = i + 1
      return names[i]
    end
  end
  local line = async.stdin:lines()
  return function()
    local name
    repeat name = line() until name == nil or name:find("%S")
    return name and name:match("%S+")
  end
end

-- Prints in order what comes in any order: each result waits for those before it.
local function in_order()
  local waiting, next_one = {}, 1
  return function(i, line)
    waiting[i] = line
    while waiting[next_one] do
      print(waiting[next_one])
      waiting[next_one] = nil
      next_one = next_one + 1
    end
  end
end

local function look_up(name)
  local list, err = async.net.resolve(name)
  if not list then return ("%s\t%s"):format(name, err.code), false end
  return ("%s\t%s"):format(name, table.concat(list, " ")), true
end

local failed = async.run(function()
  local show, count, failures = in_order(), 0, 0
  local next_name = source()
  local function numbered()
    local name = next_name()
    if name == nil then return nil end
    count = count + 1
    return { count, name }
  end
  async.map(numbered, function(item)
    local line, ok = look_up(item[2])
    if not ok then failures = failures + 1 end
    show(item[1], line)
  end, { limit = at_once })
  return failures
end)
os.exit(failed == 0 and 0 or 1, true)
