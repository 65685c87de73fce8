// How a running process is told something: `hms ctl` leaves a file beside its counter page, in the
// folder that only the user can enter, and rings by a word of the page. The process looks at that
// word when it allocates anyway; no thread, no signal. It answers by a second file and a second
// word. The file decides, the word only says that there is one: who can write either has the
// user's rights.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/support/counters.h"
#include "runtime/support/result.h"
#include "runtime/support/stats_files.h"

namespace hms {

// ---- in the process

// True if something was left that has not been answered. Two loads. What is left can be answered
// before its ring is heard, so "done" may be ahead.
inline bool control_rung() {
  const StatsPage* page = stats();
  return page->rules_wanted.load(std::memory_order_relaxed) >
         page->rules_done.load(std::memory_order_relaxed);
}

struct Control {
  uint64_t ring = 0;  // which ring it is for: the last one if the text cannot be read
  Result<std::string> text;
};

// What was left, which may be newer than the ring that was heard. Allocates.
Control take_control();
// Answers `ring`; `problems` "" means done.
void answer_control(uint64_t ring, const std::string& problems);

// ---- outside

// Leaves `text` for a process and waits for its answer. HMS_EINVAL with what the process finds
// wrong in it; HMS_EPARTIAL if it did not look within `seconds`: what was left stays, and counts
// once it does; HMS_ENOSYS if it never will; else why nothing could be left.
Status send_control(const StatsFile& file, unsigned user, const std::string& text, double seconds);

// The files that belong to a page which goes.
void remove_control(int dir, const char* page_name);

}  // namespace hms
