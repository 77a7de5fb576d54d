#!/bin/sh
# Builds the floors and runs the benchmarks: run.sh [--markdown] [PATTERN]. About five minutes.
set -eu
out=build/bench
mkdir -p $out
lua=$(pkg-config --cflags --libs lua5.4 2>/dev/null || pkg-config --cflags --libs lua)
# shellcheck disable=SC2086
${CC:-cc} -O2 -o $out/floor bench/c/floor.c $lua
${CC:-cc} -O2 -o $out/echo bench/c/echo.c
${CC:-cc} -O2 -o $out/udp bench/c/udp.c
${CC:-cc} -O2 -o $out/proxy bench/c/proxy.c
${CC:-cc} -O2 -o $out/load bench/c/load.c
uv=$(pkg-config --cflags --libs libuv)
# shellcheck disable=SC2086
${CC:-cc} -O2 -o $out/work bench/c/work.c $uv
export LUA_CPATH="$PWD/build/?.so;;" LUA_PATH="$PWD/bench/?.lua;;"
exec lua5.4 bench/run.lua "$@"
