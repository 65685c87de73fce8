/*
 * hms_omp.h - OpenMP memory management as libhms_omp provides it, for programs built with any
 * omp.h.
 *
 * Declares what the compiler's omp.h is too old for: the traits and routines of OpenMP 6.0 about
 * memory spaces, their resources and partitioners; and calls of our own for spaces by name. Link
 * with -lhms_omp, in front of the OpenMP runtime, or run under `hms run --omp` (which serves
 * programs that were built without this header, too).
 *
 * The names that newer headers have, too, mean the same there: including both is fine.
 */
#ifndef HMS_HMS_OMP_H
#define HMS_HMS_OMP_H

#include <hms/hms.h>
#include <omp.h>
#include <stddef.h>
#include <stdint.h>

/* No memory space. Headers before 6.0 have the number 0 for the default space; routines that return
 * a space give the default one as 99 (as LLVM 21 has it), so 0 is unambiguous as a result. */
#define HMS_OMP_NULL_MEM_SPACE ((omp_memspace_handle_t)0)

/* Traits of OpenMP 6.0, table 8.2, and the values they brought. */
#define HMS_OMP_TRAIT_KEY(n) ((omp_alloctrait_key_t)(n))
#define HMS_OMP_ATK_PIN_DEVICE HMS_OMP_TRAIT_KEY(9)
#define HMS_OMP_ATK_PREFERRED_DEVICE HMS_OMP_TRAIT_KEY(10)
#define HMS_OMP_ATK_TARGET_ACCESS HMS_OMP_TRAIT_KEY(12)
#define HMS_OMP_ATK_ATOMIC_SCOPE HMS_OMP_TRAIT_KEY(13)
#define HMS_OMP_ATK_PART_SIZE HMS_OMP_TRAIT_KEY(14)
#define HMS_OMP_ATK_PARTITIONER HMS_OMP_TRAIT_KEY(15)
#define HMS_OMP_ATK_PARTITIONER_ARG HMS_OMP_TRAIT_KEY(16)
#define HMS_OMP_ATV_DEVICE 7
#define HMS_OMP_ATV_ALL 19
#define HMS_OMP_ATV_SINGLE 20
#define HMS_OMP_ATV_MULTIPLE 21
#define HMS_OMP_ATV_MEMSPACE 22
#define HMS_OMP_ATV_PARTITIONER 23

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Spaces and resources (OpenMP 6.0, 20.8)
 * ------------------------------------------------------ A space for a selection of devices:
 * omp_initial_device and the number of the host are the device there is; any other gives
 * HMS_OMP_NULL_MEM_SPACE, or omp_null_allocator. */
omp_memspace_handle_t omp_get_devices_memspace(int ndevs, const int* devs,
                                               omp_memspace_handle_t memspace);
omp_memspace_handle_t omp_get_device_memspace(int dev, omp_memspace_handle_t memspace);
omp_memspace_handle_t omp_get_devices_and_host_memspace(int ndevs, const int* devs,
                                                        omp_memspace_handle_t memspace);
omp_memspace_handle_t omp_get_device_and_host_memspace(int dev, omp_memspace_handle_t memspace);
omp_memspace_handle_t omp_get_devices_all_memspace(omp_memspace_handle_t memspace);
omp_allocator_handle_t omp_get_devices_allocator(int ndevs, const int* devs,
                                                 omp_memspace_handle_t memspace);
omp_allocator_handle_t omp_get_device_allocator(int dev, omp_memspace_handle_t memspace);
omp_allocator_handle_t omp_get_devices_and_host_allocator(int ndevs, const int* devs,
                                                          omp_memspace_handle_t memspace);
omp_allocator_handle_t omp_get_device_and_host_allocator(int dev, omp_memspace_handle_t memspace);
omp_allocator_handle_t omp_get_devices_all_allocator(omp_memspace_handle_t memspace);

/* The memories that a space is made of, best first. */
int omp_get_memspace_num_resources(omp_memspace_handle_t memspace);
size_t omp_get_memspace_pagesize(omp_memspace_handle_t memspace);
/* The space of some of them, in the order of `resources` (numbers from 0). */
omp_memspace_handle_t omp_get_submemspace(omp_memspace_handle_t memspace, int num_resources,
                                          const int* resources);

/* ---- Partitioners (OpenMP 6.0, 8.4)
 * --------------------------------------------------------------- A partitioner object is only an
 * address to the library: it must stay where it is until it is destroyed, after all allocators that
 * use it. As a trait: HMS_OMP_ATK_PARTITIONER with its address as the value, and omp_atk_partition
 * with HMS_OMP_ATV_PARTITIONER. */
#ifndef HMS_OMP_HAVE_MEMPARTITION
typedef struct omp_mempartitioner_t {
  void* hms_unused[4];
} omp_mempartitioner_t;
typedef struct omp_mempartition_t omp_mempartition_t;
typedef enum omp_mempartitioner_lifetime_t {
  omp_static_mempartition = 1,    /* an answer may serve every allocator */
  omp_allocator_mempartition = 2, /* ... every block of one allocator */
  omp_dynamic_mempartition = 3    /* each block is asked for */
} omp_mempartitioner_lifetime_t;
typedef void (*omp_mempartitioner_compute_proc_t)(omp_memspace_handle_t memspace,
                                                  size_t allocation_size, uintptr_t argument,
                                                  omp_mempartition_t* partition);
typedef void (*omp_mempartitioner_release_proc_t)(omp_mempartition_t* partition);
#endif

void omp_init_mempartitioner(omp_mempartitioner_t* partitioner,
                             omp_mempartitioner_lifetime_t lifetime,
                             omp_mempartitioner_compute_proc_t compute,
                             omp_mempartitioner_release_proc_t release);
void omp_destroy_mempartitioner(const omp_mempartitioner_t* partitioner);
/* Only inside the compute procedure. Parts are given to resources of the space; all but the last
 * are whole pages, and together they are the size asked for. */
void omp_init_mempartition(omp_mempartition_t* partition, size_t nparts, const void* user_data);
void omp_destroy_mempartition(const omp_mempartition_t* partition);
int omp_mempartition_set_part(omp_mempartition_t* partition, size_t part, int resource,
                              size_t size);
void* omp_mempartition_get_user_data(const omp_mempartition_t* partition);

/* ---- Spaces and allocators by name
 * ---------------------------------------------------------------- Both write the handle to a word,
 * so that neither depends on the header's types.
 *
 * hms_omp_space: a predefined space ("high_bw", "omp_high_bw_mem_space"), one that HMS_OMP_SPACES
 * or hms_omp_define_space() made, or a placement specification such as "node:3>node:0". Spaces are
 * never freed; equal names give equal handles. hms_omp_define_space: NAME=SPEC of HMS_OMP_SPACES
 * from inside. A predefined space can be redefined before its first use. hms_omp_allocator: what
 * OMP_ALLOCATOR may say, "high_bw:alignment=64,fallback=null_fb". The allocator lives until the
 * program ends. */
HMS_API hms_status hms_omp_space(const char* name, uintptr_t* memspace);
HMS_API hms_status hms_omp_define_space(const char* name, const char* spec);
HMS_API hms_status hms_omp_allocator(const char* words, uintptr_t* allocator);

#ifdef __cplusplus
}

#include <new>

namespace hms {

/* A standard allocator on an OpenMP one: std::vector<double, hms::omp_allocator<double>>. */
template <typename T>
class omp_allocator {
 public:
  using value_type = T;

  explicit omp_allocator(omp_allocator_handle_t handle = omp_null_allocator) noexcept
      : handle_(handle) {}
  template <typename U>
  omp_allocator(const omp_allocator<U>& other) noexcept : handle_(other.handle()) {}

  T* allocate(size_t n) {
    if (n > SIZE_MAX / 2 / sizeof(T)) throw std::bad_alloc();
    void* block = omp_aligned_alloc(alignof(T), n == 0 ? sizeof(T) : n * sizeof(T), handle_);
    if (block == nullptr) throw std::bad_alloc();
    return static_cast<T*>(block);
  }
  void deallocate(T* block, size_t) noexcept { omp_free(block, handle_); }
  omp_allocator_handle_t handle() const noexcept { return handle_; }

 private:
  omp_allocator_handle_t handle_;
};

template <typename T, typename U>
bool operator==(const omp_allocator<T>& a, const omp_allocator<U>& b) noexcept {
  return a.handle() == b.handle();
}
template <typename T, typename U>
bool operator!=(const omp_allocator<T>& a, const omp_allocator<U>& b) noexcept {
  return !(a == b);
}

}  // namespace hms
#endif
#endif /* HMS_HMS_OMP_H */
