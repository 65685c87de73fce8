// `hms check`: does what a running process says about its memory agree with itself and the kernel?
#include <stdio.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/pages.h"
#include "cli/progress.h"
#include "runtime/support/inspect.h"

namespace hms::cli {
namespace {

constexpr int kInconsistent = 3;

struct CheckOptions {
  int pid = 0;
  bool json = false;
};

void print(const CheckOptions& options, const Inspection& result) {
  const KernelCheck& kernel = result.kernel;
  if (options.json) {
    nlohmann::ordered_json json = {{"schema", 1},
                                   {"pid", options.pid},
                                   {"consistent", result.found.empty()},
                                   {"contradictions", result.found},
                                   {"windows", kernel.windows},
                                   {"resident_pages", kernel.resident_pages},
                                   {"misplaced_pages", kernel.misplaced_pages},
                                   {"ranges", kernel.ranges}};
    std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
    return;
  }
  for (const std::string& what : result.found)
    printf("process %d: %s\n", options.pid, what.c_str());
  if (result.found.empty()) {
    printf("process %d is consistent: %zu windows, %llu pages resident, %llu of them misplaced",
           options.pid, kernel.windows, static_cast<unsigned long long>(kernel.resident_pages),
           static_cast<unsigned long long>(kernel.misplaced_pages));
    if (kernel.ranges > 0) printf(", %zu bound ranges", kernel.ranges);
    printf("\n");
  }
}

int check(const CheckOptions& options) {
  Result<Inspection> result = [&options] {
    Progress progress(
        "hms check", "asking the kernel about the pages of process " + std::to_string(options.pid));
    return inspect(options.pid);
  }();
  if (!result.ok()) {
    fprintf(stderr, "hms check: %s\n", result.status().message().c_str());
    return kFailed;
  }
  print(options, result.value());
  return result.value().found.empty() ? 0 : kInconsistent;
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
