#!/bin/bash
# exports.sh LIBRARY: the library exports the malloc family, the operators, jemalloc's API and hms_*,
# nothing else; and it runs no constructor of C++ objects of ours, because the first malloc of a
# process comes before any.
set -u
library=$1
expected=$(sort <<END
malloc calloc realloc reallocarray free cfree posix_memalign aligned_alloc memalign valloc pvalloc
malloc_usable_size malloc_trim mallinfo mallinfo2 mallopt malloc_stats malloc_info free_sized
free_aligned_sized _exit _Exit
mallocx rallocx xallocx sallocx dallocx sdallocx nallocx mallctl mallctlnametomib mallctlbymib
malloc_stats_print
_Znwm _Znam _ZnwmSt11align_val_t _ZnamSt11align_val_t _ZnwmRKSt9nothrow_t _ZnamRKSt9nothrow_t
_ZnwmSt11align_val_tRKSt9nothrow_t _ZnamSt11align_val_tRKSt9nothrow_t
_Znwm12__hot_cold_t _Znam12__hot_cold_t _ZnwmSt11align_val_t12__hot_cold_t
_ZnamSt11align_val_t12__hot_cold_t _ZnwmRKSt9nothrow_t12__hot_cold_t _ZnamRKSt9nothrow_t12__hot_cold_t
_ZnwmSt11align_val_tRKSt9nothrow_t12__hot_cold_t _ZnamSt11align_val_tRKSt9nothrow_t12__hot_cold_t
_ZdlPv _ZdaPv _ZdlPvm _ZdaPvm _ZdlPvSt11align_val_t _ZdaPvSt11align_val_t _ZdlPvmSt11align_val_t
_ZdaPvmSt11align_val_t _ZdlPvRKSt9nothrow_t _ZdaPvRKSt9nothrow_t
_ZdlPvSt11align_val_tRKSt9nothrow_t _ZdaPvSt11align_val_tRKSt9nothrow_t
END
)
found=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -v -e '^hms_' -e '^HMS_1.0$')
difference=$(diff <(tr ' ' '\n' <<<"$expected" | grep . | sort) <(sort <<<"$found"))
if [ -n "$difference" ]; then
  echo "exports differ (< expected, > found):"
  echo "$difference"
  exit 1
fi
if nm -D --defined-only "$library" | awk '{print $3}' | grep '^hms_' | grep -v '@@HMS_1.0$'; then
  echo "the names above carry no version"
  exit 1
fi
# eh_alloc and system_error belong to the private libstdc++.
if nm -C "$library" | grep '_GLOBAL__sub_I_' | grep -v -e eh_alloc -e system_error; then
  echo "the files above have objects that are constructed at run time; make them constant-initialized"
  exit 1
fi
if readelf -d "$library" | grep NEEDED | grep -v -e 'libc\.so' -e 'libm\.so' -e 'ld-linux'; then
  echo "the libraries above would be loaded into every program"
  exit 1
fi
echo "exports are as listed; no run-time constructors; only libc is needed"
