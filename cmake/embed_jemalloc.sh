#!/bin/sh
# embed_jemalloc.sh ARCHIVE OUTPUT: makes one relocatable object out of jemalloc's static library, in
# which only hmsje_* names are global.
set -eu
archive=$1
output=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && ar x "$archive" && rm -f jemalloc_cpp*.o)
names="aligned_alloc calloc dallocx free mallctl mallctlbymib mallctlnametomib malloc malloc_conf
malloc_conf_2_conf_harder malloc_message malloc_stats_print malloc_usable_size mallocx memalign
nallocx posix_memalign rallocx realloc sallocx sdallocx valloc xallocx"
for n in $names; do
  echo "$n hmsje_$n" >>"$work/rename"
  echo "hmsje_$n" >>"$work/keep"
done
# jemalloc 5.3.0 reads this option from no configuration string, although the manual says so: weak,
# so that the allocator's own definition takes its place.
echo "je_opt_cache_oblivious hmsje_opt_cache_oblivious" >>"$work/rename"
echo hmsje_opt_cache_oblivious >>"$work/keep"
# Its mmap() and munmap() are ours, for the one refusal that it does not bear: jemalloc_start.cc.
printf '%s\n' "mmap hmsje_mmap" "munmap hmsje_munmap" >>"$work/rename"
# Functions behind mallctl that the allocator calls itself (allocator/jemalloc.h says why).
for n in arena_decay arena_init arena_retain_grow_limit_get_set arenas narenas_total_get tsd_tls; do
  echo "je_$n hmsje_$n" >>"$work/rename"
  echo "hmsje_$n" >>"$work/keep"
done
# Code that every process runs lies together, apart from what few ever run (controls, profiles, the
# printing of statistics): the kernel maps 64 KiB around each page of code that is touched. Of ctl its
# end is run, so the rest follows that.
seldom="buf_writer ckh hpdata inspect log prof_data prof_log prof_recent prof_stats prof_sys sec ctl"
apart=""
for n in $seldom; do
  mv "$work/$n.pic.o" "$work/$n.seldom"
  apart="$apart $work/$n.seldom"
done
for f in "$work"/*.o $apart; do
  objcopy --rename-section .text.unlikely=.text.seldom "$f"
done
# shellcheck disable=SC2086 # a list of files
ld -r -o "$work/all.o" $apart "$work"/*.o
# First rename, then localize: objcopy applies --keep-global-symbols to the old names otherwise.
objcopy --redefine-syms="$work/rename" "$work/all.o" "$work/renamed.o"
objcopy --keep-global-symbols="$work/keep" "$work/renamed.o" "$work/local.o"
objcopy --weaken-symbol=hmsje_opt_cache_oblivious "$work/local.o" "$output"
if nm -g --defined-only "$output" | grep -v ' hmsje_' | grep -v ' DW\.ref\.'; then
  echo "embed_jemalloc.sh: names above would leak" >&2
  exit 1
fi
