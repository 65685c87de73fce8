// `hms top`: all processes under libhms, on the screen of a terminal, until it is told to stop.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/looks.h"
#include "cli/progress.h"
#include "cli/screen.h"
#include "cli/supervise.h"
#include "cli/top_view.h"
#include "runtime/support/os_sampling.h"
#include "runtime/topology/topology.h"

namespace hms::cli {
namespace {

constexpr int kPlainColumns = 100;
constexpr double kSnapshotSeconds = 0.5;  // between the two looks of a snapshot: rates need two
constexpr double kVerifyShare = 0.5;      // of the time between two looks
constexpr char kAsking[] = "asking the kernel where the pages are";
constexpr char kDump[] = "hms-top.json";

struct TopOptions {
  bool once = false;
  bool json = false;
  bool no_targets = false, no_places = false;
  std::string sort = "committed";
  std::string dump = kDump;
  TopState state;
};

void say(const std::string& text) { fprintf(stderr, "hms top: %s\n", text.c_str()); }

std::string as_json(const Report& report, int indent) {
  return to_json(report).dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

// What the bars are compared with. Without it they are empty.
std::map<int, uint64_t> node_capacities() {
  std::map<int, uint64_t> out;
  const auto topology = topology::Topology::load("sysfs");
  if (!topology.ok()) return out;
  for (const topology::Target& t : topology.value()->targets()) {
    if (t.node >= 0 && !t.emulated && t.bytes > 0) out[t.node] = t.bytes;
  }
  return out;
}

class Top {
 public:
  explicit Top(const TopOptions& options) : options_(options), state_(options.state) {}

  int snapshot() {
    {
      Progress progress("hms top", kAsking, state_.verify);
      observer_.look(0);
      const auto pause = static_cast<useconds_t>(std::min(kSnapshotSeconds, state_.interval) * 1e6);
      usleep(pause);
      look();
    }
    if (options_.json) {
      std::cout << as_json(report_, 2) << std::endl;
    } else if (report_.processes.empty()) {
      std::cout << no_processes();
    } else {
      const int columns = isatty(STDOUT_FILENO) != 0 ? screen_.size().columns : kPlainColumns;
      for (const std::string& line : top_snapshot(report_, state_, columns)) {
        std::cout << line << "\n";
      }
    }
    return 0;
  }

  // Until a key, a signal or the end of the terminal.
  int run() {
    Status opened = screen_.open();
    if (!opened.ok()) {
      say(opened.message());
      return kFailed;
    }
    // A look that asks the kernel can take a while.
    state_.message = state_.verify ? kAsking : "";
    if (state_.verify && !draw()) return kFailed;
    look();
    for (;;) {
      if (!draw()) return kFailed;
      const double left = static_cast<double>(next_ns_ - os::monotonic_ns()) / 1e9;
      const ScreenEvent event = screen_.wait(std::max(left, 0.0));
      if (event.kind == ScreenEvent::kGone) return kFailed;
      if (event.kind == ScreenEvent::kSignal) return end(event.signal);
      if (event.kind == ScreenEvent::kKey && !take(event.key)) return 0;
      if (os::monotonic_ns() >= next_ns_) look();
    }
  }

 private:
  // Ctrl-C is a way to quit; other signals are meant to be seen by whoever started this.
  int end(int signal) {
    screen_.close();
    return signal == SIGINT ? 0 : end_like({128 + signal, signal});
  }

  // False: the terminal is gone.
  bool draw() {
    const Screen::Size size = screen_.size();
    page_ = std::max(size.rows - 4, 1);
    return screen_.draw(top_screen(report_, &state_, size.columns, size.rows));
  }

  void look() {
    next_ns_ = os::monotonic_ns() + static_cast<int64_t>(state_.interval * 1e9);
    if (state_.paused) return;
    report_ = observer_.look(state_.verify ? state_.interval * kVerifyShare : 0);
    state_.message.clear();
    if (report_.processes.empty()) state_.message = "no process under libhms; hms run starts one";
    sort_top(state_, &report_);
  }

  void sort_by(TopColumn column) {
    state_.reverse = column == state_.sort && !state_.reverse;
    state_.sort = column;
    sort_top(state_, &report_);
  }

  void sort_beside(int step) {
    const auto& columns = top_columns();
    const auto now = std::find_if(columns.begin(), columns.end(),
                                  [this](const auto& c) { return c.column == state_.sort; });
    const auto count = static_cast<int>(columns.size());
    const int next = (static_cast<int>(now - columns.begin()) + step + count) % count;
    state_.reverse = false;
    state_.sort = columns[static_cast<size_t>(next)].column;
    sort_top(state_, &report_);
  }

  void scroll(int lines) {
    const int64_t to = static_cast<int64_t>(state_.scroll) + lines;
    state_.scroll = static_cast<size_t>(std::max<int64_t>(to, 0));
  }

  void dump() {
    FILE* file = fopen(options_.dump.c_str(), "ae");
    bool written = file != nullptr && fprintf(file, "%s\n", as_json(report_, -1).c_str()) > 0;
    if (file != nullptr) written = fclose(file) == 0 && written;
    state_.message = written ? "added to " + options_.dump
                             : "cannot write " + options_.dump + ": " + strerrordesc_np(errno);
  }

  // False: quit.
  bool take(int key) {
    if (state_.help && key != kKeyUp && key != kKeyDown && key != kKeyPageUp &&
        key != kKeyPageDown) {
      state_.help = false;
      state_.scroll = 0;
      return key != 'q';
    }
    for (const TopColumnInfo& column : top_columns()) {
      if (key == column.key) sort_by(column.column);
    }
    switch (key) {
      case 'q':
        return false;
      case '?':
        state_.help = true;
        state_.scroll = 0;
        break;
      case '<':
      case '>':
        sort_beside(key == '<' ? -1 : 1);
        break;
      case 'r':
        state_.reverse = !state_.reverse;
        sort_top(state_, &report_);
        break;
      case ' ':
        state_.paused = !state_.paused;
        if (!state_.paused) look();
        break;
      case 't':
        state_.targets = !state_.targets;
        break;
      case 'x':
        state_.places = !state_.places;
        break;
      case 'v':
        state_.verify = !state_.verify;
        look();
        break;
      case 'd':
        dump();
        break;
      case kKeyUp:
      case kKeyDown:
        scroll(key == kKeyUp ? -1 : 1);
        break;
      case kKeyPageUp:
      case kKeyPageDown:
        scroll(key == kKeyPageUp ? -page_ : page_);
        break;
      default:
        break;
    }
    return true;
  }

  const TopOptions& options_;
  TopState state_;
  Observer observer_;
  Report report_;
  Screen screen_;
  int64_t next_ns_ = 0;
  int page_ = 1;
};

int top(TopOptions* options) {
  for (const TopColumnInfo& column : top_columns()) {
    if (options->sort == column.word) options->state.sort = column.column;
  }
  options->state.targets = !options->no_targets;
  options->state.places = !options->no_places;
  options->state.node_bytes = node_capacities();
  options->state.colours = colours_wanted(STDOUT_FILENO);
  Top top(*options);
  const bool plain = options->once || options->json || !Screen::available();
  return plain ? top.snapshot() : top.run();
}

void setup(CLI::App& app) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* sub = app.add_subcommand("top", "Watch all programs that run under libhms");
  sub->footer("Keys: ? shows them. Without a terminal: one look, printed.");
  std::vector<std::string> words;
  for (const TopColumnInfo& column : top_columns()) words.emplace_back(column.word);
  sub->add_option("--interval", options->state.interval, "Seconds between two looks (2)")
      ->check(CLI::Range(0.1, 86400.0));
  sub->add_option("--sort", options->sort, "The column to sort by (committed)")
      ->check(CLI::IsMember(words));
  sub->add_flag("--reverse", options->state.reverse, "The other way round");
  sub->add_flag("--verify", options->state.verify, "Ask the kernel where the pages are");
  sub->add_flag("--no-targets", options->no_targets, "No bars for the targets of each program");
  sub->add_flag("--no-places", options->no_places,
                "Nothing of what tiering has found in each program");
  sub->add_option("--dump", options->dump, "What the key d adds to (hms-top.json)")
      ->type_name("FILE");
  sub->add_flag("--once", options->once, "One look, printed");
  sub->add_flag("--json", options->json, "One look as JSON, as of hms stat");
  sub->callback([options] { finish(top(options.get())); });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
