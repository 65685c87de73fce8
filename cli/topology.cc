// `hms topology`: what memories there are, how they are reached, and how well.
#include <errno.h>
#include <stdio.h>

#include <memory>
#include <system_error>

#include "cli/command.h"
#include "cli/measure.h"
#include "cli/progress.h"
#include "cli/topology_view.h"
#include "runtime/topology/measured.h"

namespace hms::cli {
namespace {

using topology::Topology;
constexpr int kInterrupted = 130;  // as shells report a command that SIGINT ended

struct Options {
  std::string input;
  bool json = false;
  bool dot = false;
  std::string svg;
  bool measure = false;
  std::string measure_file;
};

int complain(const std::string& message, int code) {
  fprintf(stderr, "hms topology: %s\n", message.c_str());
  return code;
}

int write_svg(const Topology& t, const std::string& path) {
  std::string text = topology_svg(t);
  FILE* file = path == "-" ? stdout : fopen(path.c_str(), "we");
  if (!file) return complain(path + ": " + std::generic_category().message(errno), kFailed);
  bool ok = fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file == stdout) return 0;
  ok = fclose(file) == 0 && ok;
  return ok ? 0 : complain(path + ": could not be written whole", kFailed);
}

// Measures, writes the file, and says what was measured on stderr, which is free for it.
int run_measure(const Topology& t, const Options& options) {
  const std::string path =
      options.measure_file.empty() ? topology::measured_path() : options.measure_file;
  auto file = MeasureFile::open(path, options.measure_file.empty());
  if (!file.ok()) return complain(file.status().message(), kFailed);
  MeasureResult result;
  {
    Progress progress("hms topology", "measuring");
    result = measure(t, [&progress](const std::string& what) { progress.set(what); });
  }
  if (result.interrupted) return complain("interrupted; nothing was written", kInterrupted);
  fputs(result.report.c_str(), stderr);
  if (result.measurements.pairs.empty()) {
    return complain("no pair could be measured; nothing was written", kFailed);
  }
  if (Status s = file.value().write(result.measurements); !s.ok()) {
    return complain(s.message(), kFailed);
  }
  fprintf(stderr, "written to %s\n", path.c_str());
  if (path != topology::measured_path()) {
    fprintf(stderr, "later runs read it with HMS_MEASURED=%s\n", path.c_str());
  }
  return 0;
}

int show(const Topology& t, const Options& options) {
  if (!options.svg.empty()) return write_svg(t, options.svg);
  std::string text = options.json  ? json_text(topology_json(t))
                     : options.dot ? topology_dot(t)
                                   : topology_table(t);
  fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

int run(const Options& options) {
  auto loaded = Topology::load(options.input);
  if (!loaded.ok()) {
    bool usage = loaded.status().code() == HMS_EINVAL;
    return complain(loaded.status().message(), usage ? kUsage : kFailed);
  }
  if (options.measure) {
    const std::string& source = loaded.value()->source();
    if (source != "live" && source != "sysfs") {
      return complain("--measure measures this machine; the topology is " + source, kUsage);
    }
    if (int code = run_measure(*loaded.value(), options); code != 0) return code;
    // Show what later runs will see.
    loaded = Topology::rescan(*loaded.value());
    if (!loaded.ok()) return complain(loaded.status().message(), kFailed);
  }
  return show(*loaded.value(), options);
}

void setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("topology", "The memories of a machine and their costs");
  command->add_option("--input", options->input,
                      "live, sysfs, sysfs:ROOT, xml:FILE, synthetic:SPEC or tiers:SPEC; default "
                      "$HMS_TOPOLOGY, else live");
  CLI::Option* json = command->add_flag("--json", options->json, "JSON instead of a table");
  CLI::Option* dot = command->add_flag("--dot", options->dot, "Graphviz instead of a table");
  CLI::Option* svg = command->add_option("--svg", options->svg, "Write a drawing to a file");
  json->excludes(dot)->excludes(svg);
  dot->excludes(svg);
  CLI::Option* measure = command->add_option(
      "--measure", options->measure_file,
      "Measure latency and bandwidth of this machine and keep them for later runs; the default "
      "file is in $XDG_CACHE_HOME/hms");
  measure->expected(0, 1)->type_name("[FILE]");
  command->callback([options, measure] {
    options->measure = measure->count() > 0;
    finish(run(*options));
  });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
