// C++: default arguments, the standard allocator of hms_omp.h, exceptions at its limits.
#include <hms/hms_omp.h>

#include <list>
#include <vector>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

int failures = 0;

void check(bool condition, const char* what) {
  std::printf("%s %s\n", condition ? "ok" : "FAIL", what);
  if (!condition) ++failures;
}

void default_arguments() {
  char* p = static_cast<char*>(omp_alloc(100));
  check(p != nullptr, "omp_alloc without an allocator");
  p = static_cast<char*>(omp_realloc(p, 5000));
  check(p != nullptr, "omp_realloc without allocators");
  omp_free(p);
  auto* q = static_cast<char*>(omp_aligned_calloc(256, 10, 10));
  check(q != nullptr && reinterpret_cast<uintptr_t>(q) % 256 == 0 && q[99] == 0,
        "omp_aligned_calloc without an allocator");
  omp_free(q);
}

void containers() {
  omp_alloctrait_t traits[2];
  traits[0].key = omp_atk_pool_size;
  traits[0].value = 1 << 20;
  traits[1].key = omp_atk_fallback;
  traits[1].value = omp_atv_null_fb;
  omp_allocator_handle_t h = omp_init_allocator(omp_high_bw_mem_space, 2, traits);
  check(h != omp_null_allocator, "an allocator for containers");
  {
    hms::omp_allocator<double> doubles(h);
    std::vector<double, hms::omp_allocator<double>> v(1000, 1.5, doubles);
    for (int i = 0; i < 9000; ++i) v.push_back(i);
    check(v[999] == 1.5 && v.back() == 8999, "std::vector");
    std::list<int, hms::omp_allocator<int>> l{hms::omp_allocator<int>(doubles)};
    for (int i = 0; i < 100; ++i) l.push_front(i);
    check(l.front() == 99 && l.get_allocator() == hms::omp_allocator<int>(h), "std::list");
    bool thrown = false;
    try {
      v.reserve(1 << 20);
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    check(thrown && v.back() == 8999, "std::bad_alloc beyond the pool");
  }
  void* all = omp_alloc((1 << 20) - 64, h);
  check(all != nullptr, "the containers gave everything back");
  omp_free(all, h);
  omp_destroy_allocator(h);
}

}  // namespace

int main() {
  default_arguments();
  containers();
  return failures == 0 ? 0 : 1;
}
