// A plugin for QEMU (TCG) that counts which physical memory the programs on one processor of a
// guest access: the truth about hit ratios, whatever the allocator or the kernel inside believes.
//
// Counted are the loads and stores of instructions in the lower half of the address space
// (programs, not the kernel) on one virtual processor, if a modelled last-level cache lets them
// through, and only in phases above 0. A program on any processor changes the phase by a store to
// MARKER + 8 * phase (mark.c). Every phase's counts, by 2 MiB of physical memory, are written when
// it ends, and within a phase after each window of so many accesses.
//
// At the end it writes what the best set of pages would have had (nothing may have moved for that),
// and the best set of 2 MiB of the program's addresses.
//
// The declarations below are those of version 1 of QEMU's plugin interface
// (docs/devel/tcg-plugins.rst of QEMU 7.2); Debian's package has no header.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/tiering/cache_model.h"
#include "bench/tiering/marker.h"

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
typedef struct {
  const char* target_name;
  struct {
    int min, cur;
  } version;
  bool system_emulation;
  struct {
    int smp_vcpus, max_vcpus;
  } system;
} qemu_info_t;
enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_MEM_RW = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                           void (*)(qemu_plugin_id_t, struct qemu_plugin_tb*));
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void*), void*);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn*);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn*,
                                      void (*)(unsigned, qemu_plugin_meminfo_t, uint64_t, void*),
                                      int, int, void*);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t);
struct qemu_plugin_hwaddr* qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t, uint64_t);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr*);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr*);

EXPORT int qemu_plugin_version = 1;

#define LOWER_HALF (UINT64_C(1) << 47)
#define FRAME_SHIFT 21
#define FRAMES (UINT64_C(1) << 17) /* 256 GiB of physical addresses */
#define PAGE_SHIFT 12
#define PAGES (FRAMES << (FRAME_SHIFT - PAGE_SHIFT))
#define UNITS (LOWER_HALF >> FRAME_SHIFT)

static FILE* out;
static unsigned watched = 1;
static unsigned phase;
static _Atomic unsigned wanted; /* the phase that comes with the next access */
static struct cache_model cache;
static uint64_t all,
    beyond; /* accesses of this phase; those that no cache held and no frame fits */
static uint64_t (*counts)[2];
static uint64_t window; /* accesses of a window; 0: a phase is one */
/* Of all phases. Most of these tables is never touched. */
static uint32_t *of_page, *of_unit;

static void finish_window(void) {
  if (phase != 0 && all != 0) {
    fprintf(out, "phase %u accesses %llu outside %llu\n", phase, (unsigned long long)all,
            (unsigned long long)beyond);
    for (uint64_t frame = 0; frame < FRAMES; ++frame) {
      if (counts[frame][0] + counts[frame][1] == 0) continue;
      fprintf(out, "frame %llu %llu %llu\n", (unsigned long long)frame,
              (unsigned long long)counts[frame][0], (unsigned long long)counts[frame][1]);
    }
    fflush(out);
  }
  memset(counts, 0, FRAMES * sizeof *counts);
  all = beyond = 0;
}

static int hotter(const void* a, const void* b) {
  uint32_t left = *(const uint32_t*)a, right = *(const uint32_t*)b;
  return left < right ? 1 : left > right ? -1 : 0;
}

/* After each 2 MiB of the hottest, what all of them so far had. */
static void write_best(const char* name, uint32_t* table, uint64_t entries, uint64_t per_step) {
  uint64_t used = 0, sum = 0;
  for (uint64_t i = 0; i < entries; ++i)
    if (table[i] != 0) table[used++] = table[i];
  qsort(table, used, sizeof *table, hotter);
  for (uint64_t i = 0; i < used; ++i) {
    sum += table[i];
    if ((i + 1) % per_step == 0 || i + 1 == used)
      fprintf(out, "best %s %llu %llu\n", name, (unsigned long long)(i / per_step + 1),
              (unsigned long long)sum);
  }
}

static void on_access(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void* unused) {
  (void)unused;
  if (address >= LOWER_HALF) return;
  bool store = qemu_plugin_mem_is_store(info);
  if (address - MARKER < MARKER_BYTES) {
    if (store) wanted = (unsigned)((address - MARKER) / 8);
    return;
  }
  if (cpu != watched) return;
  unsigned now = wanted;
  if (now != phase) {
    finish_window();
    phase = now;
  }
  if (phase == 0) return;
  if (all == window && window != 0) finish_window();
  struct qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
  if (!where || qemu_plugin_hwaddr_is_io(where)) return;
  uint64_t physical = qemu_plugin_hwaddr_phys_addr(where);
  ++all;
  if (cache_hit(&cache, physical >> CACHE_LINE_SHIFT)) return;
  uint64_t frame = physical >> FRAME_SHIFT;
  if (frame >= FRAMES) {
    ++beyond;
    return;
  }
  ++counts[frame][store];
  ++of_page[physical >> PAGE_SHIFT];
  ++of_unit[address >> FRAME_SHIFT];
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  (void)id;
  size_t count = qemu_plugin_tb_n_insns(block);
  for (size_t i = 0; i < count; ++i) {
    struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
    if (qemu_plugin_insn_vaddr(instruction) >= LOWER_HALF) continue;
    qemu_plugin_register_vcpu_mem_cb(instruction, on_access, QEMU_PLUGIN_CB_NO_REGS,
                                     QEMU_PLUGIN_MEM_RW, NULL);
  }
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void* unused) {
  (void)id, (void)unused;
  finish_window();
  write_best("page", of_page, PAGES, 1 << (FRAME_SHIFT - PAGE_SHIFT));
  write_best("unit", of_unit, UNITS, 1);
  fclose(out);
}

static int refuse(const char* why, const char* what) {
  fprintf(
      stderr,
      "heat_plugin: %s '%s' (out=FILE[,cpu=N][,window=ACCESSES][,cache=BYTES, a power of two])\n",
      why, what);
  return 1;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                               char** argv) {
  if (!info->system_emulation) return refuse("only for system emulation, not", info->target_name);
  uint64_t cache_bytes = 2 << 20;
  for (int i = 0; i < argc; ++i) {
    if (strncmp(argv[i], "out=", 4) == 0) {
      if (out) fclose(out);
      out = fopen(argv[i] + 4, "w");
      if (!out) return refuse("cannot write to", argv[i] + 4);
    } else if (strncmp(argv[i], "cpu=", 4) == 0) {
      watched = (unsigned)strtoul(argv[i] + 4, NULL, 10);
    } else if (strncmp(argv[i], "window=", 7) == 0) {
      window = strtoull(argv[i] + 7, NULL, 10);
    } else if (strncmp(argv[i], "cache=", 6) == 0) {
      cache_bytes = strtoull(argv[i] + 6, NULL, 10);
    } else {
      return refuse("unknown option", argv[i]);
    }
  }
  if (!out) return refuse("missing option", "out");
  cache.sets = cache_sets(cache_bytes);
  if (cache.sets & (cache.sets - 1)) return refuse("not a power of two:", "cache");
  counts = calloc(FRAMES, sizeof *counts);
  cache.tags = calloc(cache.sets * CACHE_WAYS + 1, sizeof *cache.tags);
  of_page = calloc(PAGES, sizeof *of_page);
  of_unit = calloc(UNITS, sizeof *of_unit);
  if (!counts || !cache.tags || !of_page || !of_unit) return refuse("no memory for", "counts");
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
  return 0;
}
