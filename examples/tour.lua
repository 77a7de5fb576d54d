-- tour: what `make run` shows. lua5.4 examples/tour.lua
--
-- First how tasks interleave. Then real work: a TCP server on loopback, and a hundred
-- clients at once that send it the files of this repository, line by line, and check every
-- answer byte for byte. Ends with status 0 only if all of them were right.
local here = arg[0]:gsub("[^/]*$", "")
package.cpath = ("%s;%s../build/?.so"):format(package.cpath, here)

local async = require "lua_async"
local fs, net = async.fs, async.net

local CLIENTS, ROUND_TRIPS = 100, 50000 -- at least that many; the files go round until then
local root = here .. ".."
local env_term = os.getenv("TERM")
local terminal = env_term and env_term ~= "dumb" and os.execute("test -t 1")
io.stdout:setvbuf(terminal and "no" or "line")

-- ---- 1: tasks ----------------------------------------------------------------------------

local function interleave()
  local start = async.now()
  local function say(text, ...)
    print(("  %3.0f ms  " .. text):format((async.now() - start) * 1000, ...))
  end
  local function cook(dish, ...)
    for _, step in ipairs { ... } do
      say("%-5s %s", dish, step[1])
      async.sleep(step[2]) -- suspends this task; the others go on
    end
    return dish
  end
  print "Three tasks, one thread:"
  local soup = async.spawn(cook, "soup", { "chop", 0.03 }, { "boil", 0.08 })
  local bread = async.spawn(cook, "bread", { "knead", 0.05 }, { "bake", 0.10 })
  local tea = async.spawn(cook, "tea", { "brew", 60 })
  say("spawned; none of them has begun")
  say("%s is ready", soup:await())
  local _, err = async.timeout(0.02, tea) -- gives up waiting, not the tea itself
  say("tea: %s", err)
  tea:cancel() -- raises an error at its await, which unwinds it
  say("tea: %s", select(2, pcall(tea.await, tea)))
  say("%s is ready", bread:await())
end

-- ---- 2: a server and its clients ----------------------------------------------------------

local total = { lines = 0, bytes = 0, files = 0, open = 0, peak = 0, expected = 0 }

local function serve(listener)
  for accepted in listener:incoming() do
    async.spawn(function()
      local conn <close> = accepted
      total.open = total.open + 1
      total.peak = math.max(total.peak, total.open)
      repeat
        local data = conn:read(65536)
      until not data or not conn:write(data)
      total.open = total.open - 1
    end)
  end
end

-- What the repository has; without git, all that is in its folder.
local function list_files()
  local git = io.popen("git -C '" .. root:gsub("'", "'\\''") .. "' ls-files -z 2>/dev/null")
  local names = {}
  for name in (git and git:read("a") or ""):gmatch("[^\0]+") do names[#names + 1] = name end
  if git then git:close() end
  return names
end

local function walk(folder, prefix, names)
  for name, kind in assert(fs.dir(folder)) do
    if kind == "directory" and name ~= ".git" and name ~= "build" then
      walk(folder .. "/" .. name, prefix .. name .. "/", names)
    elseif kind == "file" then
      names[#names + 1] = prefix .. name
    end
  end
  return names
end

-- The files with their number of lines; those that cannot be read are left out.
local function measure(names)
  local tasks, files, lines = {}, {}, 0
  for i, name in ipairs(names) do tasks[i] = async.spawn(fs.read_file, root .. "/" .. name) end
  for i, name in ipairs(names) do
    local text = tasks[i]:await()
    if text then
      files[#files + 1] = name
      lines = lines + select(2, text:gsub("\n", "")) + (text:find("[^\n]$") and 1 or 0)
    end
  end
  return files, lines
end

local function send_file(conn, name)
  local text, number = assert(fs.read_file(root .. "/" .. name)), 0
  for line in text:gmatch("[^\n]*\n?") do
    if line == "" then break end
    number = number + 1
    assert(conn:write(line))
    local answer = assert(conn:read_exact(#line))
    if answer ~= line then error(("%s:%d: the answer is not what was sent"):format(name, number), 0) end
    total.lines, total.bytes = total.lines + 1, total.bytes + #line
  end
  total.files = total.files + 1
end

-- Takes file after file from the iterator that all clients share.
local function client(port, next_file)
  local conn <close> = assert(net.connect("127.0.0.1", port))
  for name in next_file do send_file(conn, name) end
end

local function progress()
  local said = -1
  while true do
    local part = math.min(1, total.lines / total.expected)
    local line = ("%3d %%  %d lines, %.1f MB, %d connections"):format(
      part * 100 // 1, total.lines, total.bytes / 1e6, total.open)
    if terminal then
      local bar = ("#"):rep(part * 30 // 1)
      io.write("\r  [", bar, (" "):rep(30 - #bar), "] ", line, "\27[K")
    elseif part * 4 // 1 > said then
      said = part * 4 // 1
      print("  " .. line)
    end
    async.sleep(terminal and 0.05 or 0.01)
  end
end

local function exchange(names)
  if #names == 0 then walk(root, "", names) end
  local files, lines = measure(names)
  local rounds = math.max(1, math.ceil(ROUND_TRIPS / math.max(lines, 1)))
  local sent = 0
  local function next_file()
    if sent == rounds * #files then return nil end
    sent = sent + 1
    return files[(sent - 1) % #files + 1]
  end
  total.expected = lines * rounds
  print(("%d clients send a server %d files, %d lines, %s, and check every answer:"):format(
    CLIENTS, #files, lines, rounds == 1 and "once" or rounds .. " times"))

  local listener <close> = assert(net.listen("127.0.0.1", 0))
  local _, port = listener:address()
  local start, clients = async.now(), {}
  async.spawn(serve, listener)
  local shown = async.spawn(progress)
  for i = 1, CLIENTS do clients[i] = async.spawn(pcall, client, port, next_file) end
  for i = 1, CLIENTS do
    local fine, err = clients[i]:await()
    if not fine then error(err, 0) end -- one is enough; the others are cancelled as the run ends
  end
  shown:cancel()
  if terminal then io.write("\r\27[K") end
  assert(#files > 0 and total.files == rounds * #files, "some files were not sent")
  return async.now() - start
end

local names = list_files()
local ok, err = pcall(async.run, function()
  interleave()
  local seconds = assert(async.timeout(120, exchange, names))
  print(("ok: %d lines and %.1f MB echoed to %d connections in %.1f s, every byte as it was sent"):format(
    total.lines, total.bytes / 1e6, total.peak, seconds))
end)
if not ok then io.stderr:write("\ntour failed: ", tostring(err), "\n") end
os.exit(ok, true)
