-- A tiny name server, on 127.0.0.1 port 53 of a private network (see spec/support/private).
-- serve(answer) spawns it; answer(name, type, reply) gets each question and calls, now, later
-- or never, reply(addresses), reply("NXDOMAIN"), reply.raw(bytes).
local async = require "lua_async"

local M = {}

local function parse(packet)
  local id, at, labels = packet:sub(1, 2), 13, {}
  while true do
    local label
    label, at = string.unpack("s1", packet, at)
    if label == "" then break end
    labels[#labels + 1] = label
  end
  local kind = string.unpack(">I2", packet, at)
  local type_name = ({ [1] = "A", [12] = "PTR", [28] = "AAAA" })[kind]
  return id, table.concat(labels, "."):lower(), type_name or kind, packet:sub(13, at + 3)
end

local function address(text)
  if not text:find(":") then
    local a, b, c, d = text:match("(%d+)%.(%d+)%.(%d+)%.(%d+)")
    return string.pack(">I2I2I4s2", 1, 1, 60, string.char(a, b, c, d))
  end
  local head, tail = text:match("(.-)::(.*)")
  local bytes = ("\0"):rep(16 - 2 * select(2, (tail .. ":"):gsub(":", "")))
  for group in tail:gmatch("%x+") do bytes = bytes .. string.pack(">I2", tonumber(group, 16)) end
  local first = ""
  for group in head:gmatch("%x+") do first = first .. string.pack(">I2", tonumber(group, 16)) end
  return string.pack(">I2I2I4s2", 28, 1, 60, first .. bytes:sub(#first + 1))
end

local function pointer(name)
  local bytes = ""
  for label in name:gmatch("[^.]+") do bytes = bytes .. string.pack("s1", label) end
  return string.pack(">I2I2I4s2", 12, 1, 60, bytes .. "\0")
end

local function response(id, question, kind, what)
  if what == "NXDOMAIN" then return id .. "\x81\x83\0\1\0\0\0\0\0\0" .. question end
  local records = {}
  for i, a in ipairs(what) do records[i] = "\xc0\x0c" .. (kind == "PTR" and pointer or address)(a) end
  return id .. "\x81\x80" .. string.pack(">I2I2I4", 1, #records, 0) .. question .. table.concat(records)
end

function M.serve(answer)
  local socket = assert(async.net.udp("127.0.0.1", 53))
  async.spawn(function()
    for packet, host, port in socket:incoming() do
      local id, name, kind, question = parse(packet)
      local reply = setmetatable({ raw = function(bytes) socket:send(bytes, host, port) end, id = id }, {
        __call = function(_, what) socket:send(response(id, question, kind, what), host, port) end,
      })
      answer(name, kind, reply)
    end
  end)
  return socket
end

return M
