// What `hms stat`, `hms check` and `hms ctl` begin with: the process that they are about.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace hms::cli {

// The positional PID of a subcommand.
CLI::Option* add_pid(CLI::App* sub, int* pid, const std::string& description);

}  // namespace hms::cli
