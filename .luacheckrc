std = "lua54"
max_line_length = 110
-- A spec may set a name only to see that it is set, and shadow what it tests in turn.
files["spec"] = { std = "+busted", max_line_length = 120, globals = { "_" }, ignore = { "311", "421", "431", "213", "211", "432", "231", "423" } }
files["types"] = { ignore = { "212", "241" } }
exclude_files = { "build" }
