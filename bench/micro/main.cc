// bench_micro: the micro-benchmarks, over the malloc of the process or, with --api=tier,
// --api=memkind or --api=memtier, over that interface of a preloaded library. All other options are
// Google Benchmark's. bench/run starts it once per case, peer and round.
#include <cstdio>
#include <cstring>

#include "bench/micro/api.h"
#include "bench/micro/cases.h"

namespace hms::bench {
namespace {

template <class Api>
bool register_all() {
  if (!Api::load()) return false;
  register_small_cases<Api>();
  register_large_cases<Api>();
  register_thread_cases<Api>();
  return true;
}

bool register_api(const char* name) {
  if (std::strcmp(name, "plain") == 0) return register_all<Plain>();
  if (std::strcmp(name, "tier") == 0) return register_all<Tier>();
  if (std::strcmp(name, "memkind") == 0) return register_all<Memkind>();
  if (std::strcmp(name, "memtier") == 0) return register_all<Memtier>();
  std::fprintf(stderr, "bench_micro: --api=%s: not plain, tier, memkind or memtier\n", name);
  return false;
}

}  // namespace
}  // namespace hms::bench

int main(int argc, char** argv) {
  const char* api = "plain";
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--api=", 6) == 0) {
      api = argv[i] + 6;
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (!hms::bench::register_api(api)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
