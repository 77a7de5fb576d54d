#!/bin/sh
# Searches all states of each model, in each of its shapes ("** shape: -D..." in its head); then of
# each of its broken variants, where an error has to be found in one of them. run.sh [MODEL...];
# needs spin, and a C compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=build/models
mkdir -p "$out"

shapes() {
  sed -n 's/^\*\* shape: //p' "$here/$1.pml"
  grep -q '^\*\* shape: ' "$here/$1.pml" || echo
}

# search MODEL SHAPE [VARIANT]: what pan says is in $log.
search() {
  dir=$out/$1$(printf %s "$2${3:+-$3}" | tr -c 'A-Za-z0-9_\n' .)
  log=$dir/log
  mkdir -p "$dir"
  (
    cd "$dir"
    # shellcheck disable=SC2086
    spin -a $2 ${3:+-D$3} "$here/$1.pml" >spin.log || { cat spin.log >&2; exit 1; }
    ${CC:-cc} "$([ -n "${3:-}" ] && echo -O0 || echo -O2)" -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c
    timeout 300 ./pan -m1000000 >log 2>&1 || { cat log >&2; exit 1; }
  )
}

errors() { sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$log"; }
states() { sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' "$log"; }

sound() { # sound MODEL
  shapes "$1" | while read -r shape; do
    search "$1" "$shape"
    if [ "$(errors)" != 0 ] || grep -q 'not completed\|too small\|reached -D' "$log"; then
      cat "$log" >&2
      echo "$1 $shape: an error, or not all states; see spin -t -p in $dir" >&2
      exit 1
    fi
    echo "$1${shape:+ $shape}: no error in $(states) states"
  done
}

found() { # found MODEL VARIANT
  shapes "$1" | while read -r shape; do
    search "$1" "$shape" "$2"
    [ "$(errors)" = 1 ] || continue
    sed -n "s/^pan:[0-9]*: \(.*\) (at depth.*/  $2: \1/p" "$log"
    exit 9
  done && { echo "$1: $2 is not found" >&2; return 1; } || [ $? = 9 ]
}

for model in ${*:-$(cd "$here" && ls ./*.pml)}; do
  model=$(basename "$model" .pml)
  sound "$model"
  for variant in $(grep -o 'BROKEN_[A-Z_]*' "$here/$model.pml" | sort -u); do
    found "$model" "$variant"
  done
done
