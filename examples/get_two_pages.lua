-- get_two_pages: two requests, first one after the other, then both at once.
--
-- The pages come from a little server in the same program, which takes 0.2 s to answer.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"

-- The other side: reads the request, thinks for a while, sends the page, closes.
local function serve(listener)
  for accepted in listener:incoming() do
    async.spawn(function()
      local conn <close> = accepted
      local path = conn:read("l"):match("^GET (%S+)")
      for line in conn:lines() do if line == "\r" then break end end
      async.sleep(0.2)
      conn:write("HTTP/1.0 200 OK\r\n\r\n", "Content from ", path)
    end)
  end
end

-- An ordinary function: that it has to wait is nobody's business but its own. Success is
-- the page; failure is nil and an error object, whatever step it was that failed.
local function fetch(port, path)
  print("fetching " .. path)
  local conn <close>, err = async.net.connect("127.0.0.1", port)
  if not conn then return nil, err end
  conn:write("GET ", path, " HTTP/1.0\r\n\r\n")
  local answer, why = conn:read("a")
  if not answer then return nil, why end
  return answer:match("\r\n\r\n(.*)")
end

local function one_after_the_other(port)
  local first = assert(fetch(port, "/one"))
  print "got page 1"
  local second = assert(fetch(port, "/two"))
  print "got page 2"
  return first, second
end

-- Both requests are under way before we wait for either. `fetch_page` is what Rust calls an
-- async fn: its calls return futures, which do nothing before somebody waits for them.
local fetch_page = async.fn(function(port, path) return assert(fetch(port, path)) end)

local function joined(port)
  return async.join(fetch_page(port, "/one"), fetch_page(port, "/two"))
end

local function timed(what, get_two_pages, port)
  local start = async.now()
  local first, second = get_two_pages(port)
  print(("%s: %s; %s; %.1f s"):format(what, first, second, async.now() - start))
end

async.run(function()
  local listener <close> = assert(async.net.listen("127.0.0.1", 0))
  local _, port = listener:address()
  async.spawn(serve, listener)
  timed("one after the other", one_after_the_other, port)
  timed("joined", joined, port)
end)
