#!/bin/bash
# peers.sh DIRECTORY: runs the families of DIRECTORY (a build's tests/preload) under plain glibc and
# under libjemalloc, and prints the cases that do not hold there: those that are stricter than the
# peer, on purpose, or wrong. Not a test; for who writes a case.
set -u
directory=$1
for peer in "" "$(ldconfig -p | awk '$1 == "libjemalloc.so.2" {print $NF; exit}')"; do
  echo "under ${peer:-glibc}"
  for family in conformance operators processes threads foreign jemalloc_api hostile; do
    for case in $("$directory/preload_$family"); do
      message=$(LD_PRELOAD=$peer timeout 120 "$directory/preload_$family" "$case" 2>&1 >/dev/null)
      status=$?
      [ $status -eq 0 ] || echo "  $family $case: status $status: ${message##*$'\n'}"
    done
  done
done
