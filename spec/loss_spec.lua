-- A network that loses every twentieth packet, and one that is slow: nothing is lost to who uses it, nothing
-- hangs. In a network of its own, by nftables; the delay is a proxy's, since not every kernel has netem.
local support = require "spec.support"

-- Sets the rules up inside; the packets are small, so that there are many.
local RULES = [[ip link set lo mtu 1500 && nft "add table inet loss;
  add chain inet loss input { type filter hook input priority 0; policy accept; };
  add rule inet loss input numgen random mod 100 < 5 counter drop"]]

local untraced = os.getenv("LUA_ASYNC_FLAVOUR") ~= "tsan"
local there = untraced and os.execute("env -u LD_PRELOAD PATH=$PATH:/usr/sbin:/sbin sh spec/support/private '' sh -c '"
  .. RULES:gsub("'", "'\\''") .. "' >/dev/null 2>&1") == true

local PRELUDE = [[
  package.path = "./?.lua;" .. package.path
  local support, net = require "spec.support", async.net
  local rules = %q
  assert(os.execute("env -u LD_PRELOAD PATH=$PATH:/usr/sbin:/sbin sh -c '" .. rules .. "'"))
  local function dropped()
    local p = io.popen("env -u LD_PRELOAD PATH=$PATH:/usr/sbin:/sbin nft list ruleset")
    local n = tonumber(p:read("a"):match("packets (%%d+)"))
    p:close()
    return n
  end
  local function text_of(letter, n)
    local parts = {}
    for i = 1, n do parts[i] = ("%%s%%07x,"):format(letter, i) end
    return table.concat(parts)
  end
  local function echo(conn)
    local conn <close> = conn
    assert(async.copy(conn, conn))
    assert(conn:shutdown("send"))
  end
]]

;(there and describe or pending)("a network that loses packets #process", function()
  local function child(text)
    support.child_ok(PRELUDE:format(RULES) .. text .. " print 'ok'",
      { under = "sh spec/support/private 'nameserver 127.0.0.1\\noptions timeout:1 attempts:5\\n'", seconds = 110 })
  end

  it("carries every byte of many connections, both ways and to both ends", function()
    child([[
      support.run(function()
        local listener <close> = assert(net.listen("127.0.0.1", 0))
        local _, port = listener:address()
        async.spawn(function()
          for conn in listener:incoming() do async.spawn(echo, conn) end
        end)
        local ids = {}
        for i = 1, 60 do ids[i] = i end
        async.map(ids, function(i)
          local conn <close> = assert(net.connect("127.0.0.1", port))
          local text = text_of(string.char(96 + i % 26), 10000 + i)
          local got = async.join(function() return conn:read("a") end, function()
            assert(conn:write(text))
            return conn:shutdown("send")
          end)
          assert(got == text, i)
        end, { limit = 60 })
      end)
      assert(dropped() > 20, "too few were lost")
    ]])
  end)

  it("answers every question in the end, asked again after a timeout", function()
    child([[
      support.run(function()
        local server <close> = assert(net.udp("127.0.0.1", 0))
        local _, port = server:address()
        local asked = 0
        async.spawn(function()
          for data, host, from in server:incoming() do
            asked = asked + 1
            server:send("answer to " .. data, host, from)
          end
        end)
        local ids, again = {}, 0
        for i = 1, 1000 do ids[i] = i end
        local function ask(i)
          local socket <close> = assert(net.udp("127.0.0.1", 0))
          assert(socket:connect("127.0.0.1", port))
          for _ = 1, 30 do
            assert(socket:send("question " .. i))
            local answer, err = async.timeout(0.05, socket.recv, socket)
            if answer then return answer end
            assert(err.code == "ETIMEDOUT", tostring(err))
            again = again + 1
          end
        end
        local answers = async.map(ids, ask, { limit = 50 })
        for i = 1, 1000 do assert(answers[i] == "answer to question " .. i, i) end
        assert(asked >= 1000 and again > 10, again)
      end)
      assert(dropped() > 20, "too few were lost")
    ]])
  end)

  it("resolves names by dnsmasq", function()
    child([[
      local pid = os.tmpname()
      local _ <close> = setmetatable({}, { __close = function()
        os.execute("kill $(cat " .. pid .. "); rm -f " .. pid)
      end })
      assert(os.execute("env -u LD_PRELOAD PATH=$PATH:/usr/sbin dnsmasq --conf-file=/dev/null --no-hosts --no-resolv "
        .. "--user=root --interface=lo --bind-interfaces --address=/loss.test/192.0.2.5 --pid-file=" .. pid))
      support.run(function()
        local names = {}
        for i = 1, 200 do names[i] = ("n%d.loss.test"):format(i) end
        for _, list in ipairs(async.map(names, function(name)
          for _ = 1, 3 do
            local list, err = net.resolve(name, { family = "ipv4" })
            if list then return list end
            assert(err.code == "EAI_AGAIN", tostring(err))
          end
        end, { limit = 64 })) do assert(list[1] == "192.0.2.5") end
      end)
      assert(dropped() > 5, "too few were lost")
    ]])
  end)

  it("and through a proxy that delays each piece carries the same", function()
    child([[
      support.run(function()
        local listener <close> = assert(net.listen("127.0.0.1", 0))
        local slow <close> = assert(net.listen("127.0.0.1", 0))
        local _, port = listener:address()
        local _, slow_port = slow:address()
        async.spawn(function()
          for conn in listener:incoming() do async.spawn(echo, conn) end
        end)
        local function delayed(from, to)
          return function()
            while true do
              local piece, err = from:read(4096)
              assert(not err, err)
              async.sleep(0.003)
              if not piece then return to:shutdown("send") end
              assert(to:write(piece))
            end
          end
        end
        async.spawn(function()
          for conn in slow:incoming() do
            async.spawn(function()
              local a <close> = conn
              local b <close> = assert(net.connect("127.0.0.1", port))
              async.join(delayed(a, b), delayed(b, a))
            end)
          end
        end)
        local ids = {}
        for i = 1, 30 do ids[i] = i end
        async.map(ids, function(i)
          local conn <close> = assert(net.connect("127.0.0.1", slow_port))
          for k = 1, 5 do -- questions and answers
            local text = text_of(string.char(96 + i % 26), 100 * k + i)
            assert(conn:write(text))
            assert(conn:read_exact(#text) == text, i)
          end
          assert(conn:shutdown("send"))
          assert(conn:read("a") == "")
        end, { limit = 30 })
      end)
    ]])
  end)
end)
