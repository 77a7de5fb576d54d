-- busted on whichever interpreter runs this file (Debian's `busted` starts Lua 5.1).
require "busted.runner" { standalone = false }
