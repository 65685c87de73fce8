// A topology as a drawing: Graphviz dot, and SVG by a small renderer of our own.
//
// The SVG has three columns: initiators, links, targets. Lines join a link with its members; the
// link's box carries the numbers. Bridges are listed below, because arrows between boxes of one
// column would cross everything else.
#include <algorithm>
#include <map>

#include "cli/format.h"
#include "cli/markup.h"
#include "cli/topology_view.h"
#include "runtime/topology/units.h"

namespace hms::cli {
namespace {

using topology::Id;
using topology::Topology;

std::string number(double value) { return printed("%.0f", value); }

std::string escape_dot(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out;
}

using Lines = std::vector<std::string>;

Lines target_lines(const topology::Target& x) {
  Lines out{x.label.empty() ? x.key : x.key + " - " + x.label,
            std::string(to_string(x.kind)) + ", " + topology::format_bytes(x.bytes)};
  if (x.emulated && x.node >= 0) out.push_back("emulated on node " + std::to_string(x.node));
  if (x.side_cache_bytes) out.push_back("cache " + topology::format_bytes(x.side_cache_bytes));
  return out;
}

Lines initiator_lines(const topology::Initiator& x) {
  Lines out{x.label.empty() ? x.key : x.key + " - " + x.label};
  out.push_back(x.cpus.empty() ? to_string(x.kind) : "CPUs " + ranges(x.cpus));
  return out;
}

Lines property_lines(const topology::Properties& p) {
  Lines out;
  if (p.bandwidth) out.push_back(bandwidth_text(p));
  if (p.latency) out.push_back(latency_text(p));
  if (out.empty() && p.distance) out.push_back("distance " + distance_text(p));
  if (out.empty()) out.push_back("cost not known");
  return out;
}

std::string cut(const std::string& text, size_t most) {
  return text.size() <= most ? text : text.substr(0, most - 3) + "...";
}

const char* fill_of(topology::TargetKind kind) {
  switch (kind) {
    case topology::TargetKind::kDram:
      return "#dbe9f6";
    case topology::TargetKind::kHbm:
      return "#fde0c5";
    case topology::TargetKind::kCxl:
      return "#e2f0d9";
    case topology::TargetKind::kPmem:
      return "#eadcf4";
    case topology::TargetKind::kDevice:
      return "#f8d7da";
    case topology::TargetKind::kUnknown:
      break;
  }
  return "#eeeeee";
}

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  double middle() const { return y + height / 2; }
};

class Svg {
 public:
  explicit Svg(const Topology& t) : t_(t) {}

  std::string render() {
    place();
    std::string lines, boxes;
    for (const auto& link : t_.links()) {
      const Box& at = boxes_[link.id];
      for (Id id : link.initiators) lines += join(boxes_[id], at);
      for (Id id : link.targets) lines += join(at, boxes_[id]);
    }
    for (const auto& x : t_.initiators()) {
      boxes += draw(boxes_[x.id], initiator_lines(x), "#fff6cc");
    }
    for (const auto& x : t_.links()) {
      boxes += draw(boxes_[x.id], property_lines(x.properties), "#ffffff");
    }
    for (const auto& x : t_.targets()) {
      boxes += draw(boxes_[x.id], target_lines(x), fill_of(x.kind));
    }
    std::string notes = bridge_notes();
    std::string size = "width=\"" + number(width_) + "\" height=\"" + number(height_) + "\"";
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" " + size + " viewBox=\"0 0 " +
           number(width_) + " " + number(height_) +
           "\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" "
           "height=\"100%\" fill=\"white\"/>\n" +
           headings() + lines + boxes + notes + "</svg>\n";
  }

 private:
  static constexpr double kLine = 17, kPad = 8, kGap = 14, kTop = 66, kSide = 20;
  static constexpr double kWidth[3] = {200, 190, 250};
  static constexpr double kBetween = 130;

  double column(int i) const {
    double x = kSide;
    for (int c = 0; c < i; ++c) x += kWidth[c] + kBetween;
    return x;
  }

  static double box_height(const Lines& lines) {
    return kPad * 2 + kLine * static_cast<double>(lines.size()) - 4;
  }

  // Stacks one column; returns where it ends.
  template <typename T, typename F>
  double stack(const std::vector<T>& objects, int c, F lines_of) {
    double y = kTop;
    for (const T& o : objects) {
      double h = box_height(lines_of(o));
      boxes_[o.id] = {column(c), y, kWidth[c], h};
      y += h + kGap;
    }
    return y;
  }

  void place() {
    double ends[3] = {stack(t_.initiators(), 0, initiator_lines),
                      stack(t_.links(), 1, [](auto& l) { return property_lines(l.properties); }),
                      stack(t_.targets(), 2, target_lines)};
    double most = std::max({ends[0], ends[1], ends[2]});
    // Shorter columns are centred, which keeps the lines flat.
    centre(t_.initiators(), (most - ends[0]) / 2);
    centre(t_.links(), (most - ends[1]) / 2);
    centre(t_.targets(), (most - ends[2]) / 2);
    notes_top_ = most + 10;
    height_ = notes_top_ + kLine * static_cast<double>(t_.bridges().size() + 1) + 20;
    width_ = column(2) + kWidth[2] + kSide;
  }

  template <typename T>
  void centre(const std::vector<T>& objects, double shift) {
    for (const T& o : objects) boxes_[o.id].y += shift;
  }

  static std::string text(double x, double y, const std::string& words, const char* style) {
    return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + style + ">" +
           escape_markup(words) + "</text>\n";
  }

  static std::string draw(const Box& b, const Lines& lines, const char* fill) {
    std::string out = "<rect x=\"" + number(b.x) + "\" y=\"" + number(b.y) + "\" width=\"" +
                      number(b.width) + "\" height=\"" + number(b.height) +
                      "\" rx=\"5\" stroke=\"#444444\" fill=\"" + fill + "\"/>\n";
    double y = b.y + kPad + 10;
    size_t room = static_cast<size_t>((b.width - 2 * kPad) / 6.9);
    for (size_t i = 0; i < lines.size(); ++i) {
      out +=
          text(b.x + b.width / 2, y, cut(lines[i], room),
               i == 0 ? "text-anchor=\"middle\" font-weight=\"bold\"" : "text-anchor=\"middle\"");
      y += kLine;
    }
    return out;
  }

  static std::string join(const Box& a, const Box& b) {
    double x1 = a.x + a.width, x2 = b.x, bend = (x2 - x1) / 2;
    return "<path d=\"M" + number(x1) + " " + number(a.middle()) + " C" + number(x1 + bend) + " " +
           number(a.middle()) + " " + number(x2 - bend) + " " + number(b.middle()) + " " +
           number(x2) + " " + number(b.middle()) +
           "\" fill=\"none\" stroke=\"#888888\" stroke-width=\"1.3\"/>\n";
  }

  std::string headings() const {
    const char* bold = "text-anchor=\"middle\" font-size=\"14\" fill=\"#666666\"";
    std::string title = "Memory topology from " + t_.source();
    if (t_.emulated()) title += " (emulated targets)";
    size_t room = static_cast<size_t>(width_ / 9);
    std::string out = text(kSide, 26, cut(title, room), "font-size=\"16\" font-weight=\"bold\"");
    const char* names[3] = {"initiators", "links", "targets"};
    for (int c = 0; c < 3; ++c) out += text(column(c) + kWidth[c] / 2, 52, names[c], bold);
    return out;
  }

  std::string bridge_notes() const {
    std::string out;
    double y = notes_top_ + kLine;
    for (const auto& b : t_.bridges()) {
      const auto* from = t_.link(b.from_link);
      const auto* to = t_.link(b.to_link);
      std::string line = "bridge " + (from ? from->key : "") + " to " + (to ? to->key : "") + ":";
      for (const std::string& p : property_lines(b.properties)) line += " " + p;
      out += text(kSide, y, cut(line, static_cast<size_t>((width_ - 2 * kSide) / 6.9)), "");
      y += kLine;
    }
    return out;
  }

  const Topology& t_;
  std::map<Id, Box> boxes_;
  double width_ = 0, height_ = 0, notes_top_ = 0;
};

std::string dot_node(Id id, const Lines& lines, const char* shape, const char* fill) {
  std::string label;
  for (const std::string& line : lines) label += (label.empty() ? "" : "\\n") + escape_dot(line);
  return "  o" + std::to_string(id) + " [label=\"" + label + "\", shape=" + shape +
         ", style=filled, fillcolor=\"" + fill + "\"];\n";
}

std::string dot_edge(Id from, Id to, const std::string& attributes) {
  return "  o" + std::to_string(from) + " -> o" + std::to_string(to) + attributes + ";\n";
}

}  // namespace

std::string topology_svg(const Topology& t) { return Svg(t).render(); }

std::string topology_dot(const Topology& t) {
  std::string out = "digraph hms {\n  rankdir=LR;\n  label=\"" +
                    escape_dot("Memory topology from " + t.source()) +
                    (t.emulated() ? " (emulated targets)" : "") + "\";\n";
  for (const auto& x : t.initiators()) {
    out += dot_node(x.id, initiator_lines(x), "box", "#fff6cc");
  }
  for (const auto& x : t.links()) {
    out += dot_node(x.id, property_lines(x.properties), "ellipse", "#ffffff");
  }
  for (const auto& x : t.targets()) out += dot_node(x.id, target_lines(x), "box", fill_of(x.kind));
  for (const auto& x : t.links()) {
    for (Id id : x.initiators) out += dot_edge(id, x.id, "");
    for (Id id : x.targets) out += dot_edge(x.id, id, "");
  }
  for (const auto& x : t.bridges()) {
    std::string label;
    for (const std::string& line : property_lines(x.properties)) {
      label += (label.empty() ? "" : "\\n") + escape_dot(line);
    }
    out += dot_edge(x.from_link, x.to_link, " [style=dashed, label=\"" + label + "\"]");
  }
  return out + "}\n";
}

}  // namespace hms::cli
