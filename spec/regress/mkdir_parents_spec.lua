-- fs.mkdir with `parents`, against others that make and remove the same folders, and under masks
-- that take the owner's own permissions.
local async = require "lua_async"
local support = require "spec.support"
local fs = async.fs

describe("fs.mkdir with parents", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(function()
    os.execute("chmod -R u+rwx '" .. dir .. "'")
    support.clean()
  end)

  it("makes the folder or says ENOENT while another removes it, never EEXIST", function()
    support.run(function()
      local top, codes, made, going = dir .. "/a", {}, 0, true
      async.scope(function(s)
        local makers = {}
        for i = 1, 3 do
          makers[i] = s:spawn(function()
            for _ = 1, 3000 do
              local ok, err = fs.mkdir(top .. "/b/c", { parents = true })
              if ok then made = made + 1 else codes[err.code] = (codes[err.code] or 0) + 1 end
            end
          end)
        end
        s:spawn(function() while going do fs.remove(top, { recursive = true }) end end)
        for i = 1, 3 do makers[i]:await() end
        going = false
      end)
      codes.ENOENT = nil
      assert.same({}, codes)
      assert.is_true(made > 0)
    end)
  end)

  it("says EEXIST or ENOTDIR for what is no folder, dangling links too", function()
    support.run(function()
      assert(fs.write_file(dir .. "/file", ""))
      assert(fs.symlink("nowhere", dir .. "/dangling"))
      assert(fs.symlink("real", dir .. "/link"))
      assert(fs.mkdir(dir .. "/real"))
      for path, code in pairs {
        ["file"] = "EEXIST", ["file/a"] = "ENOTDIR", ["file/a/b"] = "ENOTDIR",
        ["dangling"] = "EEXIST", ["dangling/a/b"] = "ENOENT",
      } do
        local ok, err = fs.mkdir(dir .. "/" .. path, { parents = true })
        assert.is_nil(ok, path)
        assert.equal(code, err.code, path)
      end
      assert(fs.mkdir(dir .. "/link/a//b/", { parents = true }))
      assert(fs.mkdir(dir .. "/link/", { parents = true }))
      assert(fs.mkdir(dir .. "/real/a/./../a/b", { parents = true }))
      assert.equal("directory", fs.stat(dir .. "/real/a/b").type)
    end)
  end)

  -- A program's file, its last argument, is its owner's alone until then.
  local READABLE = [[sh -c 'for f; do :; done; chmod 644 "$f"; umask %s; exec %s "$@"' sh]]

  -- Not as root, who may go everywhere.
  local function modes(mask, mkdir)
    local path = dir .. "/" .. mask
    os.execute(("mkdir -m 777 '%s' && chmod 755 '%s'"):format(path, dir))
    local user = support.sys.root() and "setpriv --reuid=65534 --regid=65534 --clear-groups" or ""
    local text = mkdir(path, user)
    local list <close> = assert(io.popen(("find '%s' -mindepth 1 -type d -printf '%%m %%P\n' | sort -k2"):format(path)))
    return list:read("a"), text
  end

  for _, mask in ipairs { "0300", "0077", "0777", "0022" } do
    it("gives its intermediate folders what `mkdir -p` gives them under umask " .. mask .. " #process", function()
      local expected = modes(mask, function(path, user)
        os.execute(("umask %s; %s mkdir -p '%s/m/n/o'"):format(mask, user, path))
        os.execute(("mv '%s' '%s.mkdir'; mkdir -m 777 '%s'"):format(path, path, path))
        os.execute(("rmdir '%s'; mv '%s.mkdir' '%s'"):format(path, path, path))
      end)
      os.execute(("chmod -R u+rwx '%s/%s'; rm -rf '%s/%s'"):format(dir, mask, dir, mask))
      local got, text = modes(mask, function(path, user)
        return support.child(([[
          print(async.run(async.fs.mkdir, %q, { parents = true }))
        ]]):format(path .. "/m/n/o"), { under = READABLE:format(mask, user) })
      end)
      assert.is_truthy(expected:find("m/n/o", 1, true))
      assert.equal(expected, got, text)
    end)
  end
end)
