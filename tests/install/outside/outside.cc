// A C++ program outside the project: containers on the machine's largest memory, and its kernel's
// word for where their pages are.
#include <cstdio>
#include <hms/hms.hpp>
#include <memory_resource>
#include <vector>

int main() {
  try {
    hms::Topology topology("sysfs");
    hms::Query query;
    query.by = HMS_BY_CAPACITY;
    const std::vector<hms_id> targets = query.find(topology);
    const hms::Placement placement(topology, targets);

    std::vector<double, hms::Allocator<double>> field(100000, 1.5, placement);
    hms::MemoryResource memory(placement);
    std::pmr::vector<int> list({1, 2, 3}, &memory);

    const hms::Residency where = hms::Range::pages_of(field).residency(topology);
    std::printf("%zu targets, field on %s, %zu of them hold its pages\n", targets.size(),
                hms_target_of(field.data()), where.on.size());
    return where.on.empty() || list.size() != 3 || field.back() != 1.5 ? 1 : 0;
  } catch (const hms::Error& error) {
    std::fprintf(stderr, "outside: %s\n", error.what());
    return 1;
  }
}
