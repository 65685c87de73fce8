// What `hms top` shows, as lines: pure, so that it can be drawn on a terminal of any size or
// printed. docs/stats.md says what the columns mean.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/report.h"

namespace hms::cli {

enum class TopColumn {
  kPid,
  kProgram,
  kThreads,
  kCommitted,
  kAllocated,
  kFreed,
  kMisplaced,
  kHits
};
// The columns in the order of the screen, with the words of --sort and the keys that choose them.
struct TopColumnInfo {
  TopColumn column;
  const char* word;
  char key;
  const char* title;
  int width;
  int rank;  // narrow screens leave out the highest first; rank 0 stays
};
const std::vector<TopColumnInfo>& top_columns();

struct TopState {
  TopColumn sort = TopColumn::kCommitted;
  bool reverse = false;
  bool paused = false;
  bool targets = true;  // a bar for each target of a process
  bool places = true;   // what tiering has found of it
  bool verify = false;
  bool help = false;
  bool colours = false;
  double interval = 2;
  size_t scroll = 0;  // lines of the list above the first one shown
  std::string message;
  std::map<int, uint64_t> node_bytes;  // capacities of the memory nodes
};

// By the column of the state; largest first, names and numbers of processes smallest first.
void sort_top(const TopState& state, Report* report);

// The screen. `state.scroll` is brought back into the list.
std::vector<std::string> top_screen(const Report& report, TopState* state, int columns, int rows);
// All of it, without a screen: never cut at the bottom.
std::vector<std::string> top_snapshot(const Report& report, const TopState& state, int columns);

// The share of the pages that lie elsewhere; negative where nobody asked the kernel.
double misplaced_share(const ProcessReport& process);

}  // namespace hms::cli
