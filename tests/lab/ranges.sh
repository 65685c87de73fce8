#!/usr/bin/env bash
# topologies: ddr-cxl hbm-ddr-cxl
# hms check and hms_check() compare the range map of hms_bind with the kernel's policies: they agree, until
# a program goes behind the library's back. The auditor says where the pages are.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

case $LAB_TOPOLOGY in
  hbm-*) first=2 next=3 ;;
  *) first=1 next=0 ;;
esac
coproc program { LD_PRELOAD=$HMS_BUILD/libhms_malloc.so exec "$lab/lab_ranges" $first $next; }
# shellcheck disable=SC2154 # coproc sets it
pid=$program_PID
# ask WORD: sends it, sets reply.
ask() {
  echo "$1" >&"${program[1]}"
  read -r -t 120 reply <&"${program[0]}" || fail "$1: no answer"
}
# looked STATUS WORDS: hms check ends with this, and says this.
looked() {
  "$hms" check "$pid" | tee "$work/said"
  [ "${PIPESTATUS[0]}" = "$1" ] && grep -q "$2" "$work/said"
}

ask bind
expect "the program bound its memory ($reply)" [ "$reply" = bound ]
ask address
# shellcheck disable=SC2086 # words
printf '%s %s %s %s\n' $reply >"$work/ranges"
audit_ranges() { ranges=$work/ranges audit; }
audit_ranges
expect "the kernel has the ranges on their nodes" only_on 0 node$first
expect "and the other" only_on 1 node$next
expect "hms check agrees, with two ranges" looked 0 '2 bound ranges'
ask check
expect "so does the call ($reply)" [ "$reply" = '0 2' ]
ask betray
expect "hms check tells of another policy" looked 3 "range . asks for node $first, the kernel's policy there is for node $next"
ask check
expect "so does the call ($reply)" [ "$reply" = '1 2' ]
ask unmap
expect "memory that was mapped anew is no contradiction" looked 0 '1 bound ranges'
into=${program[1]}
exec {into}>&-
wait "$pid"
finish
