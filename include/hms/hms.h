/*
 * hms.h - the C interface of libhms, the user-space Heterogeneous Memory System. ABI version
 * HMS_1.0.
 *
 * The model in five lines:
 *   A *target* is a memory (DRAM, HBM, CXL, device memory). An *initiator* accesses memory (a group
 * of CPUs, a GPU, a NIC). A *link* says that each of its initiators reaches each of its targets at
 * one cost; a *bridge* joins two links, one way. A *placement* is an ordered list of targets with a
 * way to spread over them. Memory is put on a placement when it is allocated (hms_malloc), or later
 * by range (hms_bind, hms_migrate).
 *
 * Conventions: functions return HMS_OK or an hms_status, never set errno unless said, never print,
 * never exit. Sizes are bytes, bandwidths bytes/s, latencies ns. Functions are thread-safe unless
 * said otherwise. Structures that the caller passes start with `size`, which the caller sets to
 * sizeof(the structure): later versions may append fields and will accept the older size.
 */
#ifndef HMS_HMS_H
#define HMS_HMS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HMS_VERSION_MAJOR 1
#define HMS_VERSION_MINOR 0
#define HMS_VERSION_PATCH 0

#if defined(HMS_BUILDING)
#define HMS_API __attribute__((visibility("default")))
#else
#define HMS_API
#endif

/* ---- Status ------------------------------------------------------------------------------------
 */

typedef enum hms_status {
  HMS_OK = 0,
  HMS_EINVAL = 1,   /* an argument is wrong; nothing was done */
  HMS_ENOMEM = 2,   /* no room on the targets asked for */
  HMS_ENODEV = 3,   /* no such target or initiator (any more) */
  HMS_EPERM = 4,    /* the kernel or a filter forbids the call */
  HMS_ENOSYS = 5,   /* the kernel or the target cannot do it */
  HMS_EIO = 6,      /* a source cannot be read, or is malformed */
  HMS_EPARTIAL = 7, /* done in part; the result structure says which part */
  HMS_ECANCELED = 8 /* not run, because another operation of the same batch was rejected */
} hms_status;

/* Static text for a status, in English; never NULL. */
HMS_API const char* hms_strerror(hms_status status);
/* The message of this thread's last failed call: names the input and the way out. Owned by the
 * library, valid until this thread's next libhms call; "" if there was none. */
HMS_API const char* hms_last_error(void);
/* Version of the library that runs, HMS_VERSION_MAJOR * 10000 + MINOR * 100 + PATCH. */
HMS_API int hms_version(void);

/* ---- Topology ----------------------------------------------------------------------------------
 */

typedef struct hms_topology hms_topology;
typedef uint32_t hms_id; /* session id over all object types, never reused; 0 is no object */

typedef enum hms_object {
  HMS_TARGET = 1,
  HMS_INITIATOR = 2,
  HMS_LINK = 3,
  HMS_BRIDGE = 4
} hms_object;

/* Capabilities of a target. */
#define HMS_CAP_CPU_ACCESSIBLE 0x01u
#define HMS_CAP_COHERENT 0x02u
#define HMS_CAP_PERSISTENT 0x04u
#define HMS_CAP_ATOMICS 0x08u
#define HMS_CAP_VOLATILE 0x10u
/* Bits at and above this value are must-understand when a target sets them so. */
#define HMS_CAP_NOT_CPU_ACCESSIBLE 0x10000u /* hides device-only memory from default queries */
#define HMS_CAP_SPECIAL_PURPOSE 0x20000u    /* reserved by firmware for who asks by name */

typedef enum hms_kind {
  HMS_KIND_UNKNOWN = 0,
  HMS_KIND_DRAM = 1,
  HMS_KIND_HBM = 2,
  HMS_KIND_CXL = 3,
  HMS_KIND_PMEM = 4,
  HMS_KIND_DEVICE = 5
} hms_kind;

/* Where a number comes from. */
typedef enum hms_provenance {
  HMS_FROM_NOWHERE = 0, /* the number is not known */
  HMS_FROM_ASSUMED = 1,
  HMS_FROM_SLIT = 2,
  HMS_FROM_PCI_LINK = 3,
  HMS_FROM_DRIVER = 4,
  HMS_FROM_HWLOC = 5,
  HMS_FROM_HMAT = 6,
  HMS_FROM_DECLARED = 7,
  HMS_FROM_MEASURED = 8
} hms_provenance;

typedef struct hms_target_info {
  size_t size;
  hms_id id;
  hms_kind kind;
  const char* key;   /* stable, e.g. "node:2"; owned by the topology */
  const char* label; /* for people; owned by the topology */
  uint64_t bytes;
  uint64_t free_bytes; /* when the topology was loaded */
  uint32_t capabilities;
  uint32_t must_understand;
  int node; /* OS node, -1 if it is none */
  int emulated;
} hms_target_info;

typedef struct hms_initiator_info {
  size_t size;
  hms_id id;
  int kind; /* 0 CPU, 1 GPU, 2 NIC, 3 generic */
  const char* key;
  const char* label;
  int node;
} hms_initiator_info;

typedef struct hms_cost {
  size_t size;
  double bandwidth; /* bytes/s; 0 when unknown */
  double latency;   /* ns; 0 when unknown */
  hms_provenance bandwidth_from;
  hms_provenance latency_from;
  uint32_t capabilities;
  int reachable;
} hms_cost;

typedef struct hms_link_info {
  size_t size;
  hms_id id;
  const char* key;
  const hms_id* initiators; /* owned by the topology */
  size_t initiator_count;
  const hms_id* targets;
  size_t target_count;
  double bandwidth, latency; /* 0: unknown */
} hms_link_info;

typedef struct hms_bridge_info {
  size_t size;
  hms_id id;
  const char* key;
  hms_id from_link, to_link;
  const hms_id* initiators;
  size_t initiator_count;
  double bandwidth, latency;
} hms_bridge_info;

/* Loads a topology. `source`: NULL or "live", "xml:FILE", "synthetic:SPEC", "tiers:SPEC"; NULL also
 * honours $HMS_TOPOLOGY. The result is the caller's, freed by hms_topology_free. */
HMS_API hms_status hms_topology_load(const char* source, hms_topology** out);
HMS_API void hms_topology_free(hms_topology* topology);
/* Reads the sources again. Objects that are still there keep their ids; ids of those that went stay
 * dead. Not to be called while another thread uses `topology`: pointers from *_info calls become
 * invalid. */
HMS_API hms_status hms_topology_rescan(hms_topology* topology);
/* Grows by one with every rescan that changed something. */
HMS_API uint64_t hms_topology_generation(const hms_topology* topology);
HMS_API size_t hms_topology_count(const hms_topology* topology, hms_object type);
/* The id at `index` < hms_topology_count, else 0. */
HMS_API hms_id hms_topology_at(const hms_topology* topology, hms_object type, size_t index);
/* Target or initiator by stable key or label; 0 if there is none. */
HMS_API hms_id hms_topology_find_key(const hms_topology* topology, const char* key);
HMS_API hms_status hms_target_get(const hms_topology* topology, hms_id id, hms_target_info* out);
HMS_API hms_status hms_initiator_get(const hms_topology* topology, hms_id id,
                                     hms_initiator_info* out);
HMS_API hms_status hms_link_get(const hms_topology* topology, hms_id id, hms_link_info* out);
HMS_API hms_status hms_bridge_get(const hms_topology* topology, hms_id id, hms_bridge_info* out);
/* Cost from one initiator to one target; unreachable pairs are HMS_OK with reachable == 0. */
HMS_API hms_status hms_path_cost(const hms_topology* topology, hms_id initiator, hms_id target,
                                 hms_cost* out);

typedef enum hms_order {
  HMS_BY_BANDWIDTH = 0,
  HMS_BY_LATENCY = 1,
  HMS_BY_CAPACITY = 2,
  HMS_BY_LOCALITY = 3
} hms_order;

typedef struct hms_query_spec {
  size_t size;
  const hms_id* initiators; /* NULL: every CPU initiator */
  size_t initiator_count;
  hms_order order;
  uint64_t min_bytes;
  uint32_t need;       /* HMS_CAP_* that a target must have */
  uint32_t understand; /* must-understand bits that the caller opts into */
} hms_query_spec;

/* The best targets for a set of initiators: reachable by all of them, best first. *count: room in
 * `out` on entry, number of matches on return (which may be larger than the room). */
HMS_API hms_status hms_find(const hms_topology* topology, const hms_query_spec* query, hms_id* out,
                            size_t* count);

/* ---- Placement of ranges ------------------------------------------------------------------------
 *
 * Policy belongs to addresses: it is recorded for the mapped pages of a range, the newest call
 * wins, and equal neighbours are one piece. Nothing here touches the contents of memory. A fork's
 * child inherits the policies. Each call locks the process's range map; hms_migrate and
 * hms_residency let go of it between batches of 512 pages. Not for use in signal handlers.
 *
 * Room of a node is its free memory less what the kernel keeps back and less what earlier binds
 * were promised; room of an emulated target is its capacity less what is charged to it. A list is
 * put over a range by cutting the range where the room of one target ends and the next one's
 * begins, so a bind never runs a node dry and is never answered by the OOM killer.
 */

/* Rather HMS_ENOMEM than memory outside the list; an unknown or unusable target is an error
 * (HMS_ENODEV, HMS_ENOSYS) instead of being left out. A strict bind is refused before any effect
 * when the targets have no room for the absent pages of the range; else it brings those of private
 * writable memory into existence at once (Linux 5.14), because only an existing page is certain to
 * be where it was promised. */
#define HMS_STRICT 0x1u

typedef enum hms_op_code { HMS_OP_BIND = 1, HMS_OP_MIGRATE = 2, HMS_OP_UNBIND = 3 } hms_op_code;

typedef struct hms_moved {
  hms_id target;
  uint64_t pages; /* of 4096 bytes; MIGRATE: those that the call moved there */
} hms_moved;

typedef struct hms_op {
  size_t size;
  hms_op_code code;
  unsigned flags;        /* HMS_STRICT */
  void* address;         /* page aligned */
  size_t length;         /* bytes, rounded up to pages; 0 does nothing */
  const hms_id* targets; /* ordered */
  size_t target_count;
  hms_moved* moved; /* MIGRATE: room for target_count entries, or NULL */
  /* results */
  hms_status status;
  uint64_t pages_present;   /* pages of the range that exist */
  uint64_t pages_failed;    /* MIGRATE: present but on none of the targets */
  uint64_t bytes_unmapped;  /* holes in the range, skipped */
  uint64_t bytes_no_room;   /* BIND: absent pages for which no target of the list had room */
  uint64_t targets_skipped; /* unknown or unusable targets of the list, left out (not strict) */
} hms_op;

/* Future pages of [address, address + length) come from the first target with room, then the next.
 * Existing pages stay. What no target of the list has room for prefers all of them and may end
 * elsewhere, unless HMS_STRICT. Memory that a CPU cannot touch cannot hold pages that it faults in:
 * HMS_ENOSYS if the list has nothing else. HMS_EPERM: the kernel or a filter forbids mbind; nothing
 * was changed. */
HMS_API hms_status hms_bind(const hms_topology* topology, void* address, size_t length,
                            const hms_id* targets, size_t target_count, unsigned flags);
/* Moves existing pages to the targets, first target first, the remainder to the next; a page stays
 * where it is if its target is next in turn. Never changes policy. `moved` has room for
 * target_count entries or is NULL. HMS_EPARTIAL if pages stayed on none of the targets. With
 * HMS_STRICT, HMS_ENOMEM before any effect if the targets have no room for all. */
HMS_API hms_status hms_migrate(const hms_topology* topology, void* address, size_t length,
                               const hms_id* targets, size_t target_count, unsigned flags,
                               hms_moved* moved);
/* Forgets policy on the range; pages stay. */
HMS_API hms_status hms_unbind(void* address, size_t length);
/* Runs a batch in order. Every op is validated before the first takes effect: if one is rejected,
 * its status says why, the valid ones have HMS_ECANCELED, and nothing was done. What only shows
 * while an op runs (no room, a kernel's refusal) ends that op, not those after it. Returns the
 * first op status that is neither HMS_OK nor HMS_ECANCELED. */
HMS_API hms_status hms_submit(const hms_topology* topology, hms_op* ops, size_t count);

typedef struct hms_piece {
  void* address;
  size_t length;
  unsigned flags;
  size_t target_count; /* of the whole list */
  hms_id targets[16];  /* the first 16 of the ordered list */
} hms_piece;

/* The policy pieces of a range, in address order, clipped to it; parts without a policy of ours are
 * left out. *count as in hms_find. */
HMS_API hms_status hms_query(const void* address, size_t length, hms_piece* out, size_t* count);
/* Where the pages of a range are now, by the kernel's answer: out[i].pages on out[i].target, for
 * each target that holds some; pages that do not exist (and holes) count in *absent, pages on no
 * target of the topology in *elsewhere (both may be NULL). For emulated targets the kernel says
 * that the page exists, our accounting which target it is charged to. *count as in hms_find. */
HMS_API hms_status hms_residency(const hms_topology* topology, const void* address, size_t length,
                                 hms_moved* out, size_t* count, uint64_t* absent,
                                 uint64_t* elsewhere);
/* munmap and mremap that keep the range map true. Semantics and errno of the system calls. mremap
 * wants one mapping: a range that hms_bind had to cut is several (EFAULT before Linux 6.17). */
HMS_API int hms_munmap(void* address, size_t length);
HMS_API void* hms_mremap(void* address, size_t old_length, size_t new_length, int flags,
                         void* new_address);

/* ---- Allocation ---------------------------------------------------------------------------------
 */

typedef struct hms_placement hms_placement;

/* Makes a placement from a specification: "node:2>node:0", "bandwidth", "fast!",
 * "node:0*3+node:2*1", "node:0:4,node:2:1" ... (see hms-rules(7)). `topology` may be NULL: the live
 * one is used if names need it. Equal specifications may share one object. Placements live until
 * the process ends; there is nothing to free. */
HMS_API hms_status hms_placement_get(const hms_topology* topology, const char* spec,
                                     const hms_placement** out);
/* The placement for an ordered list of targets. */
HMS_API hms_status hms_placement_of(const hms_topology* topology, const hms_id* targets,
                                    size_t target_count, unsigned flags, const hms_placement** out);

/* As malloc, calloc, aligned_alloc, realloc of C11, on a placement (NULL: the default one). Return
 * NULL and set errno to ENOMEM (or EINVAL for an alignment that is no power of two, or above 1
 * GiB). hms_malloc(0) is a unique pointer. hms_realloc moves the block to `placement` if it is
 * elsewhere; on failure the old block is untouched. */
HMS_API void* hms_malloc(size_t size, const hms_placement* placement) __attribute__((malloc));
HMS_API void* hms_calloc(size_t count, size_t size, const hms_placement* placement)
    __attribute__((malloc));
HMS_API void* hms_aligned_alloc(size_t alignment, size_t size, const hms_placement* placement)
    __attribute__((malloc));
HMS_API void* hms_realloc(void* block, size_t size, const hms_placement* placement);
/* Frees a block of any placement; NULL is allowed. */
HMS_API void hms_free(void* block);
HMS_API size_t hms_usable_size(const void* block);
/* Stable key of the target that the block was charged to ("default" for kernel-chosen memory); NULL
 * if the address is not from libhms. O(1), from the address alone. Static storage. */
HMS_API const char* hms_target_of(const void* block);
/* Limits the bytes that this process may commit on a target, by key; UINT64_MAX: no limit. Lowering
 * it below the present use refuses growth and takes nothing away. */
HMS_API hms_status hms_set_quota(const char* target_key, uint64_t bytes);
/* Returns cached and unused memory to the system now. */
HMS_API void hms_trim(void);

/* ---- Tiering ------------------------------------------------------------------------------------
 *
 * Where a process runs under tiering or a profile (hms-tiering(7)), memory is divided in a near and
 * a far one. A program may say what it knows: hints count where blocks are born, and a wrong one is
 * found out while it runs.
 */

/* How much blocks will be used. */
typedef enum hms_heat { HMS_HEAT_UNKNOWN = 0, HMS_HEAT_COLD = 1, HMS_HEAT_HOT = 2 } hms_heat;
/* Whether blocks will be freed soon. */
typedef enum hms_life { HMS_LIFE_UNKNOWN = 0, HMS_LIFE_SHORT = 1, HMS_LIFE_LONG = 2 } hms_life;

/* The placement for blocks of which that is expected, for hms_malloc and its kin. Each hint has
 * pages of its own: hot ones are born in near memory, cold ones in far memory, as long as there is
 * room; short-lived blocks never lie among long-lived ones. From there on tiering moves them as any
 * others. Without tiering and profile, whatever memories there are, and for no hint at all, it is
 * the default placement. HMS_EINVAL: no value of the enumeration. Placements live until the process
 * ends. */
HMS_API hms_status hms_placement_hinted(hms_heat heat, hms_life life, const hms_placement** out);

/* From now on tiering does not move the pages that hold a byte of the range, nor copies them into
 * huge pages, until it is unpinned: they stay where they are, near or far, and so does what tiering
 * only moves as one with them (up to 2 MiB). Waits until moves that go on have ended. Neither
 * creates pages nor locks them in memory; the kernel, hms_migrate and hms_realloc may still move
 * what they move. Holds for addresses, so unpin before you free. A page that other pinned bytes are
 * on stays pinned. Works before tiering starts and without it; a fork's child inherits it. Memory
 * that is not from hms_malloc or a preloaded malloc is never moved by tiering: nothing is done,
 * HMS_OK. Length 0 does nothing. HMS_EINVAL: NULL, or a range beyond the end of the address space;
 * HMS_ENOMEM: more than 16384 separate ranges. */
HMS_API hms_status hms_tiering_pin(const void* address, size_t length);
/* Takes that back, for all or a part of what was pinned; what was not stays as it is. HMS_ENOMEM:
 * the rest would be a range too many. */
HMS_API hms_status hms_tiering_unpin(const void* address, size_t length);

/* ---- Consistency --------------------------------------------------------------------------------
 */

typedef struct hms_check_result {
  size_t size;
  uint64_t contradictions;  /* 0: everything that was compared agrees */
  uint64_t windows;         /* of the allocator, in use */
  uint64_t resident_pages;  /* of 4096 bytes, that exist in these windows */
  uint64_t misplaced_pages; /* of these, on another node than asked for: told, no contradiction */
  uint64_t ranges;          /* of the range map, compared with the kernel's policies */
} hms_check_result;

/* Compares what a process says about its memory with itself and with the kernel: windows, counters,
 * quotas, the range map (its first 128 pieces), mappings and pages. `pid` 0 is this process, others
 * need the right to trace them. The process is not stopped; only what three looks within 0.2 s all
 * show is a contradiction. HMS_OK if it could be looked at, whatever was found; `text` (or NULL)
 * then holds a sentence for each contradiction, a line each, cut to `room` bytes with the NUL.
 * HMS_ENODEV: no such process, or it has no counters; HMS_EPERM; HMS_EIO: /proc is not mounted.
 * Takes time in proportion to the pages, at most 10 s a look. Not for signal handlers. */
HMS_API hms_status hms_check(int pid, hms_check_result* out, char* text, size_t room);

#ifdef __cplusplus
}
#endif
#endif /* HMS_HMS_H */
