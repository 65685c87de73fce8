// What reports say of tiering, and of change between two looks: see report.h.
#include "cli/report_tiering.h"

#include <nlohmann/json.hpp>

#include "cli/format.h"
#include "cli/report.h"

namespace hms::cli {
namespace {

using nlohmann::ordered_json;

std::string percent(double share) { return printed("%.1f %%", share * 100); }

double growth(uint64_t before, uint64_t after, double seconds) {
  return after > before ? static_cast<double>(after - before) / seconds : 0;
}

std::string per_second(double bytes) { return human_bytes(static_cast<uint64_t>(bytes)) + "/s"; }

}  // namespace

// No code begins its file: at 0 it is no place but a hint of the program.
std::string place_text(const ContextStats& context) {
  if (context.offset == 0) return context.object;
  std::string text = context.object + "+" + hex(context.offset);
  if (context.depth != 0) text += " at depth " + std::to_string(context.depth);
  return text;
}

std::string woven_text(const ContextStats& context) {
  return context.near_share < 0 ? "" : printed("%.0f %% near", context.near_share * 100);
}

Rates rates_between(const ProcessStats& before, const ProcessStats& after, double seconds) {
  Rates rates;
  if (!(seconds > 0)) return rates;
  uint64_t allocated[2] = {}, freed[2] = {};
  for (const TargetStats& t : before.targets) {
    allocated[0] += t.allocated;
    freed[0] += t.freed;
  }
  for (const TargetStats& t : after.targets) {
    allocated[1] += t.allocated;
    freed[1] += t.freed;
  }
  rates.allocated = growth(allocated[0], allocated[1], seconds);
  rates.freed = growth(freed[0], freed[1], seconds);
  rates.promoted = growth(before.tiering.promoted, after.tiering.promoted, seconds);
  rates.demoted = growth(before.tiering.demoted, after.tiering.demoted, seconds);
  return rates;
}

ordered_json tiering_json(const TieringStats& t) {
  ordered_json out;
  out["state"] = t.ended             ? "ended"
                 : t.sampler.empty() ? "waiting"
                 : t.why.empty()     ? "moving"
                                     : "not moving";
  out["why"] = t.why;
  out["near"] = t.near;
  out["far"] = t.far;
  out["sampler"] = t.sampler;
  out["steps"] = t.steps;
  out["hit_ratio"] = t.hit_ratio;
  out["events_per_s"] = t.events_per_s;
  out["price"] = t.price;
  out["near_bytes"] = t.near_bytes;
  out["near_used_bytes"] = t.near_used;
  out["promoted_bytes"] = t.promoted;
  out["demoted_bytes"] = t.demoted;
  out["stuck_pages"] = t.stuck_pages;
  out["cpu_share"] = t.cost;
  out["effort"] = t.effort;
  out["units"] = t.units;
  out["contexts"] = ordered_json::array();
  for (const ContextStats& c : t.contexts) {
    out["contexts"].push_back(
        {{"object", c.object},
         {"offset", c.offset},
         {"depth", c.depth},
         {"share", c.share},
         {"allocated_bytes", c.allocated},
         {"class", c.class_id},
         {"near_share", c.near_share < 0 ? ordered_json() : ordered_json(c.near_share)}});
  }
  return out;
}

ordered_json rates_json(const Rates& rates) {
  return {{"allocated_bytes_per_s", rates.allocated},
          {"freed_bytes_per_s", rates.freed},
          {"promoted_bytes_per_s", rates.promoted},
          {"demoted_bytes_per_s", rates.demoted}};
}

std::string tiering_text(const TieringStats& t) {
  std::string out = "tiering " + t.near + " > " + t.far;
  if (t.sampler.empty() && !t.ended) return out + " waits: " + t.why + "\n";
  out += ", sampler " + t.sampler + ", " + std::to_string(t.steps) + " steps";
  if (t.ended) out += ", ended";
  if (!t.why.empty()) out += ", nothing moves: " + t.why;
  out += "\n  near memory met by " + percent(t.hit_ratio) +
         " of the observed accesses (estimate), " + human_bytes(t.near_used) + " of " +
         human_bytes(t.near_bytes) + " used, price " + printed("%.3g", t.price) + "\n  moved in " +
         human_bytes(t.promoted) + ", out " + human_bytes(t.demoted) + ", " +
         std::to_string(t.stuck_pages) + " pages stuck; costs " + printed("%.2f", t.cost * 100) +
         " % of a CPU, effort " + percent(t.effort) + "\n";
  for (const ContextStats& c : t.contexts) {
    out += "  " + percent(c.share) + " of accesses: " + place_text(c) + ", class " +
           std::to_string(c.class_id) + ", allocated " + human_bytes(c.allocated);
    if (c.near_share >= 0) out += ", streams: woven, " + woven_text(c);
    out += "\n";
  }
  return out;
}

std::string rates_text(const Rates& rates) {
  std::string out =
      "  allocated " + per_second(rates.allocated) + ", freed " + per_second(rates.freed);
  if (rates.promoted > 0 || rates.demoted > 0) {
    out += ", moved in " + per_second(rates.promoted) + ", out " + per_second(rates.demoted);
  }
  return out + "\n";
}

}  // namespace hms::cli
