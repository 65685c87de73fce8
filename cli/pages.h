// The counter pages that a user may look at, and the one of a process: what `hms stat`, `hms check`
// and `hms ctl` begin with.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "runtime/support/stats_files.h"

namespace hms::cli {

// Those in the user's folder, in the folders of its runs, and in $HMS_STATS_DIR.
std::vector<StatsFile> pages_of(unsigned user);

// The page of a running process and its user, or a message that says what is in the way.
Result<StatsFile> find_page(int pid, unsigned* user);

// The positional PID of a subcommand.
CLI::Option* add_pid(CLI::App* sub, int* pid, const std::string& description);

}  // namespace hms::cli
