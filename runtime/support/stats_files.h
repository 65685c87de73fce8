// The counter pages that exist: finding, reading and cleaning them away.
//
// A user's pages are in /dev/shm/hms-UID, those of a `hms run` in a folder run-PID-START of it.
// There a process has one for each program that it was: PID-START, after an exec PID-START.1, and
// so on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/support/stats_reader.h"

namespace hms {

// A file named PID-START or PID-START.IMAGE.
struct StatsFile {
  std::string dir;
  std::string name;
  int pid = 0;
  uint64_t start_time = 0;
  unsigned image = 0;     // programs that the process was before
  bool replaced = false;  // there is a page of a later program of the same process
};

// Beside the page of a process that `hms record` watches: its profile so far. And while that is
// being written.
inline constexpr char kProfileSuffix[] = ".profile";
inline constexpr char kNewProfileSuffix[] = ".profile-new";

std::string stats_directory(unsigned user);
// The pages in one directory of `user`; none if it does not exist or is not safe to use.
std::vector<StatsFile> list_stats(const std::string& dir, unsigned user);
// Those in the user's directory and in the folders of its runs.
std::vector<StatsFile> list_all_stats(unsigned user);

// Those that a user may look at: list_all_stats(), and those in $HMS_STATS_DIR.
std::vector<StatsFile> pages_of(unsigned user);
// The page of a running process and its user, or a message that says what is in the way.
Result<StatsFile> find_page(int pid, unsigned* user);

// True if the process that made the page still runs: same pid and same start.
bool is_running(int pid, uint64_t start_time);
// True if that process has become another program since, one without libhms: its page is of the
// past.
bool is_replaced(const ProcessStats& stats);

// Reads a page as it is: at most one StatsPage.
Result<std::vector<char>> read_page(const StatsFile& file, unsigned user);
// Reads and decodes a page; fails also when it names another process than its file name does.
Result<ProcessStats> read_stats(const StatsFile& file, unsigned user);

void remove_stats(const StatsFile& file, unsigned user);
// Removes the pages of processes that are gone, and the folders of runs that are over.
void remove_stale_stats(unsigned user);

// A new, empty folder for the pages of one run, below stats_directory() or, where that cannot be,
// below $TMPDIR. And its end: it stays while it holds pages.
Result<std::string> make_run_directory();
void remove_run_directory(const std::string& dir);

}  // namespace hms
