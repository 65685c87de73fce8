// The report: see report.h.
#include "cli/report.h"

#include <stdio.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/report_tiering.h"
#include "cli/table.h"

namespace hms::cli {
namespace {

using nlohmann::ordered_json;

ordered_json target_json(const TargetStats& t) {
  ordered_json out;
  out["key"] = t.key;
  out["node"] = t.node >= 0 ? ordered_json(t.node) : ordered_json(nullptr);
  out["emulated"] = t.emulated;
  out["quota_bytes"] = t.quota != UINT64_MAX ? ordered_json(t.quota) : ordered_json(nullptr);
  out["capacity_bytes"] =
      t.capacity != UINT64_MAX ? ordered_json(t.capacity) : ordered_json(nullptr);
  out["allocated_bytes"] = t.allocated;
  out["freed_bytes"] = t.freed;
  out["live_bytes"] = t.live;
  out["charged_bytes"] = t.charged;
  out["charged_peak_bytes"] = t.charged_peak;
  out["resident_bytes"] = t.resident;
  out["verified_pages"] = t.verified_pages;
  out["misplaced_pages"] = t.misplaced_pages;
  out["migrations"] = t.migrated_pages;
  out["refused"] = {
      {"quota", t.refused_quota}, {"full", t.refused_full}, {"system", t.refused_system}};
  out["spilled_bytes"] = t.spilled;
  return out;
}

const char* name_of(Verified verified) {
  switch (verified) {
    case Verified::kAtExit:
      return "exit";
    case Verified::kSnapshot:
      return "snapshot";
    case Verified::kNow:
      return "now";
    case Verified::kNever:
      break;
  }
  return "never";
}

const char* state_of(const ProcessReport& process) {
  if (process.replaced) return "replaced";
  if (process.stats.exited) return "exited";
  return process.running ? "running" : "killed";
}

ordered_json process_json(const ProcessReport& process) {
  ordered_json out;
  out["pid"] = process.stats.pid;
  out["program"] = process.stats.program;
  out["state"] = state_of(process);
  out["verified"] = name_of(process.verified);
  if (!process.note.empty()) out["note"] = process.note;
  out["threads"] = process.stats.threads;
  out["policy_calls"] = process.stats.policy_calls;
  out["targets"] = ordered_json::array();
  for (const TargetStats& t : process.stats.targets) out["targets"].push_back(target_json(t));
  if (process.rates) out["rates"] = rates_json(*process.rates);
  if (process.stats.tiering.on) out["tiering"] = tiering_json(process.stats.tiering);
  return out;
}

void add(TargetStats* sum, const TargetStats& t) {
  sum->emulated = sum->emulated || t.emulated;
  sum->quota = std::min(sum->quota, t.quota);
  sum->allocated += t.allocated;
  sum->freed += t.freed;
  sum->live += t.live;
  sum->charged += t.charged;
  sum->charged_peak += t.charged_peak;
  sum->refused_quota += t.refused_quota;
  sum->refused_full += t.refused_full;
  sum->refused_system += t.refused_system;
  sum->spilled += t.spilled;
  sum->migrated_pages += t.migrated_pages;
  sum->resident += t.resident;
  sum->verified_pages += t.verified_pages;
  sum->misplaced_pages += t.misplaced_pages;
}

std::string refusals(const TargetStats& t) {
  if (t.refused_quota + t.refused_full + t.refused_system == 0) return "-";
  std::string out;
  auto say = [&out](uint64_t count, const char* why) {
    if (count == 0) return;
    out += (out.empty() ? "" : " ") + std::string(why) + ":" + std::to_string(count);
  };
  say(t.refused_quota, "quota");
  say(t.refused_full, "full");
  say(t.refused_system, "system");
  return out;
}

std::string target_table(const std::vector<TargetStats>& targets, bool verified) {
  Table table;
  table.row({"TARGET", "NODE", "QUOTA", "ALLOCATED", "LIVE", "COMMITTED", "RESIDENT", "VERIFIED",
             "MISPLACED", "MIGRATED", "SPILLED", "REFUSED"});
  for (const TargetStats& t : targets) {
    table.row({t.key, t.node >= 0 ? std::to_string(t.node) : "any",
               t.quota != UINT64_MAX ? human_bytes(t.quota) : "-", human_bytes(t.allocated),
               human_bytes(t.live), human_bytes(t.charged),
               verified ? human_bytes(t.resident) : "?",
               verified ? std::to_string(t.verified_pages) : "?",
               verified ? std::to_string(t.misplaced_pages) : "?", std::to_string(t.migrated_pages),
               human_bytes(t.spilled), refusals(t)});
  }
  return table.text();
}

std::string process_line(const ProcessReport& process) {
  std::string line = "process " + std::to_string(process.stats.pid) + " (" + process.stats.program +
                     "), " + state_of(process);
  if (process.verified == Verified::kAtExit) line += ", pages checked at its end";
  if (process.verified == Verified::kSnapshot) line += ", pages as in the last check while it ran";
  if (process.verified == Verified::kNever) line += ", pages not checked";
  if (!process.note.empty()) line += ": " + process.note;
  return line + "\n";
}

}  // namespace

bool Report::emulated() const {
  for (const ProcessReport& process : processes) {
    for (const TargetStats& t : process.stats.targets) {
      if (t.emulated) return true;
    }
  }
  return false;
}

std::vector<TargetStats> Report::totals() const {
  std::vector<TargetStats> sums;
  for (const ProcessReport& process : processes) {
    for (const TargetStats& t : process.stats.targets) {
      auto same = std::find_if(sums.begin(), sums.end(),
                               [&t](const TargetStats& s) { return s.key == t.key; });
      if (same == sums.end()) {
        sums.push_back(t);
      } else {
        add(&*same, t);
      }
    }
  }
  return sums;
}

std::string human_bytes(uint64_t bytes) {
  static const char* const kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  auto value = static_cast<double>(bytes);
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  char text[32];
  snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.2f %s", value, kUnits[unit]);
  return text;
}

ordered_json to_json(const Report& report) {
  ordered_json out;
  out["schema"] = 1;
  out["emulated"] = report.emulated();
  if (report.emulated()) out["note"] = "verified means the node that backs the emulated target";
  if (!report.command.empty()) {
    out["command"] = report.command;
    out["exit"] = report.exit_code;
    out["signal"] = report.signal != 0 ? ordered_json(report.signal) : ordered_json(nullptr);
  }
  out["targets"] = ordered_json::array();
  for (const TargetStats& t : report.totals()) out["targets"].push_back(target_json(t));
  out["processes"] = ordered_json::array();
  for (const ProcessReport& process : report.processes) {
    out["processes"].push_back(process_json(process));
  }
  return out;
}

std::string to_table(const Report& report) {
  std::string out;
  bool verified = false;
  for (const ProcessReport& process : report.processes) {
    verified = verified || process.verified != Verified::kNever;
    // A clean end of one of many is what one expects; the others deserve a line.
    bool plain = process.verified == Verified::kAtExit && process.note.empty();
    if (!plain || report.processes.size() == 1) out += process_line(process);
  }
  if (report.processes.size() > 1) {
    out += std::to_string(report.processes.size()) + " processes, in all:\n";
  }
  out += target_table(report.totals(), verified);
  for (const ProcessReport& process : report.processes) {
    if (process.rates) out += rates_text(*process.rates);
    if (process.stats.tiering.on) out += tiering_text(process.stats.tiering);
  }
  if (report.emulated()) {
    out += "Emulated: verified means that a page is on the node that backs the target.\n";
  }
  return out;
}

}  // namespace hms::cli
