-- chat_server: a line is a message to everybody. lua5.4 chat_server.lua [host [port [guests]]]
--
-- The first line of a guest is his name. With port 0 the system chooses one, which is
-- printed; with a number of guests, it stops when that many have come and gone. Try it
-- with two of `nc 127.0.0.1 7008`.
--
-- Each guest has two tasks: one reads his lines, one writes what is for him. What is not
-- written yet waits in his outbox. To broadcast is to add to outboxes, which never waits:
-- a guest who does not read fills his own outbox, and is shown the door when it is full.
local build = arg[0]:gsub("[^/]*$", "") .. "../build/"
package.cpath = ("%s;%s?.so"):format(package.cpath, build)

local async = require "lua_async"
io.stdout:setvbuf("line")

local MAX_LINE, MAX_NAME, MAX_OUTBOX = 4096, 32, 1 << 20 -- bytes

-- ---- the outbox: any task adds to it, one takes from it ------------------------------

local Outbox = {}
Outbox.__index = Outbox

local function new_outbox() return setmetatable({ bytes = 0 }, Outbox) end

-- False when that would be too much.
function Outbox:add(text)
  if self.bytes + #text > MAX_OUTBOX then return false end
  self.bytes = self.bytes + #text
  self[#self + 1] = text
  local waker = self.waker
  self.waker = nil
  if waker then waker:wake() end
  return true
end

-- Waits until there is something, and takes all of it.
function Outbox:take()
  return async.await(async.poll_fn(function(cx)
    if #self == 0 then
      self.waker = cx:waker()
      return "pending"
    end
    local all = table.concat(self)
    for i = #self, 1, -1 do self[i] = nil end
    self.bytes = 0
    return "ready", all
  end))
end

-- ---- the room --------------------------------------------------------------------------

local guests = {} -- name -> guest

local function broadcast(text, except)
  for _, guest in pairs(guests) do
    -- Closing his connection ends the read of his own task, which does the rest.
    if guest ~= except and not guest.outbox:add(text .. "\n") then guest.conn:close() end
  end
end

local function announce(text, except)
  print(text)
  broadcast("* " .. text, except)
end

local function write_outbox(conn, outbox)
  repeat until not conn:write(outbox:take())
end

-- A line without its end, or nil: at the end, on an error, when it is too long.
local function read_line(conn)
  local line = conn:read_until("\n", MAX_LINE)
  return line and line:gsub("[\r\n]+$", "")
end

local function ask_name(conn)
  conn:write("your name? ")
  local name = async.timeout(60, read_line, conn)
  while name and (name == "" or #name > MAX_NAME or guests[name]) do
    conn:write("not that one. your name? ")
    name = async.timeout(60, read_line, conn)
  end
  return name
end

local function talk(accepted)
  local conn <close> = accepted
  local name = ask_name(conn)
  if not name then return end
  local guest = { conn = conn, outbox = new_outbox() }
  guests[name] = guest
  local writer = async.spawn(write_outbox, conn, guest.outbox)
  guest.outbox:add("welcome, " .. name .. "\n")
  announce(name .. " is here", guest)
  for line in read_line, conn do broadcast(name .. ": " .. line, guest) end
  guests[name] = nil
  writer:cancel()
  announce(name .. " has left")
end

async.run(function()
  local host, port = arg[1] or "127.0.0.1", math.tointeger(tonumber(arg[2] or 7008))
  local left = tonumber(arg[3] or math.huge)
  local listener <close> = assert(async.net.listen(host, port))
  print(("listening on %s port %d"):format(listener:address()))
  for conn in listener:incoming() do
    async.spawn(function()
      talk(conn)
      left = left - 1
      if left == 0 then listener:close() end -- which ends the loop
    end)
  end
end)
