// bench_cubes: minimises Boolean functions in two-level form, the way of Quine and McCluskey: cubes
// are merged generation by generation, then a cover is picked greedily. Every cube is a heap object
// of its own, and generations die together: the allocation pattern of a logic minimiser.
//
// usage: bench_cubes [VARIABLES [FUNCTIONS]]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <vector>

namespace {

// `care` has a bit for each variable that the cube fixes, `value` says to what.
struct Cube {
  uint32_t care, value;
  std::vector<uint32_t> minterms;
  bool merged = false;
};
using Generation = std::vector<std::vector<std::unique_ptr<Cube>>>;  // by number of ones

std::vector<uint32_t> make_function(unsigned variables, uint32_t seed) {
  std::vector<uint32_t> ones;
  uint32_t noise = seed * 2654435761U + 1;
  for (uint32_t term = 0; term < (1U << variables); ++term) {
    noise = noise * 1664525U + 1013904223U;
    if ((noise >> 28) < 9 || (term & 0x15U) == (seed & 0x15U)) ones.push_back(term);
  }
  return ones;
}

std::unique_ptr<Cube> merge(const Cube& a, const Cube& b) {
  auto merged = std::make_unique<Cube>();
  uint32_t difference = a.value ^ b.value;
  merged->care = a.care & ~difference;
  merged->value = a.value & ~difference;
  merged->minterms.reserve(a.minterms.size() + b.minterms.size());
  merged->minterms = a.minterms;
  merged->minterms.insert(merged->minterms.end(), b.minterms.begin(), b.minterms.end());
  return merged;
}

// Merges neighbours that differ in one variable; what merged with nothing is prime.
Generation next_generation(Generation& current, std::vector<std::unique_ptr<Cube>>* primes) {
  Generation next(current.size());
  std::set<uint64_t> seen;
  for (size_t ones = 0; ones + 1 < current.size(); ++ones) {
    for (auto& low : current[ones]) {
      for (auto& high : current[ones + 1]) {
        uint32_t difference = low->value ^ high->value;
        if (low->care != high->care || (difference & (difference - 1)) != 0) continue;
        low->merged = high->merged = true;
        auto cube = merge(*low, *high);
        if (seen.insert(uint64_t{cube->care} << 32 | cube->value).second) {
          next[ones].push_back(std::move(cube));
        }
      }
    }
  }
  for (auto& group : current) {
    for (auto& cube : group) {
      if (!cube->merged) primes->push_back(std::move(cube));
    }
  }
  return next;
}

size_t cover(const std::vector<uint32_t>& ones, const std::vector<std::unique_ptr<Cube>>& primes) {
  std::set<uint32_t> open(ones.begin(), ones.end());
  size_t chosen = 0;
  while (!open.empty()) {
    const Cube* best = nullptr;
    size_t best_count = 0;
    for (const auto& prime : primes) {
      size_t count = 0;
      for (uint32_t term : prime->minterms) count += open.count(term);
      if (count > best_count) {
        best = prime.get();
        best_count = count;
      }
    }
    if (best == nullptr) break;
    for (uint32_t term : best->minterms) open.erase(term);
    ++chosen;
  }
  return chosen;
}

size_t minimise(const std::vector<uint32_t>& ones, unsigned variables) {
  Generation current(variables + 1);
  for (uint32_t term : ones) {
    auto cube = std::make_unique<Cube>();
    cube->care = (1U << variables) - 1;
    cube->value = term;
    cube->minterms.push_back(term);
    current[static_cast<size_t>(__builtin_popcount(term))].push_back(std::move(cube));
  }
  std::vector<std::unique_ptr<Cube>> primes;
  for (bool more = true; more;) {
    current = next_generation(current, &primes);
    more = false;
    for (const auto& group : current) more = more || !group.empty();
  }
  return cover(ones, primes);
}

}  // namespace

int main(int argc, char** argv) {
  unsigned variables = argc > 1 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : 11;
  unsigned functions = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)) : 12;
  if (variables < 2 || variables > 16) {
    std::fprintf(stderr, "bench_cubes: VARIABLES must be 2 to 16\n");
    return 2;
  }
  size_t total = 0;
  for (unsigned i = 0; i < functions; ++i) {
    total = total * 31 + minimise(make_function(variables, i), variables);
  }
  std::printf("%zu\n", total);
  return 0;
}
