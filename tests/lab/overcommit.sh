#!/usr/bin/env bash
# topologies: ddr1
# overcommit_memory=2: the kernel promises no more memory than it has, and large reservations with
# access rights fail. The library must start, serve, and answer ENOMEM when the promise is used up.
# Sets a kernel control, so only ever in the guest (lib.sh refuses elsewhere).
# shellcheck source=tests/lab/lib.sh
source "$(dirname "$0")/lib.sh"

library=$HMS_BUILD/libhms_malloc.so
tests=$HMS_BUILD/tests/preload
echo 2 >/proc/sys/vm/overcommit_memory
echo 80 >/proc/sys/vm/overcommit_ratio
expect "the control is set" grep -qx 2 /proc/sys/vm/overcommit_memory

for conf in "" "tiers fast=64M,slow=512M; size>=4096:slow; fast>slow"; do
  what=${conf:+under rules}
  what=${what:-without rules}
  for case in malloc_alignment realloc_contents calloc_zero aligned_family too_large trim; do
    expect "$case $what" env HMS_CONF="$conf" LD_PRELOAD="$library" "$tests/preload_conformance" $case
  done
  expect "threads $what" env HMS_CONF="$conf" LD_PRELOAD="$library" "$tests/preload_threads" thread_exit
  expect "fork $what" env HMS_CONF="$conf" LD_PRELOAD="$library" "$tests/preload_processes" fork_handlers
  # More than the machine may promise: an error, and everything works afterwards.
  expect "python3 $what" env HMS_CONF="$conf" LD_PRELOAD="$library" python3 -c '
try:
    block = bytearray(64 << 30)
    raise SystemExit("64 GiB were promised")
except MemoryError:
    pass
blocks = [bytes(1000 + i) for i in range(20000)]
print(sum(map(len, blocks)))'
done
finish
