// Fuzzes the configuration grammar: any text gives statements or messages, never a crash.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "runtime/support/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hms::Config config;
  hms::parse_config(std::string(reinterpret_cast<const char*>(data), size), "TEXT", &config);
  for (const hms::Rule& rule : config.rules) {
    if (rule.min_size > rule.max_size || rule.placement.empty()) abort();
    if (rule.thread) hms::glob_match(rule.thread->c_str(), "a name of some length");
    if (rule.symbol) hms::glob_match(rule.symbol->c_str(), rule.text.c_str());
  }
  if (config.rules.size() > hms::kMaxRules) abort();
  return 0;
}
