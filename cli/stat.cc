// `hms stat`: where the memory of a running process is, from outside, now.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/looks.h"
#include "cli/pages.h"
#include "cli/progress.h"
#include "cli/prometheus.h"
#include "cli/serve.h"
#include "runtime/support/os_sampling.h"

namespace hms::cli {
namespace {

constexpr double kVerifySeconds = 10;
constexpr double kVerifyForCollector = 2;  // which waits ten seconds by default

struct StatOptions {
  int pid = 0;
  double watch = 0;  // seconds between two looks; 0: one look
  bool json = false;
  bool no_verify = false;
  bool verify = false;  // all processes, too
  bool prometheus = false;
  std::string listen;  // [ADDRESS:]PORT
  bool expose = false;
};

constexpr char kAsking[] = "asking the kernel where the pages are";

void say(const std::string& text) { fprintf(stderr, "hms stat: %s\n", text.c_str()); }

void print(const Report& report, bool json, bool redraw) {
  if (json) {
    int indent = redraw ? -1 : 2;  // one line for each look
    std::cout << to_json(report).dump(indent, ' ', false, nlohmann::json::error_handler_t::replace)
              << std::endl;
    return;
  }
  if (redraw && isatty(STDOUT_FILENO) != 0) std::cout << "\033[H\033[2J";
  std::cout << to_table(report) << std::flush;
}

// True when Ctrl-C came, which the caller has blocked.
bool interrupted_within(double seconds) {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  timespec timeout;
  timeout.tv_sec = static_cast<time_t>(seconds);
  timeout.tv_nsec = static_cast<long>((seconds - static_cast<double>(timeout.tv_sec)) * 1e9);
  return sigtimedwait(&interrupt, nullptr, &timeout) == SIGINT;
}

// A terminal has written "^C": what comes next begins a line.
void end_echo() {
  if (isatty(STDERR_FILENO) != 0) fputc('\n', stderr);
}

int stat_one(const StatOptions& options) {
  unsigned user = 0;
  Result<StatsFile> file = find_page(options.pid, &user);
  if (!file.ok()) {
    say(file.status().message());
    return kFailed;
  }
  bool redraw = options.watch > 0;
  if (redraw) {
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, nullptr);
  }
  ProcessStats before;
  int64_t before_ns = 0;
  for (bool first = true;; first = false) {
    Result<ProcessReport> process = [&] {
      Progress progress("hms stat", kAsking, !options.no_verify);
      return look_at(file.value(), user, options.no_verify ? 0 : kVerifySeconds);
    }();
    if (!process.ok()) {
      // Between two looks the process may end, and take its page with it.
      if (!first && !is_running(options.pid, file.value().start_time)) return 0;
      say(process.status().message());
      return kFailed;
    }
    const int64_t now_ns = os::monotonic_ns();
    if (!first) {
      const double passed = static_cast<double>(now_ns - before_ns) / 1e9;
      process.value().rates = rates_between(before, process.value().stats, passed);
    }
    before = process.value().stats;
    before_ns = now_ns;
    Report report;
    report.processes.push_back(process.value());
    print(report, options.json, redraw);
    if (!redraw || !std::cout) return 0;
    if (interrupted_within(options.watch)) {
      end_echo();
      return 0;
    }
    if (!is_running(options.pid, file.value().start_time)) return 0;
  }
}

// For a collector: all processes, or one that may have ended by now.
Report look_for_collector(const StatOptions& options) {
  Report report;
  if (options.pid == 0) return Observer().look(options.verify ? kVerifyForCollector : 0);
  unsigned user = 0;
  Result<StatsFile> file = find_page(options.pid, &user);
  if (!file.ok()) return report;
  Result<ProcessReport> process =
      look_at(file.value(), user, options.no_verify ? 0 : kVerifyForCollector);
  if (process.ok()) report.processes.push_back(process.value());
  return report;
}

int print_metrics(const StatOptions& options) {
  unsigned user = 0;
  if (options.pid != 0) {
    Result<StatsFile> file = find_page(options.pid, &user);
    if (!file.ok()) {
      say(file.status().message());
      return kFailed;
    }
  }
  std::cout << to_prometheus(look_for_collector(options)) << std::flush;
  return 0;
}

int serve_metrics(const StatOptions& options) {
  Result<Endpoint> endpoint = parse_endpoint(options.listen);
  if (!endpoint.ok()) {
    say("--listen: " + endpoint.status().message());
    return kUsage;
  }
  if (!endpoint.value().loopback && !options.expose) {
    say("--listen: '" + options.listen +
        "' can be reached from other machines, and whoever reaches it learns which programs run "
        "here; add --expose if that is meant");
    return kUsage;
  }
  Server server;
  const Status status = server.listen_on(endpoint.value());
  if (!status.ok()) {
    say("--listen " + options.listen + ": " + status.message());
    return kFailed;
  }
  say("listening on http://" + server.where() + "/metrics");
  server.serve(kPrometheusType, [&options] { return to_prometheus(look_for_collector(options)); });
  end_echo();
  return 0;
}

// Every process of this user, or for root of everybody; the kernel is asked if that is wished.
int stat_all(const StatOptions& options) {
  remove_stale_stats(geteuid());
  const Report report = [&options] {
    Progress progress("hms stat", kAsking, options.verify);
    return Observer().look(options.verify ? kVerifySeconds : 0);
  }();
  if (options.json) {
    print(report, true, false);
    return 0;
  }
  if (report.processes.empty()) {
    std::cout << no_processes();
    return 0;
  }
  printf("%8s  %-20s  %8s  %s\n", "PID", "PROGRAM", "THREADS", "COMMITTED");
  for (const ProcessReport& process : report.processes) {
    uint64_t charged = 0;
    for (const TargetStats& target : process.stats.targets) charged += target.charged;
    printf("%8d  %-20s  %8llu  %s\n", process.stats.pid, process.stats.program.c_str(),
           static_cast<unsigned long long>(process.stats.threads), human_bytes(charged).c_str());
  }
  return 0;
}

void setup(CLI::App& app) {
  auto options = std::make_shared<StatOptions>();
  CLI::App* sub = app.add_subcommand("stat", "Show where the memory of running programs is");
  sub->footer("Without PID: the processes of this user that run under libhms.");
  add_pid(sub, &options->pid, "Process to look at");
  auto* watch = sub->add_option("--watch", options->watch,
                                "Again and again, every SECONDS (2), until Ctrl-C or its end")
                    ->type_name("SECONDS")
                    ->expected(0, 1)
                    ->default_str("2")
                    ->check(CLI::Range(0.1, 86400.0));
  auto* json = sub->add_flag("--json", options->json, "JSON; with --watch one line for each look");
  auto* no_verify =
      sub->add_flag("--no-verify", options->no_verify, "Counters only, without asking the kernel");
  sub->add_flag("--verify", options->verify, "Ask the kernel about all processes, too")
      ->excludes(no_verify);
  auto* prometheus = sub->add_flag("--prometheus", options->prometheus,
                                   "The text format of Prometheus instead of a table");
  auto* listen = sub->add_option("--listen", options->listen,
                                 "Answer GET /metrics on this port, until Ctrl-C; the address is "
                                 "127.0.0.1 unless one is given")
                     ->type_name("[ADDRESS:]PORT");
  sub->add_flag("--expose", options->expose, "Listen on addresses that other machines reach, too")
      ->needs(listen);
  prometheus->excludes(json)->excludes(watch);
  listen->excludes(json)->excludes(watch);
  sub->callback([options, watch, listen] {
    if (watch->count() > 0 && options->pid == 0) {
      say("--watch needs a process: hms stat PID --watch [SECONDS]");
      finish(kUsage);
      return;
    }
    if (listen->count() > 0) {
      finish(serve_metrics(*options));
    } else if (options->prometheus) {
      finish(print_metrics(*options));
    } else {
      finish(options->pid != 0 ? stat_one(*options) : stat_all(*options));
    }
  });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
