// `hms run`: starts a program on the memories that rules give it, and reports where its pages were.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/command.h"
#include "cli/launch.h"
#include "cli/report.h"
#include "cli/statements.h"
#include "cli/supervise.h"
#include "runtime/support/stats_files.h"
#include "runtime/tiering/profile.h"

namespace hms::cli {
namespace {

constexpr double kSnapshotSeconds = 5;  // no single look at a process may take longer

void say(const std::string& text) { fprintf(stderr, "hms run: %s\n", text.c_str()); }

// The counter pages of one run: looks at them while it lasts, sums them up at its end.
class RunWatch {
 public:
  explicit RunWatch(std::string dir) : dir_(std::move(dir)), user_(geteuid()) {}

  // Asks the kernel where the pages of each process are, and keeps the answer: a process that is
  // killed takes its pages with it.
  void look() {
    for (const StatsFile& file : list_stats(dir_, user_)) {
      if (file.replaced || !is_running(file.pid, file.start_time)) continue;
      Result<ProcessStats> stats = read_stats(file, user_);
      if (!stats.ok() || stats.value().exited) continue;
      // The addresses in the page mean nothing in the program that took its place.
      if (is_replaced(stats.value())) replaced_.insert(file.name);
      if (replaced_.count(file.name) != 0) continue;
      Status checked = verify_pages(&stats.value(), kSnapshotSeconds);
      if (checked.ok() || checked.code() == HMS_EPARTIAL) {
        snapshots_[file.name] = {stats.value(), checked.message()};
      }
    }
  }

  Report sum_up() {
    Report report;
    for (const StatsFile& file : list_stats(dir_, user_)) {
      Result<ProcessStats> stats = read_stats(file, user_);
      if (!stats.ok()) {
        say(stats.status().message() + "; left out of the report");
        continue;
      }
      report.processes.push_back(judge(file, stats.value()));
    }
    return report;
  }

 private:
  struct Snapshot {
    ProcessStats stats;
    std::string note;
  };

  ProcessReport judge(const StatsFile& file, const ProcessStats& stats) {
    ProcessReport out;
    out.stats = stats;
    out.running = !stats.exited && is_running(file.pid, file.start_time);
    out.replaced =
        file.replaced || replaced_.count(file.name) != 0 || (out.running && is_replaced(stats));
    if (stats.audited) {
      out.verified = Verified::kAtExit;
      return out;
    }
    auto known = snapshots_.find(file.name);
    if (known == snapshots_.end()) {
      out.note = std::string(out.replaced ? "another program took its place (exec)" : "it ended") +
                 " before its pages could be checked; these are its own counters";
      return out;
    }
    out.verified = Verified::kSnapshot;
    out.note = known->second.note;
    for (TargetStats& target : out.stats.targets) {
      target.resident = target.verified_pages = target.misplaced_pages = 0;
      for (const TargetStats& seen : known->second.stats.targets) {
        if (seen.key != target.key) continue;
        target.resident = seen.resident;
        target.verified_pages = seen.verified_pages;
        target.misplaced_pages = seen.misplaced_pages;
      }
    }
    return out;
  }

  std::string dir_;
  unsigned user_;
  std::map<std::string, Snapshot> snapshots_;
  std::set<std::string> replaced_;  // by programs without libhms, which have no page
};

int write_report(const Report& report, const std::string& where) {
  if (!report.processes.empty()) fputs(to_table(report).c_str(), stderr);
  if (where == kReportTable) return 0;
  std::string text = to_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  if (where == "-") {
    std::cout << text << std::endl;
    return 0;
  }
  std::ofstream file(where);
  file << text << "\n";
  file.close();
  if (file) return 0;
  say("cannot write the report to '" + where + "'");
  return kFailed;
}

void set_environment(const RunOptions& options, const std::string& configuration) {
  if (options.has_configuration()) {
    setenv("HMS_CONF", configuration.c_str(), 1);
    unsetenv("HMS_CONF_FILE");
  }
  if (!options.topology.empty()) setenv("HMS_TOPOLOGY", options.topology.c_str(), 1);
  if (!options.tiers.empty()) unsetenv("HMS_TOPOLOGY");
  if (!options.tiering.empty()) setenv("HMS_TIERING", options.tiering.c_str(), 1);
  // The program may change its folder before it starts another one.
  if (!options.profile.empty()) {
    setenv("HMS_PROFILE", std::filesystem::absolute(options.profile).c_str(), 1);
  }
  if (options.spaces.empty()) return;
  std::string spaces;
  for (const std::string& space : options.spaces) spaces += (spaces.empty() ? "" : ",") + space;
  setenv("HMS_OMP_SPACES", spaces.c_str(), 1);
}

void tell_environment(const std::string& path) {
  say("running " + path);
  for (const char* name : {"HMS_CONF", "LD_PRELOAD"}) {
    const char* value = secure_getenv(name);
    if (value != nullptr) say(std::string(name) + "=" + value);
  }
  setenv("HMS_LOG_LEVEL", "info", 0);
}

int run_with_report(const RunOptions& options, const std::string& path) {
  // Checked now: a report that cannot be written should not cost a run.
  bool to_file = options.report != kReportTable && options.report != "-";
  if (to_file && !std::ofstream(options.report, std::ios::app)) {
    say("cannot write the report to '" + options.report + "'");
    return kUsage;
  }
  std::string dir;
  const int refused = open_run_folder(say, &dir);
  if (refused != 0) return refused;
  setenv("HMS_AUDIT", "1", 1);
  RunWatch watch(dir);
  // The command sees LD_PRELOAD because this process's environment has it; this process itself was
  // started without.
  Ending ending = supervise(path, options.command, [&watch] { watch.look(); });
  Report report = watch.sum_up();
  report.command = options.command[0];
  report.exit_code = ending.exit_code;
  report.signal = ending.signal;
  if (report.processes.empty()) {
    say("libhms was in effect in no process of this run: nothing to report");
  }
  int written = write_report(report, options.report);
  // Pages of processes that outlive the command stay, for `hms stat`.
  close_run_folder(dir);
  int code = end_like(ending);
  return code != 0 ? code : written;
}

int run(const RunOptions& options) {
  std::string configuration;
  std::vector<std::string> hints;
  std::vector<std::string> problems = check_configuration(options, &configuration, &hints);
  for (const std::string& problem : problems) say(problem);
  if (!problems.empty()) return kUsage;
  if (!options.profile.empty()) {
    Result<tiering::Profile> profile = tiering::read_profile(options.profile);
    if (!profile.ok()) {
      say("--profile: " + profile.status().message());
      return kUsage;
    }
  }
  for (const std::string& hint : hints) say(hint);
  std::string path;
  const int refused = prepare_command(options.command[0], options.omp, say, &path);
  if (refused != 0) return refused;
  set_environment(options, configuration);
  if (options.verbose) tell_environment(path);
  remove_stale_stats(geteuid());
  if (options.report.empty()) return exec_command(path, options.command);
  return run_with_report(options, path);
}

void setup(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* sub = app.add_subcommand("run", "Run a program on the memories that rules give it");
  sub->footer(
      "Rules: [COND[,COND..]:]PLACEMENT, first match wins, such as\n"
      "  hms run --rule 'size>=64K:node:2>node:0' --report -- redis-server\n"
      "See hms-rules(7). The exit code and signals of the program are passed on.");
  add_statements(sub, options.get(), "Targets by name: see `hms topology --help`");
  sub->add_option("--topology", options->topology, "live, xml:FILE, synthetic:SPEC, tiers:SPEC");
  sub->add_option("--profile", options->profile,
                  "A profile of `hms record`: allocate what it found hot in near memory")
      ->type_name("FILE");
  sub->add_option("--tiering", options->tiering,
                  "auto: move what is used to near memory, and the rest away; off; or NEAR>FAR")
      ->type_name("auto|off|NEAR>FAR");
  sub->add_flag("--omp", options->omp,
                "Serve OpenMP memory management, too: spaces, traits, allocators");
  add_repeated(sub, "--space", &options->spaces, "NAME=PLACEMENT: a memory space; may be repeated");
  sub->add_flag(std::string("--report{") + kReportTable + "}", options->report,
                "Say at the end where the pages are; --report=FILE: also as JSON (- for stdout)");
  sub->add_flag("--verbose", options->verbose, "Show what is set up");
  // From the first word of the command on, nothing is ours any more.
  sub->add_option("COMMAND", options->command, "The program and its arguments")->expected(-1);
  sub->positionals_at_end();
  sub->callback([options] {
    if (options->command.empty()) {
      say("no command; write it after the options: hms run [OPTIONS] -- COMMAND [ARGUMENTS]");
      finish(kUsage);
      return;
    }
    finish(run(*options));
  });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
