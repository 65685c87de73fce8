#!/bin/bash
# static.sh LIBRARY: a statically linked program cannot load the library, and is unaffected.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { free(malloc(9)); puts("static"); }\n' >"$work/p.c"
if ! ${CC:-gcc} -static -o "$work/p" "$work/p.c" 2>/dev/null; then
  echo "skipped: no static C library"
  exit 77
fi
output=$(LD_PRELOAD=$1 "$work/p" 2>&1)
[ "$output" = static ] || { echo "unexpected: $output"; exit 1; }
echo "a static program runs as ever"
