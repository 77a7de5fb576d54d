-- luasocket: check-links, a script written for LuaSocket (after the one in its samples), in tasks.
-- lua5.4 luasocket.lua [URL]
--
-- It asks for a page, and then whether what its links point to is there. The two lines marked below are
-- all that was changed in `check`: LuaSocket's own socket.http waits for many at once.
local here = arg[0]:gsub("[^/]*$", "")
package.cpath = ("%s;%s../build/?.so"):format(package.cpath, here)

local async = require "lua_async"
require("lua_async.socket").install() -- changed: before the first require of a part of LuaSocket

local url = require "socket.url"
local http = require "socket.http"
http.TIMEOUT = 10

-- What a link points to: its status.
local function status(u)
  local _, code, _, line = http.request { method = "HEAD", url = u }
  return line or code
end

local function links(base, body)
  local list = {}
  for href in body:gmatch('[hH][rR][eE][fF]="([^"#]+)"') do list[#list + 1] = url.absolute(base, href) end
  return list
end

local function check(base)
  local body, err = http.request(base)
  if not body then return nil, err end
  local list = links(base, body)
  local answers = async.map(list, status, { limit = 8 }) -- changed: was a for loop, one after another
  for i, u in ipairs(list) do print(("%-12s %s"):format(url.parse(u).path, answers[i])) end
  return true
end

-- Without an address there is a small site of our own: two of its pages answer only when both are asked for,
-- which a client that does one thing after another never gets.
local function serve_site()
  local pages = {
    ["/"] = '<a href="/one">1</a> <a href="two">2</a> <a href="/gone">3</a>',
    ["/one"] = "one",
    ["/two"] = "two",
  }
  local both = async.sync.barrier(2)
  local listener = assert(async.net.listen("127.0.0.1", 0))
  local function answer(conn)
    local path = conn:read("l"):match("^%u+ (%S+)")
    repeat local line = conn:read("l") until not line or line == "" or line == "\r"
    if path == "/one" or path == "/two" then both:wait() end
    local page = pages[path]
    local status_line = page and "200 OK" or "404 Not Found"
    conn:write("HTTP/1.1 ", status_line, "\r\nContent-Length: ", tostring(#(page or "")), "\r\n\r\n")
    if path == "/" then conn:write(page) end
  end
  async.spawn(function()
    for accepted in listener:incoming() do
      async.spawn(function()
        local conn <close> = accepted
        answer(conn)
      end)
    end
  end)
  return "http://127.0.0.1:" .. select(2, listener:address()) .. "/"
end

async.run(function()
  assert(check(arg[1] or serve_site()))
end)
