-- LuaSocket's own programs, unchanged, on lua_async.socket: in tasks that do not block each other.
local async = require "lua_async"
local support = require "spec.support"
local luasocket = require "spec.support.luasocket"
local socket, blocking, serve = luasocket.socket, luasocket.blocking, luasocket.serve
local http, smtp, ltn12 = require "socket.http", require "socket.smtp", require "ltn12"

teardown(luasocket.remove)

-- An HTTP server: the answers are what `answer(path, body)` returns.
local function serve_http(answer)
  local host, port = serve(function(conn)
    local first = conn:read("l")
    if not first then return end
    local method, path = first:match("^(%u+) (%S+)")
    local length = 0
    for line in conn:lines("l") do
      if line == "\r" or line == "" then break end
      length = tonumber(line:lower():match("^content%-length: (%d+)")) or length
    end
    local body = length > 0 and conn:read_exact(length) or ""
    for _, piece in ipairs { answer(path, body, method) } do conn:write(piece) end
  end)
  return ("http://%s:%d"):format(host, port)
end

local function ok_with(text)
  return "HTTP/1.1 200 OK\r\nContent-Length: " .. #text .. "\r\n\r\n", text
end

describe("socket.http", function()
  it("is LuaSocket's own, on our sockets", function()
    assert.equal(socket, package.loaded["socket"])
    assert.are_not.equal(blocking, socket)
    assert.equal(blocking._VERSION, socket._VERSION)
    assert.equal(http, socket.http)
  end)

  it("gets and posts", function()
    support.run(function()
      local url = serve_http(function(path, body, method) return ok_with(method .. " " .. path .. " " .. body) end)
      local body, code, headers, status = http.request(url .. "/some/page")
      assert.same({ "GET /some/page ", 200, "HTTP/1.1 200 OK" }, { body, code, status })
      assert.equal("15", headers["content-length"]:match("%d+"))
      assert.equal("POST /form a=1", (http.request(url .. "/form", "a=1")))
    end)
  end)

  it("reads chunked bodies, and those that end with the connection, into an ltn12 sink", function()
    support.run(function()
      local url = serve_http(function(path)
        if path == "/chunked" then
          return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n",
            "6\r\n world\r\n", "0\r\n\r\n"
        end
        return "HTTP/1.0 200 OK\r\n\r\n", ("x"):rep(100000)
      end)
      local parts = {}
      assert(http.request { url = url .. "/chunked", sink = ltn12.sink.table(parts) })
      assert.equal("hello world", table.concat(parts))
      assert.equal(100000, #http.request(url .. "/"))
    end)
  end)

  it("follows a redirect", function()
    support.run(function()
      local url
      url = serve_http(function(path)
        if path == "/old" then
          return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " .. url .. "/new\r\n\r\n"
        end
        return ok_with(path)
      end)
      assert.equal("/new", (http.request(url .. "/old")))
    end)
  end)

  it("waits in its task alone: the first request ends after all that began later", function()
    support.run(function()
      local gate, log = support.gate(), {}
      local url = serve_http(function(path)
        if path == "/slow" then gate.wait() end
        return ok_with(path)
      end)
      async.join(function()
        log[#log + 1] = "asks /slow"
        local body = http.request(url .. "/slow")
        log[#log + 1] = body
      end, function()
        for i = 1, 3 do
          local body = http.request(url .. "/" .. i)
          log[#log + 1] = body
        end
        gate.open()
      end)
      assert.same({ "asks /slow", "/1", "/2", "/3", "/slow" }, log)
    end)
  end)

  it("has LuaSocket's errors", function()
    support.run(function()
      local free = assert(async.net.listen("127.0.0.1", 0))
      local _, port = free:address()
      free:close()
      assert.same({ nil, "connection refused" }, { http.request("http://127.0.0.1:" .. port .. "/") })
      local url = serve_http(function() return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "12345" end)
      assert.same({ nil, "closed" }, { http.request(url) })
      local gate = support.gate()
      url = serve_http(function()
        gate.wait()
        return ""
      end)
      local before = http.TIMEOUT
      http.TIMEOUT = 0.02
      local r = { http.request(url) }
      http.TIMEOUT = before
      assert.same({ nil, "timeout" }, r)
      gate.open()
    end)
  end)

  it("is cancelled like everything that waits, through LuaSocket's protect", function()
    support.run(function()
      local gate, reached = support.gate(), async.sync.notify()
      local before
      local url = serve_http(function()
        reached:notify_one()
        gate.wait()
        return ""
      end)
      local t = async.spawn(http.request, url)
      reached:wait()
      t:cancel()
      local ok, err = pcall(t.await, t)
      assert.is_false(ok)
      assert.is_true(support.was_cancelled(err))
      before = async.timeout(0.02, http.request, url)
      assert.is_nil(before)
      gate.open()
    end)
  end)
end)

describe("socket.smtp", function()
  -- A server that answers as SMTP does, and keeps what it was sent.
  local function serve_smtp(mails, hold)
    return serve(function(conn)
      conn:write("220 ready\r\n")
      local mail = { to = {} }
      for line in conn:lines("l") do
        line = line:gsub("\r$", "")
        local verb = line:match("^%a+")
        if verb == "EHLO" then
          conn:write("250-here\r\n250-SIZE 10000\r\n250 8BITMIME\r\n")
        elseif verb == "DATA" then
          conn:write("354 go on\r\n")
          local text = {}
          for l in conn:lines("l") do
            l = l:gsub("\r$", "")
            if l == "." then break end
            text[#text + 1] = l
          end
          mail.text = table.concat(text, "\n")
          mails[#mails + 1] = mail
          if hold then hold(mail) end
          conn:write("250 taken\r\n")
        elseif verb == "QUIT" then
          conn:write("221 bye\r\n")
          return
        else
          if verb == "MAIL" then mail.from = line:match("<.*>") end
          if verb == "RCPT" then mail.to[#mail.to + 1] = line:match("<.*>") end
          conn:write("250 fine\r\n")
        end
      end
    end)
  end

  local function send(host, port, name)
    return smtp.send {
      from = "<" .. name .. "@example.org>",
      rcpt = { "<a@example.org>", "<b@example.org>" },
      source = smtp.message { headers = { subject = name }, body = "dear all\r\n.dots\r\n" },
      server = host,
      port = port,
    }
  end

  it("sends a mail", function()
    support.run(function()
      local mails = {}
      local host, port = serve_smtp(mails)
      assert.equal(1, send(host, port, "ada"))
      assert.equal("<ada@example.org>", mails[1].from)
      assert.same({ "<a@example.org>", "<b@example.org>" }, mails[1].to)
      assert.matches("Subject: ada\n", mails[1].text)
      assert.matches("dear all\n%.%.dots", mails[1].text)
    end)
  end)

  it("sends several at once", function()
    support.run(function()
      local mails, log, gate = {}, {}, support.gate()
      local host, port = serve_smtp(mails, function(mail) if mail.from:find("slow") then gate.wait() end end)
      async.join(function()
        assert.equal(1, send(host, port, "slow"))
        log[#log + 1] = "slow"
      end, function()
        for i = 1, 2 do
          assert.equal(1, send(host, port, "quick"))
          log[#log + 1] = "quick " .. i
        end
        gate.open()
      end)
      assert.same({ "quick 1", "quick 2", "slow" }, log)
    end)
  end)
end)
