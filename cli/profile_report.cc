// `hms report`: which places of a program allocate what, and how hot it is, from the profiles that
// `hms record` wrote.
#include <stdio.h>

#include <fstream>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/profile_file.h"
#include "cli/profile_view.h"
#include "cli/progress.h"
#include "runtime/support/size.h"

namespace hms::cli {
namespace {

constexpr size_t kTop = 20;

struct Options {
  std::vector<std::string> files;
  std::string sort = "heat";
  size_t top = kTop;
  std::string near;
  std::string html;  // "" none, "-" standard output
  std::string merged;
  bool json = false;
};

void say(const std::string& text) { fprintf(stderr, "hms report: %s\n", text.c_str()); }

SortBy order_of(const std::string& name) {
  if (name == "accesses") return SortBy::kAccesses;
  if (name == "bytes") return SortBy::kBytes;
  if (name == "allocated") return SortBy::kAllocated;
  return name == "lifetime" ? SortBy::kLifetime : SortBy::kHeat;
}

int write_html(const std::string& page, const std::string& where) {
  if (where == "-") {
    std::cout << page << std::flush;
    return 0;
  }
  std::ofstream file(where);
  file << page;
  file.close();
  if (file) return 0;
  say("cannot write '" + where + "'");
  return kFailed;
}

int show(const tiering::Profile& profile, const Options& options, uint64_t near_bytes) {
  ProfileView view = [&] {
    Progress progress("hms report", "looking up the names of " +
                                        std::to_string(profile.contexts.size()) + " places");
    return view_profile(profile, near_bytes);
  }();
  if (!options.html.empty()) return write_html(profile_html(view), options.html);
  sort_rows(&view, order_of(options.sort));
  if (options.json) {
    std::cout << profile_json(view).dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
              << std::endl;
  } else {
    const size_t most = options.top == 0 ? SIZE_MAX : options.top;
    std::cout << profile_table(view, most) << std::flush;
  }
  return 0;
}

int report(const Options& options) {
  uint64_t near_bytes = 0;
  if (!options.near.empty()) {
    Result<uint64_t> bytes = parse_size(options.near);
    if (!bytes.ok()) {
      say("--near: " + bytes.status().message());
      return kUsage;
    }
    near_bytes = bytes.value();
  }
  Result<tiering::Profile> profile = [&options] {
    Progress progress("hms report", "adding up " + std::to_string(options.files.size()) +
                                        (options.files.size() == 1 ? " profile" : " profiles"));
    return read_merged(options.files);
  }();
  if (!profile.ok()) {
    say(profile.status().message());
    return kFailed;
  }
  if (!options.merged.empty()) {
    Status written = write_profile(profile.value(), options.merged);
    if (written.ok()) return 0;
    say(written.message());
    return kFailed;
  }
  return show(profile.value(), options, near_bytes);
}

void setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("report", "Show what `hms record` learnt of a program");
  sub->footer("Several files are added up first, as runs of one program.");
  sub->add_option("--sort", options->sort, "heat, accesses, bytes, allocated or lifetime")
      ->check(CLI::IsMember({"heat", "accesses", "bytes", "allocated", "lifetime"}));
  sub->add_option("--top", options->top, "How many places the table shows (20); 0: all")
      ->check(CLI::Range(0, 1000000));
  sub->add_option("--near", options->near, "SIZE of near memory: show what would be placed there");
  sub->add_flag("--json", options->json, "All places as JSON");
  sub->add_option("--html", options->html, "Write a page with plots to FILE (- for stdout)")
      ->type_name("FILE");
  sub->add_option("--merge", options->merged, "Write the sum of the profiles to FILE instead")
      ->type_name("FILE");
  sub->add_option("FILE", options->files, "Profiles")->required()->expected(-1);
  sub->callback([options] { finish(report(*options)); });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
