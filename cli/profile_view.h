// A profile as `hms report` shows it: places ranked, named and put in proportion. The same rows for
// the table, for JSON and for HTML.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/debug_info.h"
#include "runtime/tiering/profile.h"

namespace hms::cli {

struct PlaceRow {
  std::vector<CodePlace> key;  // the allocating place, then its callers
  const tiering::ContextProfile* counts = nullptr;
  double heat = 0;          // accesses per byte and second over those of the mean byte; 0 unknown
  double byte_share = 0;    // of all byte-seconds
  double access_share = 0;  // of all accesses; 0 without samples
  double error = 0;  // relative, of the heat: one standard deviation by the number of samples
  double near = 0;   // the share of it that a run with `near_bytes` would have near

  std::string where() const;  // "f a.c:12 < g b.c:34"
};

struct ProfileView {
  const tiering::Profile* profile = nullptr;
  std::vector<PlaceRow> rows;  // the hottest first
  uint64_t near_bytes = 0;     // 0: not asked for
  bool sampled = false;
  std::string hints;
};

// Of all bytes and of all accesses, what lies near.
struct NearShares {
  double bytes = 0, accesses = 0;
  size_t places = 0;
};
NearShares near_shares(const ProfileView& view);

enum class SortBy { kHeat, kAccesses, kBytes, kAllocated, kLifetime };

ProfileView view_profile(const tiering::Profile& profile, uint64_t near_bytes);
void sort_rows(ProfileView* view, SortBy by);

std::string profile_table(const ProfileView& view, size_t most);
nlohmann::ordered_json profile_json(const ProfileView& view);
std::string profile_html(const ProfileView& view);  // profile_html.cc

// "1.5 ms", "3 h"
std::string human_seconds(double seconds);
// "perf-pebs, reads and writes" or why there is no heat
std::string sampler_words(const tiering::Profile& profile);

}  // namespace hms::cli
