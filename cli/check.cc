// `hms check`: does what a running process says about its memory agree with itself and the kernel?
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/pages.h"
#include "runtime/support/consistency.h"

namespace hms::cli {
namespace {

constexpr int kInconsistent = 3;
constexpr int kLooks = 3;
constexpr useconds_t kBetweenLooks = 100000;  // counters move: only what is in every look is meant
constexpr double kKernelSeconds = 10;

struct CheckOptions {
  int pid = 0;
  bool json = false;
};

// One look: the page by itself, and against the kernel if that makes sense.
struct Look {
  Contradictions found;
  KernelCheck kernel;
};

// A page as it is, aligned; short ones are told by `bytes`.
struct Copy {
  std::unique_ptr<StatsPage> page = std::make_unique<StatsPage>();
  size_t bytes = 0;
};

Result<Copy> copy_of(const StatsFile& file, unsigned user) {
  Result<std::vector<char>> raw = read_page(file, user);
  if (!raw.ok()) return raw.status();
  Copy copy;
  copy.bytes = raw.value().size();
  memcpy(static_cast<void*>(copy.page.get()), raw.value().data(), copy.bytes);
  return copy;
}

Result<Look> look(const StatsFile& file, unsigned user) {
  Result<Copy> now = copy_of(file, user);
  if (!now.ok()) return now.status();
  Look out;
  const StatsPage& page = *now.value().page;
  out.found = check_page(&page, now.value().bytes);
  if (!out.found.empty()) return out;
  if (page.pid != file.pid || page.start_time != file.start_time) {
    out.found.push_back("the page names another process than its file name");
    return out;
  }
  Result<ProcessStats> stats = parse_stats(&page, sizeof page);
  if (stats.ok() && is_replaced(stats.value())) {
    return Status(HMS_ENODEV, "process " + std::to_string(file.pid) +
                                  " has become another program, one without libhms");
  }
  Result<KernelCheck> kernel = check_kernel(file.pid, page, kKernelSeconds);
  if (!kernel.ok()) return kernel.status();
  Result<Copy> after = copy_of(file, user);
  if (!after.ok()) return after.status();
  check_charges(page, *after.value().page, &kernel.value());
  out.kernel = kernel.value();
  out.found = out.kernel.contradictions;
  return out;
}

void print(const CheckOptions& options, const Look& result) {
  if (options.json) {
    nlohmann::ordered_json json = {{"schema", 1},
                                   {"pid", options.pid},
                                   {"consistent", result.found.empty()},
                                   {"contradictions", result.found},
                                   {"windows", result.kernel.windows},
                                   {"resident_pages", result.kernel.resident_pages},
                                   {"misplaced_pages", result.kernel.misplaced_pages}};
    std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
    return;
  }
  for (const std::string& what : result.found)
    printf("process %d: %s\n", options.pid, what.c_str());
  if (result.found.empty()) {
    printf("process %d is consistent: %zu windows, %llu pages resident, %llu of them misplaced\n",
           options.pid, result.kernel.windows,
           static_cast<unsigned long long>(result.kernel.resident_pages),
           static_cast<unsigned long long>(result.kernel.misplaced_pages));
  }
}

int check(const CheckOptions& options) {
  const auto failed = [](const Status& status) {
    fprintf(stderr, "hms check: %s\n", status.message().c_str());
    return kFailed;
  };
  unsigned user = 0;
  Result<StatsFile> file = find_page(options.pid, &user);
  if (!file.ok()) return failed(file.status());
  Look result;
  for (int i = 0; i < kLooks; ++i) {
    if (i > 0) usleep(kBetweenLooks);
    Result<Look> next = look(file.value(), user);
    if (!next.ok()) return failed(next.status());
    result.kernel = next.value().kernel;
    result.found = i == 0 ? next.value().found : lasting(result.found, next.value().found);
    if (result.found.empty()) break;
  }
  print(options, result);
  return result.found.empty() ? 0 : kInconsistent;
}

void setup(CLI::App& app) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* sub =
      app.add_subcommand("check", "Check what a program says about its memory against the kernel");
  sub->footer("Exit code 0: consistent; 3: contradictions, one a line; 1: cannot be checked.");
  add_pid(sub, &options->pid, "Process to check")->required();
  sub->add_flag("--json", options->json, "JSON");
  sub->callback([options] { finish(check(*options)); });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
