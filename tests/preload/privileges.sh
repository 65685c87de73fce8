#!/bin/bash
# privileges.sh LIBRARY: in a set-user-ID program the environment is the attacker's. ld.so drops
# LD_PRELOAD there; a program that is linked with the library still loads it, and must ignore HMS_*.
set -u
library=$(realpath "$1")
if [ "$(id -u)" -ne 0 ]; then
  echo "skipped: making a set-user-ID program needs root"
  exit 77
fi
work=$(mktemp -d -p /var/tmp)
trap 'rm -rf "$work"' EXIT
if grep -q nosuid <(findmnt -no OPTIONS -T "$work"); then
  echo "skipped: $work is mounted nosuid"
  exit 77
fi
cat >"$work/p.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
int main(void) {
  free(malloc(100000));
  puts(getauxval(AT_SECURE) ? "privileged" : "ordinary");
}
END
cp "$library" "$work/libhms_malloc.so"
${CC:-gcc} -o "$work/p" "$work/p.c" -Wl,--no-as-needed "$work/libhms_malloc.so" -Wl,-rpath,"$work" || exit 1
chmod 755 "$work" "$work/p" "$work/libhms_malloc.so"
mkdir -m 777 "$work/out"
run() {
  setpriv --reuid 65534 --clear-groups env HMS_CONF="nonsense rule" HMS_LOG="$work/out/$1.log" \
    HMS_LOG_LEVEL=debug HMS_STATS_DIR="$work/out" HMS_STATS_KEEP=1 "$work/p" 2>"$work/$1.err"
}
[ "$(run ordinary)" = ordinary ] || { echo "the program does not run as another user"; exit 1; }
if ! [ -s "$work/out/ordinary.log" ]; then
  echo "the ordinary run ignored its environment, so this test would show nothing"
  cat "$work/ordinary.err"
  exit 1
fi
chmod u+s "$work/p"
[ "$(run privileged)" = privileged ] || { echo "set-user-ID has no effect here"; exit 1; }
if [ -e "$work/out/privileged.log" ] || [ -s "$work/privileged.err" ]; then
  echo "a set-user-ID program obeyed HMS_*:"
  cat "$work/out/privileged.log" "$work/privileged.err"
  exit 1
fi
echo "HMS_* is obeyed in an ordinary program and ignored in a set-user-ID one"
