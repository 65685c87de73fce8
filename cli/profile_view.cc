// Rows, table and JSON of `hms report`: see profile_view.h.
#include "cli/profile_view.h"

#include <algorithm>
#include <cmath>

#include "cli/format.h"
#include "cli/report.h"
#include "cli/table.h"
#include "runtime/tiering/profile_plan.h"

namespace hms::cli {
namespace {

using nlohmann::ordered_json;
using tiering::ContextProfile;
using tiering::Profile;

std::string percent(double share) { return printed("%.1f%%", 100 * share); }

std::vector<CodePlace> named(const Profile& profile, const ContextProfile& context,
                             DebugInfo* info) {
  std::vector<CodePlace> out;
  for (const tiering::KeyFrame& frame : context.key) {
    const bool known = frame.object != tiering::kGeneratedCode;
    out.push_back(known ? info->find(profile.objects[frame.object], frame.offset) : CodePlace());
  }
  return out;
}

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::string heat_cell(const ProfileView& view, const PlaceRow& row) {
  if (!view.sampled) return "?";
  if (row.counts->watched == 0) return "?";
  return printed(row.heat < 10 ? "%.2f" : "%.0f", row.heat);
}

ordered_json place_json(const CodePlace& place) {
  ordered_json out;
  out["object"] = place.object;
  out["offset"] = place.offset;
  if (!place.function.empty()) out["function"] = place.function;
  if (!place.file.empty()) {
    out["file"] = place.file;
    out["line"] = place.line;
  }
  return out;
}

ordered_json row_json(const ProfileView& view, const PlaceRow& row) {
  const ContextProfile& c = *row.counts;
  ordered_json out;
  out["place"] = ordered_json::array();
  for (const CodePlace& place : row.key) out["place"].push_back(place_json(place));
  out["allocations"] = c.allocations;
  out["allocated_bytes"] = c.bytes;
  out["peak_bytes"] = c.peak;
  out["byte_seconds"] = c.byte_seconds;
  out["lifetime_seconds"] = c.lifetime();
  out["samples"] = c.samples;
  out["watched_byte_seconds"] = c.watched;
  out["heat"] = view.sampled && c.watched > 0 ? ordered_json(row.heat) : ordered_json(nullptr);
  out["heat_error"] = c.samples > 0 ? ordered_json(row.error) : ordered_json(nullptr);
  out["byte_share"] = row.byte_share;
  out["access_share"] = row.access_share;
  if (view.near_bytes > 0) out["near_share"] = row.near;
  return out;
}

double sort_key(const PlaceRow& row, SortBy by) {
  switch (by) {
    case SortBy::kAccesses:
      return row.access_share;
    case SortBy::kBytes:
      return static_cast<double>(row.counts->peak);
    case SortBy::kAllocated:
      return static_cast<double>(row.counts->bytes);
    case SortBy::kLifetime:
      return row.counts->lifetime();
    case SortBy::kHeat:
      break;
  }
  return row.heat;
}

std::string near_words(const ProfileView& view) {
  const NearShares near = near_shares(view);
  std::string out =
      "With " + human_bytes(view.near_bytes) + " of near memory: " + std::to_string(near.places) +
      (near.places == 1 ? " place" : " places") + " near, " + percent(near.bytes) + " of the bytes";
  if (view.sampled) out += " and " + percent(near.accesses) + " of the accesses";
  return out + ".\n";
}

// "near", or how much of it
std::string near_cell(const PlaceRow& row) {
  return row.near == 0 ? "" : row.near == 1 ? "near" : percent(row.near);
}

}  // namespace

std::string PlaceRow::where() const {
  std::string out;
  for (const CodePlace& place : key) out += (out.empty() ? "" : " < ") + place.text();
  return out;
}

std::string human_seconds(double seconds) {
  const struct {
    double least, unit;
    const char* name;
  } kUnits[] = {{86400, 86400, "d"}, {3600, 3600, "h"},  {60, 60, "min"},
                {1, 1, "s"},         {1e-3, 1e-3, "ms"}, {0, 1e-6, "us"}};
  for (const auto& u : kUnits) {
    if (seconds >= u.least) return printed("%.3g ", seconds / u.unit) + u.name;
  }
  return "?";
}

std::string sampler_words(const Profile& profile) {
  if (profile.total_samples() == 0) {
    return (profile.sampler.empty() ? "none" : profile.sampler) +
           " saw nothing: sizes and lifetimes only";
  }
  std::string sees = profile.sees_reads ? "reads" : "";
  if (profile.sees_writes) sees += sees.empty() ? "writes only" : " and writes";
  return profile.sampler + ", " + sees;
}

ProfileView view_profile(const Profile& profile, uint64_t near_bytes) {
  ProfileView view;
  view.profile = &profile;
  view.near_bytes = near_bytes;
  view.sampled = profile.total_samples() > 0;
  double bytes = 0, accesses = 0;
  for (const ContextProfile& c : profile.contexts) {
    bytes += static_cast<double>(c.byte_seconds);
    accesses += c.accesses();
  }
  const double mean = share(accesses, bytes);
  const tiering::ProfilePlan plan(profile, near_bytes);
  DebugInfo info;
  for (const ContextProfile& c : profile.contexts) {
    PlaceRow row;
    row.key = named(profile, c, &info);
    row.counts = &c;
    row.heat = share(c.heat(), mean);
    row.byte_share = share(static_cast<double>(c.byte_seconds), bytes);
    row.access_share = share(c.accesses(), accesses);
    row.error = c.samples > 0 ? 1 / std::sqrt(static_cast<double>(c.samples)) : 0;
    row.near = near_bytes > 0 ? plan.near_share(view.rows.size()) : 0;
    view.rows.push_back(std::move(row));
  }
  view.hints = info.hints();
  sort_rows(&view, SortBy::kHeat);
  return view;
}

NearShares near_shares(const ProfileView& view) {
  NearShares out;
  for (const PlaceRow& row : view.rows) {
    out.bytes += row.near * row.byte_share;
    out.accesses += row.near * row.access_share;
    if (row.near > 0) ++out.places;
  }
  return out;
}

void sort_rows(ProfileView* view, SortBy by) {
  std::stable_sort(view->rows.begin(), view->rows.end(),
                   [by](const PlaceRow& a, const PlaceRow& b) {
                     const double x = sort_key(a, by), y = sort_key(b, by);
                     return x != y ? x > y : a.counts->peak > b.counts->peak;
                   });
}

std::string profile_table(const ProfileView& view, size_t most) {
  const Profile& p = *view.profile;
  std::string out = p.program + ", " + std::to_string(p.runs) + (p.runs == 1 ? " run" : " runs") +
                    " of " + human_seconds(static_cast<double>(p.milliseconds) / 1000) +
                    "; sampler " + sampler_words(p) + "\n";
  if (view.near_bytes > 0) out += near_words(view);
  Table table;
  table.row({"HEAT", "+-", "ACCESSES", "PEAK", "BYTES", "ALLOCATED", "COUNT", "LIFETIME",
             view.near_bytes > 0 ? "NEAR" : "", "WHERE"});
  size_t shown = 0;
  for (const PlaceRow& row : view.rows) {
    if (shown++ == most) break;
    const ContextProfile& c = *row.counts;
    table.row({heat_cell(view, row), c.samples > 0 ? printed("%.0f%%", 100 * row.error) : "?",
               view.sampled ? percent(row.access_share) : "?", human_bytes(c.peak),
               percent(row.byte_share), human_bytes(c.bytes), std::to_string(c.allocations),
               human_seconds(c.lifetime()), near_cell(row), row.where()});
  }
  table.left(9);
  out += table.text();
  if (view.rows.size() > most) {
    out += std::to_string(view.rows.size() - most) + " more places; --top 0 shows all.\n";
  }
  return out + view.hints;
}

ordered_json profile_json(const ProfileView& view) {
  const Profile& p = *view.profile;
  ordered_json out;
  out["schema"] = 1;
  out["program"] = p.program;
  out["program_id"] = p.program_id;
  out["sampler"] = p.sampler;
  out["sees"] = {{"reads", p.sees_reads}, {"writes", p.sees_writes}};
  out["runs"] = p.runs;
  out["seconds"] = static_cast<double>(p.milliseconds) / 1000;
  out["machine_bytes"] = p.machine_bytes;
  out["samples"] = p.total_samples();
  if (view.near_bytes > 0) out["near_bytes"] = view.near_bytes;
  out["places"] = ordered_json::array();
  for (const PlaceRow& row : view.rows) out["places"].push_back(row_json(view, row));
  return out;
}

}  // namespace hms::cli
