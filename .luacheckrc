std = "lua54"
max_line_length = 110
files["spec"] = { std = "+busted" }
files["types"] = { ignore = { "212", "241" } }
exclude_files = { "build" }
