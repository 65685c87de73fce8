// Fuzzes the reader and the checker of counter pages: a page that a hostile process wrote.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/support/consistency.h"
#include "runtime/support/counters.h"
#include "runtime/support/stats_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Short inputs reach all of the page: they are repeated over it behind a valid header.
  alignas(8) static char page[sizeof(hms::StatsPage)];
  for (size_t i = 0; i < sizeof page; ++i) {
    page[i] = size > 0 ? static_cast<char>(data[i % size]) : 0;
  }
  auto* header = reinterpret_cast<hms::StatsPage*>(page);
  header->magic = hms::kStatsMagic;
  header->version = hms::kStatsVersion;
  header->bytes = sizeof(hms::StatsPage);
  hms::Result<hms::ProcessStats> raw = hms::parse_stats(data, size);
  if (!raw.ok() && raw.status().message().empty()) abort();
  hms::Result<hms::ProcessStats> stats = hms::parse_stats(page, sizeof page);
  if (!stats.ok()) abort();
  for (const hms::WindowStats& window : stats.value().windows) {
    if (window.target >= stats.value().targets.size()) abort();
    if (window.base + window.bytes > uint64_t{1} << 57) abort();
  }
  if (hms::check_page(data, size).empty() && size < sizeof page) abort();
  for (const std::string& what : hms::check_page(page, sizeof page)) {
    if (what.empty()) abort();
  }
  return 0;
}
