// `hms doctor`: what this machine and this user can do, the consequence, and the way out.
#include "runtime/support/doctor.h"

#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "runtime/tiering/samplers/ladder.h"

// The embedded jemalloc, under its private name (cmake/embed_jemalloc.sh).
extern "C" int hmsje_mallctl(const char* name, void* old, size_t* old_size, void* fresh,
                             size_t fresh_size);

namespace hms::cli {
namespace {

using doctor::Finding;
using doctor::Verdict;

Finding kernel_finding() {
  utsname name = {};
  uname(&name);
  return {"kernel", Verdict::kOk,
          std::string(name.sysname) + " " + name.release + " " + name.machine,
          "user " + std::to_string(geteuid()), ""};
}

Finding jemalloc_finding() {
  const char* version = nullptr;
  size_t size = sizeof version;
  if (hmsje_mallctl("version", &version, &size, nullptr, 0) != 0) version = "unknown";
  return {"jemalloc", Verdict::kOk, std::string("embedded, ") + version,
          "the arenas of every placement; no other copy in the program is used or disturbed", ""};
}

// The ways to see which memory is used, the best first; tiering takes the first that opens.
void add_sampler_findings(std::vector<Finding>* out) {
  std::string chosen;
  for (const tiering::Rung& rung : tiering::try_samplers()) {
    if (rung.name == "none") continue;
    Finding f{"sampler-" + rung.name, Verdict::kOk, "opens, sees " + rung.sees, "", ""};
    if (rung.status.ok()) {
      f.consequence = chosen.empty() ? "tiering uses it" : "not needed: '" + chosen + "' is better";
      if (chosen.empty()) chosen = rung.name;
      out->push_back(f);
      continue;
    }
    // Messages say what is wrong; behind the semicolon, what helps.
    const std::string& why = rung.status.message();
    const size_t cut = why.find("; ");
    f.verdict = chosen.empty() ? Verdict::kWarn : Verdict::kOk;
    f.found = why.substr(0, cut);
    f.consequence = chosen.empty() ? "tiering uses the next one that opens"
                                   : "not needed: '" + chosen + "' is better";
    f.way_out =
        cut == std::string::npos ? "nothing to do if another sampler opens" : why.substr(cut + 2);
    out->push_back(f);
  }
  if (!chosen.empty()) return;
  out->push_back({"samplers", Verdict::kOff, "none opens",
                  "tiering knows sizes, lifetimes and profiles, but not what is used",
                  "see the findings of the samplers above"});
}

void print_json(const std::vector<Finding>& findings) {
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& f : findings) {
    list.push_back({{"name", f.name},
                    {"status", to_string(f.verdict)},
                    {"found", f.found},
                    {"consequence", f.consequence},
                    {"way_out", f.way_out}});
  }
  const nlohmann::json document = {{"schema", 1}, {"findings", list}};
  // Files of the system are not always UTF-8; a replacement character beats no answer.
  puts(document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void print_text(const std::vector<Finding>& findings) {
  int counts[3] = {};
  for (const Finding& f : findings) {
    ++counts[static_cast<int>(f.verdict)];
    printf("%-4s  %-20s %s\n", to_string(f.verdict), f.name.c_str(), f.found.c_str());
    printf("      %-20s means: %s\n", "", f.consequence.c_str());
    if (!f.way_out.empty()) printf("      %-20s way out: %s\n", "", f.way_out.c_str());
  }
  printf("\n%d ok, %d warnings, %d not available\n", counts[0], counts[1], counts[2]);
}

void run(bool json) {
  std::vector<Finding> findings = doctor::examine(doctor::this_machine());
  findings.insert(findings.begin(), kernel_finding());
  add_sampler_findings(&findings);
  findings.push_back(jemalloc_finding());
  json ? print_json(findings) : print_text(findings);
}

void setup(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Tell what this machine and this user can do, with consequences and ways out");
  static bool json = false;
  command->add_flag("--json", json, "Print JSON (schema 1) instead of text");
  command->callback([] { run(json); });
}

const Command registration(setup);

}  // namespace
}  // namespace hms::cli
