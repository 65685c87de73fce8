// How `hms topology` and `hms find` show a topology: table, JSON, dot, SVG.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/topology/topology.h"

namespace hms::cli {

// Rows of cells as text with aligned columns, indented by two; the first row is the heading.
std::string columns(const std::vector<std::vector<std::string>>& rows);

// "400 GiB/s (hmat)", or "-".
std::string bandwidth_text(const topology::Properties& p);
std::string latency_text(const topology::Properties& p);
std::string distance_text(const topology::Properties& p);
// Names of capability bits as --need takes them.
std::vector<std::string> capability_names(uint32_t capabilities);
// The bits of a list of names; the error lists the names that exist.
Result<uint32_t> parse_capabilities(const std::vector<std::string>& names);
// "0-3,8"
std::string ranges(const std::vector<int>& numbers);
// The keys of objects, joined by spaces.
std::string target_keys(const topology::Topology& t, const std::vector<topology::Id>& ids);
std::string initiator_keys(const topology::Topology& t, const std::vector<topology::Id>& ids);

std::string topology_table(const topology::Topology& t);
nlohmann::ordered_json topology_json(const topology::Topology& t);
std::string topology_dot(const topology::Topology& t);
std::string topology_svg(const topology::Topology& t);

// Names may come from files that are not UTF-8: a replacement character beats no answer.
std::string json_text(const nlohmann::ordered_json& document);
// Adds the number, its unit in the name, and where it comes from; null if it is not known.
void put_properties(const topology::Properties& p, nlohmann::ordered_json* out);

}  // namespace hms::cli
