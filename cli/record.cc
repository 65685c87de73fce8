// `hms record`: runs a program, watches where it allocates and what of that it uses, and writes
// what was learnt to a profile. Nothing is moved or placed.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/launch.h"
#include "cli/profile_file.h"
#include "cli/profile_view.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/supervise.h"
#include "runtime/support/stats_files.h"

namespace hms::cli {
namespace {

constexpr char kDefaultFile[] = "hms.profile";
constexpr char kNothingYet[] = "nothing yet";

struct Options {
  std::string file = kDefaultFile;
  bool append = false;
  bool quiet = false;
  std::string tiers;
  std::vector<std::string> command;
};

void say(const std::string& text) { fprintf(stderr, "hms record: %s\n", text.c_str()); }

uint64_t allocated(const tiering::Profile& profile) {
  uint64_t sum = 0;
  for (const auto& context : profile.contexts) sum += context.bytes;
  return sum;
}

// The profiles that the processes of one run leave beside their counter pages.
class Recording {
 public:
  explicit Recording(std::string dir) : dir_(std::move(dir)), user_(geteuid()) {}

  // What there is so far, as one profile; the program is the one that allocated most. Processes of
  // one run are no runs of their own.
  Result<tiering::Profile> collect() {
    std::vector<tiering::Profile> parts;
    for (const StatsFile& file : list_stats(dir_, user_)) {
      Result<tiering::Profile> part =
          tiering::read_profile(file.dir + "/" + file.name + kProfileSuffix);
      if (part.ok()) parts.push_back(std::move(part.value()));
    }
    if (parts.empty()) return Status(HMS_ENODEV, "no process left a profile");
    std::stable_sort(parts.begin(), parts.end(),
                     [](const auto& a, const auto& b) { return allocated(a) > allocated(b); });
    processes_ = parts.size();
    tiering::Profile sum = std::move(parts[0]);
    uint64_t longest = sum.milliseconds;
    for (size_t i = 1; i < parts.size(); ++i) {
      tiering::merge_profile(parts[i], &sum);
      longest = std::max(longest, parts[i].milliseconds);
    }
    sum.runs = 1;
    sum.milliseconds = longest;
    return sum;
  }
  size_t processes() const { return processes_; }

 private:
  std::string dir_;
  unsigned user_;
  size_t processes_ = 0;
};

std::string words_of(const tiering::Profile& profile, size_t processes) {
  std::string out = std::to_string(profile.contexts.size()) + " places, " +
                    human_bytes(allocated(profile)) + " allocated, " +
                    std::to_string(profile.total_samples()) + " samples";
  if (processes > 1) out += " from " + std::to_string(processes) + " processes";
  return out;
}

// Collects what there is so far about once a second, if somebody looks.
void tell_so_far(Recording* recording, Progress* progress) {
  if (!progress->shown()) return;
  const Result<tiering::Profile> profile = recording->collect();
  progress->set(profile.ok() ? words_of(profile.value(), recording->processes()) : kNothingYet);
}

// A profile that cannot be written, or not be added to, should not cost a run.
Status check_file(const Options& options) {
  std::error_code error;
  if (options.append && std::filesystem::exists(options.file, error)) {
    Result<tiering::Profile> before = tiering::read_profile(options.file);
    if (!before.ok()) return before.status();
  }
  if (std::filesystem::is_directory(options.file, error)) {
    return {HMS_EIO, "cannot write the profile '" + options.file + "': it is a folder"};
  }
  const std::filesystem::path folder = std::filesystem::path(options.file).parent_path();
  if (access(folder.empty() ? "." : folder.c_str(), W_OK) == 0) return {};
  return {HMS_EIO,
          "cannot write to the folder of '" + options.file + "': " + strerrordesc_np(errno)};
}

int save(const Options& options, Recording* recording) {
  Result<tiering::Profile> profile = recording->collect();
  if (!profile.ok()) {
    say(profile.status().message() +
        ": libhms was in effect in no process, or none lived long enough to be watched");
    return kFailed;
  }
  const std::string words = words_of(profile.value(), recording->processes());
  say(words + " (" + sampler_words(profile.value()) + ")");
  std::error_code error;
  if (options.append && std::filesystem::exists(options.file, error)) {
    Result<tiering::Profile> sum = tiering::read_profile(options.file);
    if (!sum.ok()) {
      say(sum.status().message());
      return kFailed;
    }
    tiering::merge_profile(profile.value(), &sum.value());
    profile = std::move(sum);
  }
  Status written = write_profile(profile.value(), options.file);
  if (!written.ok()) {
    say(written.message());
    return kFailed;
  }
  say("wrote '" + options.file + "'; see: hms report " + options.file);
  return 0;
}

int record(const Options& options) {
  Status usable = check_file(options);
  if (!usable.ok()) {
    say(usable.message());
    return kUsage;
  }
  std::string path, dir;
  int refused = prepare_command(options.command[0], false, say, &path);
  if (refused == 0) refused = open_run_folder(say, &dir);
  if (refused != 0) return refused;
  setenv("HMS_RECORD", "1", 1);
  for (const char* name : {"HMS_PROFILE", "HMS_TIERING"}) unsetenv(name);
  Recording recording(dir);
  Ending ending;
  {
    Progress progress("hms record", kNothingYet, !options.quiet);
    ending = supervise(path, options.command, [&] { tell_so_far(&recording, &progress); });
  }
  const int saved = save(options, &recording);
  close_run_folder(dir);
  const int code = end_like(ending);
  return code != 0 ? code : saved;
}

void setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("record", "Run a program and learn how it uses its memory");
  sub->footer(
      "Nothing is placed or moved meanwhile. Then:\n"
      "  hms report hms.profile              what was learnt\n"
      "  hms run --profile hms.profile -- COMMAND   places by it");
  sub->add_option("-o,--output", options->file, "The profile (hms.profile)")->type_name("FILE");
  sub->add_flag("--append", options->append, "Add to the profile, if it is there already");
  sub->add_flag("--quiet", options->quiet, "No progress while the program runs");
  sub->add_option("COMMAND", options->command, "The program and its arguments")->expected(-1);
  sub->positionals_at_end();
  sub->callback([options] {
    if (options->command.empty()) {
      say("no command; write it after the options: hms record [OPTIONS] -- COMMAND [ARGUMENTS]");
      finish(kUsage);
      return;
    }
    finish(record(*options));
  });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
