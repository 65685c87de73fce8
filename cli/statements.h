// The options that state rules: the same for every subcommand that has them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/launch.h"

namespace hms::cli {

// An option that may be repeated, one value each time.
CLI::Option* add_repeated(CLI::App* sub, const char* name, std::vector<std::string>* to,
                          const char* text);

// --tiers, --rule, --quota, --config.
void add_statements(CLI::App* sub, RunOptions* rules, const char* tiers_text);

}  // namespace hms::cli
