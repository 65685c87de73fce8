// See prometheus.h.
#include "cli/prometheus.h"

#include <stdio.h>

#include <functional>
#include <set>
#include <utility>
#include <vector>

namespace hms::cli {
namespace {

using Labels = std::vector<std::pair<const char*, std::string>>;

// Backslash, quote and line feed are what the format escapes.
std::string escaped(const std::string& value) {
  std::string out;
  for (char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    c == '\n' ? out += "\\n" : out += c;
  }
  return out;
}

// One metric: its heading, then its samples. A page can name a target twice, but no collector takes
// a second sample of the same labels, so the first one counts.
class Family {
 public:
  Family(const char* name, const char* type, const char* help)
      : name_(name),
        head_("# HELP hms_" + name_ + " " + help + "\n# TYPE hms_" + name_ + " " + type + "\n") {}

  void add(const Labels& labels, const std::string& value) {
    std::string text;
    for (const auto& [name, of] : labels) {
      text += (text.empty() ? "{" : ",") + std::string(name) + "=\"" + escaped(of) + "\"";
    }
    if (!text.empty()) text += "}";
    if (known_.insert(text).second) samples_ += "hms_" + name_ + text + " " + value + "\n";
  }
  void add(const Labels& labels, uint64_t value) { add(labels, std::to_string(value)); }
  void add(const Labels& labels, double value) {
    char text[32];
    snprintf(text, sizeof text, "%.10g", value);
    add(labels, std::string(text));
  }
  // Nothing without samples.
  std::string text() const { return samples_.empty() ? "" : head_ + samples_; }

 private:
  std::string name_, head_, samples_;
  std::set<std::string> known_;
};

struct TargetMetric {
  const char *name, *type, *help;
  uint64_t TargetStats::*value;
  bool verified;  // known only where the kernel was asked
};

constexpr TargetMetric kTargetMetrics[] = {
    {"target_allocated_bytes_total", "counter", "Bytes handed out since the start.",
     &TargetStats::allocated, false},
    {"target_freed_bytes_total", "counter", "Bytes taken back since the start.",
     &TargetStats::freed, false},
    {"target_live_bytes", "gauge", "Bytes handed out and not taken back.", &TargetStats::live,
     false},
    {"target_committed_bytes", "gauge", "Memory made usable; quotas limit it.",
     &TargetStats::charged, false},
    {"target_committed_peak_bytes", "gauge", "The most that was committed.",
     &TargetStats::charged_peak, false},
    {"target_migrated_pages_total", "counter", "Pages moved onto the target.",
     &TargetStats::migrated_pages, false},
    {"target_spilled_bytes_total", "counter", "Bytes that went to a later target of their list.",
     &TargetStats::spilled, false},
    {"target_resident_bytes", "gauge", "Bytes in pages that exist, by the kernel's answer.",
     &TargetStats::resident, true},
    {"target_verified_pages", "gauge", "Pages on the node that the placement asks for.",
     &TargetStats::verified_pages, true},
    {"target_misplaced_pages", "gauge", "Pages on another node.", &TargetStats::misplaced_pages,
     true}};

struct TieringMetric {
  const char *name, *type, *help;
  double (*value)(const TieringStats& tiering);
};

constexpr TieringMetric kTieringMetrics[] = {
    {"tiering_hit_ratio", "gauge", "Share of the accesses met by near memory, estimated.",
     [](const TieringStats& t) { return t.hit_ratio; }},
    {"tiering_events_per_second", "gauge", "Observations that the estimate rests on.",
     [](const TieringStats& t) { return t.events_per_s; }},
    {"tiering_near_bytes", "gauge", "Near memory that tiering may use.",
     [](const TieringStats& t) { return static_cast<double>(t.near_bytes); }},
    {"tiering_near_used_bytes", "gauge", "Near memory that it uses.",
     [](const TieringStats& t) { return static_cast<double>(t.near_used); }},
    {"tiering_promoted_bytes_total", "counter", "Bytes moved into near memory.",
     [](const TieringStats& t) { return static_cast<double>(t.promoted); }},
    {"tiering_demoted_bytes_total", "counter", "Bytes moved out of near memory.",
     [](const TieringStats& t) { return static_cast<double>(t.demoted); }},
    {"tiering_stuck_pages", "gauge", "Pages that could not be moved.",
     [](const TieringStats& t) { return static_cast<double>(t.stuck_pages); }},
    {"tiering_cpu_share", "gauge", "CPUs that tiering takes.",
     [](const TieringStats& t) { return t.cost; }}};

Labels of_process(const ProcessReport& process) {
  return {{"pid", std::to_string(process.stats.pid)}, {"program", process.stats.program}};
}

void for_targets(
    const Report& report,
    const std::function<void(const ProcessReport&, const TargetStats&, const Labels&)>& add) {
  for (const ProcessReport& process : report.processes) {
    for (const TargetStats& t : process.stats.targets) {
      Labels labels = of_process(process);
      labels.emplace_back("target", t.key);
      add(process, t, labels);
    }
  }
}

std::string process_families(const Report& report) {
  Family processes("processes", "gauge", "Processes under libhms that could be looked at.");
  processes.add({}, uint64_t{report.processes.size()});
  Family threads("process_threads", "gauge", "Threads that allocate.");
  Family calls("process_policy_calls_total", "counter", "System calls for memory policies.");
  for (const ProcessReport& process : report.processes) {
    threads.add(of_process(process), process.stats.threads);
    calls.add(of_process(process), process.stats.policy_calls);
  }
  return processes.text() + threads.text() + calls.text();
}

std::string target_families(const Report& report) {
  Family info("target_info", "gauge",
              "Always 1; the node of a target, and whether it is emulated.");
  Family quota("target_quota_bytes", "gauge", "The limit in force, where there is one.");
  Family refused("target_refused_total", "counter", "Requests for memory that were refused.");
  for_targets(report, [&](const ProcessReport&, const TargetStats& t, const Labels& labels) {
    if (t.quota != UINT64_MAX) quota.add(labels, t.quota);
    Labels more = labels;
    more.emplace_back("node", t.node >= 0 ? std::to_string(t.node) : "any");
    more.emplace_back("emulated", t.emulated ? "true" : "false");
    info.add(more, uint64_t{1});
    Labels reasoned = labels;
    reasoned.emplace_back("reason", "");
    for (const auto& [reason, count] : {std::pair{"quota", t.refused_quota},
                                        {"full", t.refused_full},
                                        {"system", t.refused_system}}) {
      reasoned.back().second = reason;
      refused.add(reasoned, count);
    }
  });
  std::string out = info.text() + quota.text() + refused.text();
  for (const TargetMetric& metric : kTargetMetrics) {
    Family family(metric.name, metric.type, metric.help);
    for_targets(report,
                [&](const ProcessReport& process, const TargetStats& t, const Labels& labels) {
                  if (metric.verified && process.verified == Verified::kNever) return;
                  family.add(labels, t.*metric.value);
                });
    out += family.text();
  }
  return out;
}

std::string tiering_families(const Report& report) {
  std::string out;
  for (const TieringMetric& metric : kTieringMetrics) {
    Family family(metric.name, metric.type, metric.help);
    for (const ProcessReport& process : report.processes) {
      const TieringStats& tiering = process.stats.tiering;
      if (tiering.runs()) family.add(of_process(process), metric.value(tiering));
    }
    out += family.text();
  }
  return out;
}

}  // namespace

std::string to_prometheus(const Report& report) {
  return process_families(report) + target_families(report) + tiering_families(report);
}

}  // namespace hms::cli
