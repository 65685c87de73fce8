// bench_words: builds, queries and thins an index of a generated text with standard containers:
// hash nodes, strings and growing vectors of many sizes, with long-lived survivors among the dead.
//
// usage: bench_words [WORDS]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

uint64_t state = 42;
uint64_t noise() {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

// Words of 3 to 40 letters; low numbers are common, as in a text.
std::string word() {
  uint64_t rank = noise() % (1 + noise() % 60000);
  std::string text;
  for (uint64_t letters = 3 + rank % 38, key = rank * 0x9e3779b97f4a7c15U; letters > 0; --letters) {
    text += static_cast<char>('a' + key % 26);
    key = key * 6364136223846793005U + 1;
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned long words = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1200000;
  std::unordered_map<std::string, std::vector<uint32_t>> index;
  size_t sum = 0;
  for (unsigned long at = 0; at < words; ++at) {
    index[word()].push_back(static_cast<uint32_t>(at));
    if (at % 200000 == 199999) {
      // Thin the index: drop the rare words, and report the common ones in order.
      std::map<std::string, std::string> report;
      for (auto entry = index.begin(); entry != index.end();) {
        if (entry->second.size() < 3) {
          entry = index.erase(entry);
        } else {
          report[entry->first] = entry->first + ':' + std::to_string(entry->second.size());
          ++entry;
        }
      }
      for (const auto& line : report) sum = sum * 31 + line.second.size();
    }
  }
  std::printf("%zu %zu\n", index.size(), sum);
  return 0;
}
