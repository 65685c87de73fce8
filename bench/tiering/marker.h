// How a program tells the counting emulator (guest/heat_plugin.c) that a phase begins: a store to
// MARKER
// + 8 * phase. Elsewhere it is a store to memory that nobody uses.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#define MARKER UINT64_C(0x680000000000)
#define MARKER_BYTES UINT64_C(4096)
#define MARKER_PHASES (MARKER_BYTES / 8)

// Once per process, before any mark. Fails (errno) if the address is taken.
static inline bool marker_map(void) {
  return mmap((void*)(uintptr_t)MARKER, MARKER_BYTES, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != MAP_FAILED;
}
// phase: 0 (not counted) to MARKER_PHASES - 1.
static inline void marker_set(unsigned phase) {
  ((volatile uint64_t*)(uintptr_t)MARKER)[phase] = 1;
}
