// `hms report --html`: one page with its style, its plots (inline SVG) and its table, which loads
// nothing from anywhere. Everything that comes from a profile is escaped: a file from elsewhere
// cannot put a script into the page.
#include <stdio.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "cli/markup.h"
#include "cli/profile_view.h"
#include "cli/report.h"

namespace hms::cli {
namespace {

using tiering::ContextProfile;
using tiering::Profile;

constexpr size_t kRowsShown = 500;
constexpr size_t kLabels = 6;

constexpr char kHead[] = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root { --ink: #1c2330; --soft: #667085; --line: #d7dce5; --back: #fff; --panel: #f6f8fb;
        --one: #c2410c; --two: #2563eb; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #344054; --back: #14181f; --panel: #1b212b;
          --one: #fb923c; --two: #60a5fa; } }
* { box-sizing: border-box; }
body { margin: 2rem auto; max-width: 76rem; padding: 0 1.5rem; color: var(--ink);
       background: var(--back); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 0 0 .25rem; }
p { margin: .25rem 0 .75rem; color: var(--soft); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem;
         margin: 1.25rem 0; }
.facts div, figure { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
                     padding: .75rem 1rem; margin: 0; }
.facts b { display: block; font-size: 1.1rem; line-height: 1.35; } .facts span { color: var(--soft); font-size: .85rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(28rem, 1fr)); gap: 1rem;
         margin-bottom: 1.5rem; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 11px; }
svg .label { fill: var(--ink); } .grid { stroke: var(--line); } .axis { stroke: var(--soft); }
.dot { fill: var(--two); fill-opacity: .55; stroke: var(--two); }
.dot.near { fill: var(--one); stroke: var(--one); }
.curve { fill: none; stroke: var(--one); stroke-width: 2.5; }
.even { fill: none; stroke: var(--soft); stroke-dasharray: 4 4; }
.mark { stroke: var(--two); stroke-dasharray: 2 3; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap;
         border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 600; position: sticky; top: 0; background: var(--back); }
th:last-child, td:last-child { text-align: left; white-space: normal; overflow-wrap: anywhere; }
td small { display: block; color: var(--soft); } code { font-size: .95em; }
.bar { display: inline-block; height: .6em; background: var(--one); margin-right: .4em; }
</style>
)";

template <typename... Values>
std::string printed(const char* format, Values... values) {
  char text[512];
  snprintf(text, sizeof text, format, values...);
  return text;
}

std::string percent(double share) { return printed("%.1f%%", 100 * share); }

// A plot area with room for the scales; maps values in [0, 1] to it, upwards.
struct Frame {
  static constexpr double kWidth = 520, kHeight = 340, kLeft = 62, kRight = 24, kTop = 14,
                          kBottom = 44;
  double x(double share) const { return kLeft + share * (kWidth - kLeft - kRight); }
  double y(double share) const { return kHeight - kBottom - share * (kHeight - kTop - kBottom); }

  std::string open() const {
    return printed("<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n", kWidth, kHeight);
  }
  std::string line(double x1, double y1, double x2, double y2, const char* kind) const {
    return printed("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x(x1),
                   y(y1), x(x2), y(y2), kind);
  }
  std::string tick_x(double at, const std::string& text) const {
    return line(at, 0, at, 1, "grid") +
           printed("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x(at),
                   kHeight - kBottom + 15) +
           escape_markup(text) + "</text>\n";
  }
  std::string tick_y(double at, const std::string& text) const {
    return line(0, at, 1, at, "grid") +
           printed("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", kLeft - 6, y(at) + 4) +
           escape_markup(text) + "</text>\n";
  }
  std::string names(const char* below, const char* beside) const {
    return line(0, 0, 1, 0, "axis") + line(0, 0, 0, 1, "axis") +
           printed("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x(0.5),
                   kHeight - 8, below) +
           printed(
               "<text transform=\"translate(13 %.1f) rotate(-90)\" text-anchor=\"middle\">%s"
               "</text>\n",
               y(0.5), beside);
  }
};

// A scale of powers: where a value lies between the least and the greatest, and its marks.
struct LogScale {
  double low = 0, high = 1, base = 10;

  LogScale(double least, double greatest, double power) : base(power) {
    auto log = [power](double v) { return std::log(v) / std::log(power); };
    low = std::floor(log(std::max(least, 1e-9)));
    high = std::max(std::ceil(log(std::max(greatest, 1e-9)) + 1e-9), low + 1);
  }
  double at(double value) const {
    const double power = std::log(std::max(value, 1e-12)) / std::log(base);
    return std::clamp((power - low) / (high - low), 0.0, 1.0);
  }
  void marks(const std::function<void(double at, double value)>& mark) const {
    const double step = std::max(1.0, std::ceil((high - low) / 7));
    const auto steps = static_cast<int>((high - low) / step + 1e-9);
    for (int i = 0; i <= steps; ++i) mark(i * step / (high - low), std::pow(base, low + i * step));
  }
};

std::string short_name(const PlaceRow& row) {
  if (row.key.empty()) return "?";
  const CodePlace& place = row.key[0];
  std::string text = place.function.empty() ? place.text() : place.brief_function();
  // The end of a name tells more than its namespaces.
  if (text.size() > 26) text = ".." + text.substr(text.size() - 24);
  return text;
}

std::string title_of(const PlaceRow& row) {
  return row.where() + "\nheat " + printed("%.3g", row.heat) + " of the mean, " +
         human_bytes(row.counts->peak) + " at most, " + percent(row.access_share) +
         " of the accesses";
}

// "64 MiB"
std::string tick_bytes(double value) {
  std::string text = human_bytes(static_cast<uint64_t>(value));
  const size_t zeros = text.find(".00");
  return zeros == std::string::npos ? text : text.erase(zeros, 3);
}

// Names beside dots, as long as they do not cover each other.
class Labels {
 public:
  void add(double x, double y, double radius, const std::string& text) {
    const double width = 6.5 * static_cast<double>(text.size());
    const bool right = x + radius + width < Frame::kWidth;
    const double start = right ? x + radius + 4 : x - radius - 4 - width;
    for (const Box& box : boxes_) {
      if (std::abs(box.y - y) < 12 && start < box.end && box.start < start + width) return;
    }
    boxes_.push_back({start, start + width, y});
    text_ += printed("<text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">",
                     right ? start : start + width, y + 4, right ? "start" : "end") +
             escape_markup(text) + "</text>\n";
  }
  const std::string& text() const { return text_; }

 private:
  struct Box {
    double start, end, y;
  };
  std::vector<Box> boxes_;
  std::string text_;
};

// The rows that can be drawn, the most accessed first.
std::vector<const PlaceRow*> drawn_rows(const ProfileView& view) {
  std::vector<const PlaceRow*> rows;
  for (const PlaceRow& row : view.rows) {
    if (row.counts->peak > 0 && row.heat > 0) rows.push_back(&row);
  }
  std::sort(rows.begin(), rows.end(),
            [](const PlaceRow* a, const PlaceRow* b) { return a->access_share > b->access_share; });
  return rows;
}

template <typename Value>
LogScale scale_of(const std::vector<const PlaceRow*>& rows, double base, Value value) {
  double least = 1e300, most = 0;
  for (const PlaceRow* row : rows) {
    least = std::min(least, value(*row));
    most = std::max(most, value(*row));
  }
  return most > 0 ? LogScale(least, most, base) : LogScale(1, base, base);
}

std::string heat_plot(const ProfileView& view) {
  const std::vector<const PlaceRow*> rows = drawn_rows(view);
  const auto peak_of = [](const PlaceRow& row) { return static_cast<double>(row.counts->peak); };
  const LogScale heat = scale_of(rows, 10, [](const PlaceRow& row) { return row.heat; });
  const LogScale bytes = scale_of(rows, 4, peak_of);
  const Frame frame;
  std::string out =
      "<figure><h2>Heat against bytes</h2><p>One dot a place, as large as its share "
      "of the accesses. What is high and to the left belongs in near memory.</p>" +
      frame.open();
  bytes.marks([&](double at, double value) { out += frame.tick_x(at, tick_bytes(value)); });
  heat.marks([&](double at, double value) { out += frame.tick_y(at, printed("%g", value)); });
  out += frame.names("bytes at most", "accesses per byte and second, mean = 1");
  Labels labels;
  for (size_t i = 0; i < rows.size(); ++i) {
    const PlaceRow& row = *rows[i];
    const double x = frame.x(bytes.at(peak_of(row))), y = frame.y(heat.at(row.heat));
    const double radius = 3 + 17 * std::sqrt(row.access_share);
    out += printed("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" class=\"dot%s\"><title>", x, y,
                   radius, row.near > 0 ? " near" : "") +
           escape_markup(title_of(row)) + "</title></circle>\n";
    if (i < kLabels) labels.add(x, y, radius, short_name(row));
  }
  return out + labels.text() + "</svg></figure>\n";
}

// Bytes from the hottest to the coldest against the accesses that they take.
std::string hit_plot(const ProfileView& view) {
  const Frame frame;
  std::string out =
      "<figure><h2>What near memory would meet</h2><p>With the hottest bytes first: "
      "this share of the bytes takes this share of the accesses. The dashed line is "
      "memory placed without looking.</p>" +
      frame.open();
  for (int i = 0; i <= 10; i += 2) {
    out += frame.tick_x(i / 10.0, std::to_string(10 * i) + "%");
    out += frame.tick_y(i / 10.0, std::to_string(10 * i) + "%");
  }
  out += frame.names("share of the bytes", "share of the accesses");
  out += frame.line(0, 0, 1, 1, "even");
  std::string points = printed("%.1f,%.1f", frame.x(0), frame.y(0));
  double bytes = 0, accesses = 0, at_eighth = 0;
  for (const PlaceRow& row : view.rows) {
    const double before = bytes;
    bytes += row.byte_share;
    if (before < 0.125 && row.byte_share > 0) {
      const double part = std::min(1.0, (0.125 - before) / row.byte_share);
      at_eighth = accesses + part * row.access_share;
    }
    accesses += row.access_share;
    points += printed(" %.1f,%.1f", frame.x(bytes), frame.y(accesses));
  }
  out += "<polyline class=\"curve\" points=\"" + points + "\"/>\n";
  out += frame.line(0.125, 0, 0.125, at_eighth, "mark") +
         frame.line(0, at_eighth, 0.125, at_eighth, "mark");
  out += printed(
      "<text class=\"label\" x=\"%.1f\" y=\"%.1f\">an eighth of the bytes: %.0f%% of the "
      "accesses</text>\n",
      frame.x(0.125) + 8, frame.y(at_eighth) + 16, 100 * at_eighth);
  return out + "</svg></figure>\n";
}

std::string fact(const std::string& value, const std::string& name) {
  return "<div><b>" + escape_markup(value) + "</b><span>" + escape_markup(name) + "</span></div>\n";
}

std::string facts(const ProfileView& view) {
  const Profile& p = *view.profile;
  uint64_t bytes = 0;
  for (const ContextProfile& c : p.contexts) bytes += c.bytes;
  std::string out = "<section class=\"facts\">\n";
  out += fact(std::to_string(p.contexts.size()), "places that allocate");
  out += fact(human_bytes(bytes), "allocated");
  out += fact(std::to_string(p.total_samples()), "samples");
  out += fact(sampler_words(p), "sampler");
  out += fact(
      std::to_string(p.runs) + " / " + human_seconds(static_cast<double>(p.milliseconds) / 1000),
      "runs / time");
  if (view.near_bytes > 0) {
    out += fact(percent(near_shares(view).accesses),
                "of the accesses with " + human_bytes(view.near_bytes) + " near");
  }
  return out + "</section>\n";
}

std::string table(const ProfileView& view) {
  std::string out = "<h2>Places</h2><div class=\"wide\"><table><thead><tr>";
  for (const char* name : {"Heat", "&plusmn;", "Accesses", "Peak", "Bytes", "Allocated", "Count",
                           "Lifetime", "Near", "Place and its callers"}) {
    const bool is_near = std::string(name) == "Near";
    if (!is_near || view.near_bytes > 0) out += std::string("<th>") + name + "</th>";
  }
  out += "</tr></thead><tbody>\n";
  auto cell = [&out](const std::string& text) { out += "<td>" + escape_markup(text) + "</td>"; };
  for (size_t i = 0; i < view.rows.size() && i < kRowsShown; ++i) {
    const PlaceRow& row = view.rows[i];
    const ContextProfile& c = *row.counts;
    out += "<tr>";
    cell(view.sampled && c.watched > 0 ? printed("%.3g", row.heat) : "?");
    cell(c.samples > 0 ? printed("%.0f%%", 100 * row.error) : "?");
    out += printed("<td><span class=\"bar\" style=\"width:%.1fem\"></span>", 4 * row.access_share) +
           percent(row.access_share) + "</td>";
    cell(human_bytes(c.peak));
    cell(percent(row.byte_share));
    cell(human_bytes(c.bytes));
    cell(std::to_string(c.allocations));
    cell(human_seconds(c.lifetime()));
    if (view.near_bytes > 0) cell(row.near == 0 ? "" : percent(row.near));
    out += "<td>";
    for (size_t f = 0; f < row.key.size(); ++f) {
      const std::string text = escape_markup(row.key[f].text());
      out += f == 0 ? "<code>" + text + "</code>" : "<small>from " + text + "</small>";
    }
    out += "</td></tr>\n";
  }
  out += "</tbody></table></div>\n";
  if (view.rows.size() > kRowsShown) {
    out += "<p>" + std::to_string(view.rows.size() - kRowsShown) +
           " more places; hms report --json has all of them.</p>\n";
  }
  return out;
}

}  // namespace

std::string profile_html(const ProfileView& view) {
  const Profile& p = *view.profile;
  std::string out = kHead;
  out += "<title>" + escape_markup(p.program) + " - memory by place</title>\n";
  out += "<h1>" + escape_markup(p.program) +
         "</h1>\n<p>Where its memory was allocated, and how much it "
         "was used.</p>\n";
  out += facts(view);
  if (view.sampled) {
    out += "<section class=\"plots\">\n" + heat_plot(view) + hit_plot(view) + "</section>\n";
  } else {
    out +=
        "<p>No accesses were sampled, so there is no heat: see the sizes and lifetimes "
        "below.</p>\n";
  }
  out += table(view);
  if (!view.hints.empty()) out += "<p>" + escape_markup(view.hints) + "</p>\n";
  return out + "</html>\n";
}

}  // namespace hms::cli
