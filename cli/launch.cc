// Preparations for starting a command: see launch.h.
#include "cli/launch.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "allocator/routing/sources.h"
#include "cli/exit_code.h"
#include "cli/program.h"
#include "runtime/placement/placement.h"
#include "runtime/support/config.h"
#include "runtime/support/stats_files.h"
#include "runtime/tiering/sides.h"
#include "runtime/topology/topology.h"

namespace hms::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kMallocLibrary[] = "libhms_malloc.so";
constexpr char kOmpLibrary[] = "libhms_omp.so";

std::string read_text_file(const std::string& path, std::string* problem) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) *problem = "cannot read the file '" + path + "'";
  return text.str();
}

// One statement after the other, each checked under the name of its flag.
Config from_options(const RunOptions& options, std::string* text) {
  Config config;
  auto add = [&](const std::string& statement, const std::string& origin) {
    parse_config(statement, origin, &config);
    *text += statement + "\n";
  };
  text->clear();
  if (!options.tiers.empty()) add("tiers " + options.tiers, "--tiers");
  for (const std::string& quota : options.quotas) add("quota " + quota, "--quota");
  for (const std::string& rule : options.rules) add(rule, "--rule");
  if (!options.config_file.empty()) {
    std::string problem;
    std::string statements = read_text_file(options.config_file, &problem);
    if (!problem.empty()) config.problems.push_back("--config: " + problem);
    add(statements, options.config_file);
  }
  if (text->size() > kMaxConfigBytes) {
    config.problems.push_back("the configuration is longer than " +
                              std::to_string(kMaxConfigBytes) + " bytes");
  }
  return config;
}

// What is asked of tiering, as the program will read it.
class TieringWords {
 public:
  explicit TieringWords(const std::string& option)
      : asked_(option.empty() ? environment("HMS_TIERING") : option),
        named_(environment("HMS_NEAR_FAR")) {}

  bool off() const { return tiering::words_say_off(asked_); }
  // Whether they can be meant; names are not looked up.
  Status check() const {
    Status asked = tiering::check_words(asked_);
    const Status named = tiering::check_words(named_);
    if (!asked.ok() || named.ok()) return asked;
    return {named.code(), "HMS_NEAR_FAR: " + named.message()};
  }
  std::string that_choose() const { return tiering::words_that_choose(asked_, named_); }

 private:
  static std::string environment(const char* variable) {
    const char* const set = secure_getenv(variable);
    return set != nullptr ? set : "";
  }

  std::string asked_;
  std::string named_;  // the memories, where `asked_` leaves them open
};

// Resolves every name against the topology that the command will see.
class Resolver {
 public:
  Resolver(const Config& config, const std::string& wanted, std::vector<std::string>* problems)
      : tiers_(config.tiers), wanted_(wanted), problems_(problems) {}

  // A topology that was asked for by name is loaded even if no rule needs it.
  void load_if_asked() {
    if (!tiers_.empty() || !wanted_.empty()) load();
  }

  Result<tiering::Sides> sides(const TieringWords& words) {
    const Status meant = words.check();
    if (!meant.ok()) return meant;
    load();
    if (failed_) return Status(HMS_EIO, "no topology of this machine");
    return tiering::choose_sides(words.that_choose(), *topology_, source_);
  }

  // One memory only is a hint: the same command serves on other machines.
  void check_tiering(const TieringWords& words, std::vector<std::string>* hints) {
    const Status found = words.off() ? words.check() : sides(words).status();
    if (found.ok() || failed_) return;
    const bool alone = found.code() == HMS_ENODEV;
    (alone ? hints : problems_)
        ->push_back("--tiering: " + found.message() + (alone ? "; running without" : ""));
  }

  std::shared_ptr<const topology::Topology> topology() const { return topology_; }

  void check(const std::string& spec, const std::string& where, bool single) {
    if (placement_needs_topology(spec)) load();
    if (failed_) return;
    Result<Placement> placement = parse_placement(spec, topology_.get());
    if (!placement.ok()) {
      problems_->push_back(where + ": " + placement.status().message());
    } else if (single && placement.value().legs.size() != 1) {
      problems_->push_back(where + ": '" + spec + "' is more than one target");
    }
  }

 private:
  void load() {
    if (topology_ != nullptr || failed_) return;
    const bool other = tiers_.empty() && !wanted_.empty() && wanted_ != "live";
    source_ = other ? wanted_ : routing::topology_source(tiers_);
    auto loaded = topology::Topology::load(source_);
    if (loaded.ok()) {
      topology_ = loaded.value();
      return;
    }
    failed_ = true;
    problems_->push_back("topology '" + source_ + "': " + loaded.status().message());
  }

  std::string tiers_, wanted_, source_;
  std::vector<std::string>* problems_;
  std::shared_ptr<const topology::Topology> topology_;
  bool failed_ = false;
};

bool takes_everything(const Rule& rule) {
  return !rule.has_size() && !rule.has_site() && !rule.thread && !rule.program;
}

void find_hints(const RunOptions& options, const Config& config, std::vector<std::string>* hints) {
  const bool tiering = !tiering::words_say_off(options.tiering);
  if (!options.spaces.empty() && !options.omp) {
    hints->push_back("--space is for OpenMP programs: without --omp it has no effect");
  }
  if (!options.tiers.empty() && options.rules.empty() && options.config_file.empty() &&
      !options.omp && options.profile.empty() && !tiering) {
    hints->push_back(
        "--tiers without --rule: every allocation takes the default placement; add a rule, such as "
        "--rule 'FIRST>SECOND' with your tiers' names");
  }
  for (const Rule& rule : config.rules) {
    if (!tiering || !takes_everything(rule)) continue;
    hints->push_back("--tiering: rules come first, and '" + rule.text +
                     "' takes every request: nothing is left to be tiered");
    break;
  }
}

}  // namespace

std::vector<std::string> check_configuration(const RunOptions& options, std::string* text,
                                             std::vector<std::string>* hints) {
  bool ours = options.has_configuration();
  Config config = ours ? from_options(options, text) : routing::read_configuration();
  std::vector<std::string> problems = config.problems;
  if (!options.tiers.empty() && !options.topology.empty()) {
    problems.push_back(
        "--tiers and --topology exclude each other: both say which targets there are");
  }
  Resolver resolver(config, options.topology, &problems);
  resolver.load_if_asked();
  for (const Quota& quota : config.quotas) resolver.check(quota.target, quota.where, true);
  for (const Rule& rule : config.rules) resolver.check(rule.placement, rule.where, false);
  for (const std::string& space : options.spaces) {
    const size_t equals = space.find('=');
    if (equals == std::string::npos || equals == 0) {
      problems.push_back("--space: '" + space + "' is not NAME=PLACEMENT");
    } else {
      resolver.check(space.substr(equals + 1), "--space " + space.substr(0, equals), false);
    }
  }
  if (!options.tiering.empty()) resolver.check_tiering(TieringWords(options.tiering), hints);
  find_hints(options, config, hints);
  return problems;
}

Effective effective_configuration(const RunOptions& options) {
  Effective out;
  std::string text;
  out.config =
      options.has_configuration() ? from_options(options, &text) : routing::read_configuration();
  std::vector<std::string> problems;
  Resolver resolver(out.config, options.topology, &problems);
  resolver.load_if_asked();
  for (const Quota& quota : out.config.quotas) resolver.check(quota.target, quota.where, true);
  for (const Rule& rule : out.config.rules) resolver.check(rule.placement, rule.where, false);
  const TieringWords words(options.tiering);
  if (!words.off()) out.sides = resolver.sides(words);
  out.topology = resolver.topology();
  return out;
}

std::vector<std::string> check_statements(const RunOptions& options, std::string* text) {
  return from_options(options, text).problems;
}

Result<std::string> find_library(bool omp) {
  const char* const name = omp ? kOmpLibrary : kMallocLibrary;
  const char* named = secure_getenv("HMS_LIBRARY");
  if (named != nullptr) {
    std::error_code error;
    fs::path path = fs::absolute(named, error);
    if (fs::is_regular_file(path, error)) return path.string();
    return Status(HMS_EIO, std::string("HMS_LIBRARY names '") + named + "', which is not there");
  }
  char self[PATH_MAX];
  ssize_t bytes = readlink("/proc/self/exe", self, sizeof self - 1);
  if (bytes <= 0)
    return Status(HMS_EIO, "/proc is not mounted; set HMS_LIBRARY to " + std::string(name));
  fs::path here = fs::path(std::string(self, static_cast<size_t>(bytes))).parent_path();
  // Build tree first (build/cli/hms), then the layouts that GNUInstallDirs knows.
  std::vector<fs::path> places = {here.parent_path() / name, here.parent_path() / "lib" / name,
                                  here.parent_path() / "lib64" / name};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(here.parent_path() / "lib", error)) {
    std::string folder = entry.path().filename().string();
    bool multiarch = folder.find("-linux-gnu") != std::string::npos;
    if (multiarch) places.push_back(entry.path() / name);
  }
  for (const fs::path& place : places) {
    if (fs::is_regular_file(place, error)) return place.string();
  }
  return Status(HMS_EIO, std::string(name) + " is neither beside '" + here.string() +
                             "' nor in its lib folders; set HMS_LIBRARY to its path");
}

Result<std::string> preload_list(const std::string& library) {
  // The dynamic linker cuts LD_PRELOAD at both.
  if (library.find_first_of(": ") != std::string::npos) {
    return Status(HMS_EINVAL, "'" + library +
                                  "': LD_PRELOAD cannot name a path with a blank or a colon; move "
                                  "libhms or set HMS_LIBRARY to a link");
  }
  const char* present = secure_getenv("LD_PRELOAD");
  std::string list = library;
  std::string rest = present != nullptr ? present : "";
  while (!rest.empty()) {
    size_t end = rest.find_first_of(": ");
    std::string entry = rest.substr(0, end);
    rest = end == std::string::npos ? "" : rest.substr(end + 1);
    const fs::path file = fs::path(entry).filename();
    if (entry.empty() || file == kMallocLibrary || file == kOmpLibrary) continue;
    std::string brings = allocator_in(entry);
    if (!brings.empty()) {
      std::string message = "LD_PRELOAD already has '";
      message += entry;
      message += "', which brings ";
      message += brings;
      message +=
          "; one program can have one allocator: take it out of LD_PRELOAD, or run without `hms "
          "run`";
      return Status(HMS_EINVAL, message);
    }
    list += ":" + entry;
  }
  return list;
}

Status set_preload(const std::string& path, bool omp, std::string* note) {
  const Judgement judgement = judge_program(path);
  if (judgement.preload != Preload::kWorks) {
    *note = judgement.reason + ": libhms is not in effect in it; running it all the same";
  }
  if (judgement.preload == Preload::kHarmful) return {};
  Result<std::string> library = find_library(omp);
  Result<std::string> list = library.ok() ? preload_list(library.value()) : library;
  if (!list.ok()) return list.status();
  setenv("LD_PRELOAD", list.value().c_str(), 1);
  return {};
}

int prepare_command(const std::string& name, bool omp, Say say, std::string* path) {
  FoundCommand command = find_command(name);
  if (command.exit_code != 0) {
    say(command.message);
    return command.exit_code;
  }
  std::string note;
  const Status preload = set_preload(command.path, omp, &note);
  if (!note.empty()) say(note);
  if (!preload.ok()) {
    say(preload.message());
    return kUsage;
  }
  *path = command.path;
  return 0;
}

int open_run_folder(Say say, std::string* dir) {
  Result<std::string> made = make_run_directory();
  if (!made.ok()) {
    say(made.status().message());
    return kFailed;
  }
  *dir = made.value();
  setenv("HMS_STATS_DIR", dir->c_str(), 1);
  setenv("HMS_STATS_KEEP", "1", 1);
  return 0;
}

void close_run_folder(const std::string& dir) {
  const unsigned user = geteuid();
  for (const StatsFile& file : list_stats(dir, user)) {
    if (file.replaced || !is_running(file.pid, file.start_time)) remove_stats(file, user);
  }
  remove_run_directory(dir);
}

}  // namespace hms::cli
