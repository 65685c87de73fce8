// The parts of a report about tiering and about change: docs/stats.md explains every field.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/report.h"

namespace hms::cli {

nlohmann::ordered_json tiering_json(const TieringStats& tiering);
// "libx.so+0x1234 at depth 3", or a hint of the program.
std::string place_text(const ContextStats& context);
// "12 % near" of a place that is woven over both memories; "" of others.
std::string woven_text(const ContextStats& context);
std::string tiering_text(const TieringStats& tiering);
nlohmann::ordered_json rates_json(const Rates& rates);
std::string rates_text(const Rates& rates);

}  // namespace hms::cli
