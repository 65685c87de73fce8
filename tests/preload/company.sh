#!/bin/bash
# company.sh LIBRARY: the library next to other allocators and sanitizers. Either the program works
# and memory is placed, or the library says in one line that it stays passive, and the program works.
set -u
library=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

cat >"$work/p.c" <<'END'
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
  for (int i = 1; i < 3000; i++) {
    char* p = malloc(i);
    memset(p, 1, i);
    p = realloc(p, 2 * i);
    free(p);
    void* q = aligned_alloc(64, 128);
    if (q == NULL || malloc_usable_size(q) < 128) return 1;
    free(q);
    if (posix_memalign(&q, 4096, 100) != 0) return 1;
    free(q);
    free(strdup("text"));
    free(calloc(3, i));
  }
  puts("works");
}
END

# check NAME EXPECTED_NOTE COMMAND..: prints "works", and on stderr the note once ("" for silence).
check() {
  local name=$1 note=$2 output lines
  shift 2
  output=$(timeout 60 "$@" 2>"$work/err")
  local status=$?
  lines=$(grep -c '^libhms' "$work/err")
  if [ "$status" -ne 0 ] || [ "$output" != works ]; then
    echo "FAILED $name: status $status, output '$output'"
    head -5 "$work/err"
    failures=$((failures + 1))
  elif [ -z "$note" ] && [ "$lines" -ne 0 ]; then
    echo "FAILED $name: says something"
    head -5 "$work/err"
    failures=$((failures + 1))
  elif [ -n "$note" ] && { [ "$lines" -ne 1 ] || ! grep -q "$note" "$work/err"; }; then
    echo "FAILED $name: expected one line with '$note', got:"
    head -5 "$work/err"
    failures=$((failures + 1))
  else
    echo "ok $name"
  fi
}

cc=${CC:-gcc}
$cc -O1 -fno-builtin -o "$work/plain" "$work/p.c" || exit 1
check "alone" "" env LD_PRELOAD="$library" "$work/plain"

# A program that is no PIE and takes malloc's address: its own jump to malloc looks like another one.
printf '#include <stdlib.h>\nvoid* (*volatile f)(size_t) = malloc;\n#include "p.c"\n' >"$work/np.c"
$cc -O1 -fno-builtin -fno-pie -no-pie -I"$work" -o "$work/nopie" "$work/np.c" &&
  check "no PIE" "" env LD_PRELOAD="$library" "$work/nopie"

# An allocator in the program itself: forwards to glibc's internals, and misses half of the family.
cat >"$work/own.c" <<'END'
#include <stddef.h>
void* __libc_malloc(size_t);
void __libc_free(void*);
void* malloc(size_t n) { return __libc_malloc(n); }
void free(void* p) { __libc_free(p); }
#include "p.c"
END
$cc -O1 -fno-builtin -rdynamic -I"$work" -o "$work/own" "$work/own.c" &&
  check "program with its own malloc" "stays passive" env LD_PRELOAD="$library" "$work/own"

for other in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
  path=$(ldconfig -p | awk -v l="$other" '$1 == l {print $NF; exit}')
  if [ -z "$path" ]; then
    echo "skipped $other: not installed"
    continue
  fi
  check "before $other" "" env LD_PRELOAD="$library $path" "$work/plain"
  check "behind $other" "stays passive" env LD_PRELOAD="$path $library" "$work/plain"
  $cc -O1 -fno-builtin -o "$work/linked" "$work/p.c" -Wl,--no-as-needed "$path" &&
    check "program linked with $other" "" env LD_PRELOAD="$library" "$work/linked"
done

for sanitizer in address thread undefined leak; do
  note="stays passive"
  [ "$sanitizer" = undefined ] && note=""
  if $cc -O1 -fno-builtin -fsanitize=$sanitizer -o "$work/$sanitizer" "$work/p.c" 2>/dev/null; then
    runtime=$($cc -print-file-name=lib${sanitizer:0:1}san.so)
    check "gcc -fsanitize=$sanitizer, its runtime first" "$note" env ASAN_OPTIONS=detect_leaks=0 \
      LSAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$(realpath "$runtime") $library" "$work/$sanitizer"
    check "gcc -fsanitize=$sanitizer, libhms first" "$note" env \
      ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 LSAN_OPTIONS=detect_leaks=0 \
      LD_PRELOAD="$library" "$work/$sanitizer"
  else
    echo "skipped gcc -fsanitize=$sanitizer: cannot be linked here"
  fi
  if command -v clang >/dev/null && [ "$sanitizer" != leak ] &&
    clang -O1 -fno-builtin -fsanitize=$sanitizer -o "$work/c$sanitizer" "$work/p.c" 2>/dev/null; then
    check "clang -fsanitize=$sanitizer" "$note" env ASAN_OPTIONS=detect_leaks=0 \
      LD_PRELOAD="$library" "$work/c$sanitizer"
  fi
done
exit $((failures > 0))
