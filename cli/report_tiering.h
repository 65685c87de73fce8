// The parts of a report about tiering and about change: docs/stats.md explains every field.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/report.h"

namespace hms::cli {

nlohmann::ordered_json tiering_json(const TieringStats& tiering);
std::string tiering_text(const TieringStats& tiering);
nlohmann::ordered_json rates_json(const Rates& rates);
std::string rates_text(const Rates& rates);

}  // namespace hms::cli
