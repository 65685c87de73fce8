#!/usr/bin/env bash
# OpenMP spaces, traits and routines (newer: those of 6.0) on real nodes: every compiler's programs; the
# placement cases ask the kernel for each page (move_pages), by code that shares nothing with the library.
# topologies: hbm-ddr-cxl
# boot: -t 1500
. "$(dirname "$0")/lib.sh"

programs=$HMS_BUILD/tests/openmp
[ -f "$HMS_BUILD/libhms_omp.so" ] && [ -d "$programs" ] || {
  echo "skipped: this build has no OpenMP door (HMS_BUILD_OPENMP)"
  exit 77
}
export HMS_TEST_MACHINE=$LAB_TOPOLOGY
suite() {
  local program=$1 name
  name=$(basename "$program")
  LD_PRELOAD=$HMS_BUILD/libhms_omp.so "$program" >"$work/$name.out" 2>"$work/$name.err"
  local status=$?
  sed "s/^/  $name: /" "$work/$name.out"
  if [ $status = 0 ] && ! grep -q '^FAIL' "$work/$name.out"; then
    pass "$name: $(grep -c '^ok' "$work/$name.out") cases"
  else
    cat "$work/$name.err"
    fail "$name"
  fi
}
for compiler in gcc clang14 clang16 clang19 gfortran; do
  for program in "$programs"/{placement,newer,traits,access,routines,directives,target,abi,cxx,fortran,fortran8}."$compiler"; do
    [ ! -x "$program" ] || suite "$program"
  done
done
# The default path: hms run, a space given by name, and OMP_ALLOCATOR.
expect "hms run --omp takes spaces" env OMP_ALLOCATOR=mine:fallback=null_fb \
  "$hms" run --omp --space 'mine=node:3' -- "$programs/directives.gcc" private_and_firstprivate
finish
