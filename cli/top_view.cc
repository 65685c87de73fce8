// See top_view.h.
#include "cli/top_view.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "cli/format.h"
#include "cli/report_tiering.h"

namespace hms::cli {
namespace {

constexpr int kMinProgram = 8, kMaxBar = 40, kMinBar = 4;
constexpr int kNumbers = 21, kRoomOfNumbers = 38, kShortNumbers = 12;
constexpr size_t kPlaces = 3;
constexpr double kNearlyFull = 0.75, kFull = 0.95;
constexpr char kGreen[] = "32", kYellow[] = "33", kRed[] = "31", kReverse[] = "7", kBold[] = "1";

// Three digits and a binary unit: "1.19G".
std::string short_bytes(double value) {
  size_t unit = 0;
  for (; value >= 1000 && unit < 6; ++unit) value /= 1024;
  if (unit == 0) return printed("%.0f", value);
  return printed(value < 9.995 ? "%.2f" : value < 99.95 ? "%.1f" : "%.0f", value) + "_KMGTPE"[unit];
}

std::string percent(double share) {
  return share < 0 ? "-" : printed(share < 0.9995 ? "%.1f%%" : "%.0f%%", share * 100);
}

std::string fit(const std::string& text, int width, bool left) {
  const size_t w = static_cast<size_t>(std::max(width, 0));
  if (text.size() >= w) return text.substr(0, w);
  const std::string padding(w - text.size(), ' ');
  return left ? text + padding : padding + text;
}

// A line of pieces with colours, cut to the screen.
class Line {
 public:
  Line(int columns, bool colours) : left_(std::max(columns, 0)), colours_(colours) {}
  Line& add(const std::string& text, const char* colour = nullptr) {
    const std::string cut = text.substr(0, static_cast<size_t>(left_));
    left_ -= static_cast<int>(cut.size());
    const bool wrap = colours_ && colour != nullptr && !cut.empty();
    text_ += wrap ? std::string("\033[") + colour + "m" + cut + "\033[0m" : cut;
    return *this;
  }
  int left() const { return left_; }
  std::string text() const { return text_; }

 private:
  int left_;
  bool colours_;
  std::string text_;
};

uint64_t committed(const ProcessReport& process) {
  uint64_t sum = 0;
  for (const TargetStats& t : process.stats.targets) sum += t.charged;
  return sum;
}

double hits(const ProcessReport& process) {
  const TieringStats& tiering = process.stats.tiering;
  return tiering.on && tiering.steps > 0 ? tiering.hit_ratio : -1;
}

double rate(const ProcessReport& process, double Rates::*which) {
  return process.rates ? (*process.rates).*which : -1;
}

double sort_value(const ProcessReport& process, TopColumn column) {
  switch (column) {
    case TopColumn::kThreads:
      return static_cast<double>(process.stats.threads);
    case TopColumn::kAllocated:
      return rate(process, &Rates::allocated);
    case TopColumn::kFreed:
      return rate(process, &Rates::freed);
    case TopColumn::kMisplaced:
      return misplaced_share(process);
    case TopColumn::kHits:
      return hits(process);
    default:
      return static_cast<double>(committed(process));
  }
}

bool before(const ProcessReport& a, const ProcessReport& b, TopColumn column) {
  const auto by_pid = [](const ProcessReport& p) { return std::tie(p.stats.pid); };
  if (column == TopColumn::kPid) return by_pid(a) < by_pid(b);
  if (column == TopColumn::kProgram) {
    return std::tie(a.stats.program, a.stats.pid) < std::tie(b.stats.program, b.stats.pid);
  }
  const double x = sort_value(a, column), y = sort_value(b, column);
  return x != y ? x > y : by_pid(a) < by_pid(b);
}

std::string cell(const ProcessReport& process, TopColumn column) {
  const auto bytes = [](double value) { return value < 0 ? "-" : short_bytes(value); };
  switch (column) {
    case TopColumn::kPid:
      return std::to_string(process.stats.pid);
    case TopColumn::kProgram:
      return process.stats.program;
    case TopColumn::kThreads:
      return std::to_string(process.stats.threads);
    case TopColumn::kCommitted:
      return short_bytes(static_cast<double>(committed(process)));
    case TopColumn::kAllocated:
      return bytes(rate(process, &Rates::allocated));
    case TopColumn::kFreed:
      return bytes(rate(process, &Rates::freed));
    case TopColumn::kMisplaced:
      return percent(misplaced_share(process));
    case TopColumn::kHits:
      return percent(hits(process));
  }
  return "";
}

// The columns that there is room for, and what is left for the program.
std::vector<TopColumnInfo> columns_within(int columns, int* program) {
  std::vector<TopColumnInfo> out = top_columns();
  for (;;) {
    int used = 0;
    for (const TopColumnInfo& c : out) used += (c.column == TopColumn::kProgram ? 0 : c.width) + 1;
    *program = columns - used + 1;
    auto last = std::max_element(out.begin(), out.end(),
                                 [](const auto& a, const auto& b) { return a.rank < b.rank; });
    if (*program >= kMinProgram || last->rank == 0) break;
    out.erase(last);
  }
  *program = std::max(*program, 1);
  return out;
}

std::string process_row(const ProcessReport* process, const TopState& state, int columns) {
  int program = 0;
  Line line(columns, state.colours);
  bool first = true;
  for (const TopColumnInfo& c : columns_within(columns, &program)) {
    const bool name = c.column == TopColumn::kProgram;
    const int width = name ? program : c.width;
    const std::string text = process != nullptr ? cell(*process, c.column) : c.title;
    if (!first) line.add(" ", process == nullptr ? kReverse : nullptr);
    first = false;
    const char* colour = process == nullptr ? c.column == state.sort ? kBold : kReverse : nullptr;
    line.add(fit(text, width, name), colour);
  }
  return line.text();
}

// A target of one process or of all: name, bar, used of what it may have.
std::string target_row(const TargetStats& t, bool all, const TopState& state, int name_width,
                       int columns) {
  uint64_t limit = 0;
  const char* limit_of = "";
  const auto node = state.node_bytes.find(t.node);
  if (node != state.node_bytes.end()) {
    limit = node->second;
    limit_of = t.emulated ? " (node)" : "";
  }
  // Of an emulated target each process has its own.
  if (!all && t.emulated && t.capacity != UINT64_MAX) {
    limit = t.capacity;
    limit_of = "";
  }
  if (!all && t.quota != UINT64_MAX && (limit == 0 || t.quota < limit)) {
    limit = t.quota;
    limit_of = " (quota)";
  }
  const double share =
      limit > 0 ? std::min(static_cast<double>(t.charged) / static_cast<double>(limit), 1.0) : 0;
  std::string numbers = " " + fit(short_bytes(static_cast<double>(t.charged)), 5, false) + "/" +
                        (limit > 0 ? short_bytes(static_cast<double>(limit)) : "-");
  if (columns >= 60) {
    numbers += limit_of;
    const uint64_t pages = t.verified_pages + t.misplaced_pages;
    if (pages > 0) {
      numbers = fit(numbers, kNumbers, true) +
                percent(static_cast<double>(t.misplaced_pages) / static_cast<double>(pages)) +
                " misplaced";
    }
  }
  const int indent = columns < 60 ? 1 : 8;
  Line line(columns, state.colours);
  line.add(std::string(static_cast<size_t>(indent), ' ') + fit(t.key, name_width, true) + " [");
  const int room = line.left() - 1 - (columns < 60 ? kShortNumbers : kRoomOfNumbers);
  const int bar = std::max(kMinBar, std::min(kMaxBar, room));
  const int filled = limit > 0 ? static_cast<int>(std::lround(share * bar)) : 0;
  line.add(std::string(static_cast<size_t>(filled), '#'), share >= kFull         ? kRed
                                                          : share >= kNearlyFull ? kYellow
                                                                                 : kGreen);
  line.add(std::string(static_cast<size_t>(bar - filled), limit > 0 ? '.' : ' ') + "]" + numbers);
  return line.text();
}

int name_width(const std::vector<TargetStats>& targets, int columns) {
  size_t width = 6;
  for (const TargetStats& t : targets) width = std::max(width, t.key.size());
  return static_cast<int>(std::min<size_t>(width, columns < 60 ? 10 : 18));
}

std::string title(const Report& report, const TopState& state, int columns) {
  uint64_t sum = 0;
  for (const ProcessReport& p : report.processes) sum += committed(p);
  std::string sorted;
  for (const TopColumnInfo& c : top_columns()) {
    if (c.column == state.sort) sorted = c.word;
  }
  const size_t n = report.processes.size();
  std::string text = "hms top: " + std::to_string(n) + (n == 1 ? " process, " : " processes, ") +
                     short_bytes(static_cast<double>(sum));
  if (state.paused) text += ", PAUSED";
  text += ", by " + sorted + (state.reverse ? " reversed" : "") + ", every " +
          printed("%g s", state.interval);
  if (!state.verify) text += ", not verified";
  return Line(columns, state.colours).add(text, kBold).text();
}

std::vector<std::string> help_lines(int columns) {
  std::vector<std::string> lines = {"Sort by (again: reverse)"};
  for (const TopColumnInfo& c : top_columns())
    lines.push_back(std::string("  ") + c.key + "  " + c.word);
  for (const char* line :
       {"Other keys", "  < >    sort by the column before, after", "  r      reverse",
        "  space  pause, go on", "  t      targets of each process: show, hide",
        "  x      places whose memory is used most (tiering): show, hide",
        "  v      ask the kernel where pages are: on, off",
        "  d      add this look to the dump file", "  arrows, page up, page down  scroll",
        "  ?      this help; any key leaves it", "  q      quit (as Ctrl-C)",
        "Sizes in binary units; - is: not known", "COMMITTED  made usable; quotas limit it",
        "ALLOC/S FREE/S  bytes a second", "MISPL  pages on another node than asked for",
        "HITS   accesses met by near memory, estimated"}) {
    lines.emplace_back(line);
  }
  for (std::string& line : lines) line = line.substr(0, static_cast<size_t>(columns));
  return lines;
}

// Why nothing moves, and the places whose memory is used most, the hottest first.
void add_tiering(const TieringStats& tiering, const TopState& state, int columns,
                 std::vector<std::string>* lines) {
  const std::string indent(columns < 60 ? 1 : 8, ' ');
  const auto add = [&](const std::string& text) {
    lines->push_back(Line(columns, state.colours).add(indent + text).text());
  };
  if (!tiering.why.empty()) {
    add((tiering.ended     ? "tiering has ended: "
         : !tiering.runs() ? "tiering waits: "
                           : "nothing moves: ") +
        tiering.why);
  }
  for (size_t i = 0; i < tiering.contexts.size() && i < kPlaces; ++i) {
    const ContextStats& c = tiering.contexts[i];
    std::string text = fit(percent(c.share), 6, false) + " " + place_text(c) + ", " +
                       short_bytes(static_cast<double>(c.allocated));
    if (c.near_share >= 0) text += ", woven, " + woven_text(c);
    add(text);
  }
}

// All lines below the title and the heading of the list.
std::vector<std::string> body(const Report& report, const TopState& state, int columns) {
  std::vector<std::string> lines;
  const std::vector<TargetStats> totals = report.totals();
  const int width = name_width(totals, columns);
  for (const ProcessReport& process : report.processes) {
    lines.push_back(process_row(&process, state, columns));
    if (state.targets) {
      for (const TargetStats& t : process.stats.targets) {
        lines.push_back(target_row(t, false, state, width, columns));
      }
    }
    if (state.places && process.stats.tiering.on) {
      add_tiering(process.stats.tiering, state, columns, &lines);
    }
  }
  return lines;
}

// The sums of all processes, where they say something new.
std::vector<std::string> head(const Report& report, const TopState& state, int columns) {
  std::vector<std::string> lines = {title(report, state, columns)};
  const std::vector<TargetStats> totals = report.totals();
  if (report.processes.size() > 1 || !state.targets) {
    const int width = name_width(totals, columns);
    for (const TargetStats& t : totals) lines.push_back(target_row(t, true, state, width, columns));
  }
  return lines;
}

}  // namespace

const std::vector<TopColumnInfo>& top_columns() {
  static const std::vector<TopColumnInfo> columns = {
      {TopColumn::kPid, "pid", 'p', "PID", 7, 0},
      {TopColumn::kProgram, "program", 'n', "PROGRAM", 0, 0},
      {TopColumn::kThreads, "threads", 'e', "THR", 4, 5},
      {TopColumn::kCommitted, "committed", 'c', "COMMITTED", 9, 0},
      {TopColumn::kAllocated, "allocated", 'a', "ALLOC/S", 7, 1},
      {TopColumn::kFreed, "freed", 'f', "FREE/S", 7, 4},
      {TopColumn::kMisplaced, "misplaced", 'm', "MISPL", 6, 3},
      {TopColumn::kHits, "hits", 'h', "HITS", 6, 2}};
  return columns;
}

double misplaced_share(const ProcessReport& process) {
  if (process.verified == Verified::kNever) return -1;
  uint64_t all = 0, misplaced = 0;
  for (const TargetStats& t : process.stats.targets) {
    all += t.verified_pages + t.misplaced_pages;
    misplaced += t.misplaced_pages;
  }
  return all > 0 ? static_cast<double>(misplaced) / static_cast<double>(all) : -1;
}

void sort_top(const TopState& state, Report* report) {
  std::stable_sort(report->processes.begin(), report->processes.end(),
                   [&state](const ProcessReport& a, const ProcessReport& b) {
                     return state.reverse ? before(b, a, state.sort) : before(a, b, state.sort);
                   });
}

std::vector<std::string> top_screen(const Report& report, TopState* state, int columns, int rows) {
  const size_t room = static_cast<size_t>(std::max(rows, 1));
  std::vector<std::string> lines, list;
  if (state->help) {
    list = help_lines(columns);
    lines.push_back(Line(columns, state->colours).add("hms top: help", kBold).text());
  } else {
    list = body(report, *state, columns);
    lines = head(report, *state, columns);
    // On low screens the list counts for more than the sums.
    if (lines.size() > room / 3 + 1) lines.resize(room / 3 + 1);
    lines.push_back(process_row(nullptr, *state, columns));
  }
  const size_t bottom = 1;  // the last line is for keys and messages
  const size_t shown = room > lines.size() + bottom ? room - lines.size() - bottom : 0;
  const size_t most = list.size() > shown ? list.size() - shown : 0;
  state->scroll = std::min(state->scroll, most);
  for (size_t i = state->scroll; i < list.size() && i < state->scroll + shown; ++i) {
    lines.push_back(list[i]);
  }
  lines.resize(std::min(lines.size(), room - std::min(room, bottom)));
  while (lines.size() + bottom < room) lines.emplace_back();
  std::string keys = !state->message.empty() ? state->message
                     : columns < 60          ? "? help  q quit  space pause"
                                             : "? help  q quit  < > sort  space pause  t targets "
                                               " x places  v verify  d dump";
  if (most > 0 && state->message.empty()) {
    keys = std::to_string(state->scroll + 1) + "-" + std::to_string(state->scroll + shown) + "/" +
           std::to_string(list.size()) + "  " + keys;
  }
  lines.push_back(keys.substr(0, static_cast<size_t>(std::max(columns, 0))));
  return lines;
}

std::vector<std::string> top_snapshot(const Report& report, const TopState& state, int columns) {
  std::vector<std::string> lines = head(report, state, columns);
  lines.push_back(process_row(nullptr, state, columns));
  for (std::string& line : body(report, state, columns)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace hms::cli
