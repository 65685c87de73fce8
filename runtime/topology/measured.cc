// Finding and reading measurement files.
#include "runtime/topology/measured.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "runtime/support/log.h"
#include "runtime/support/os.h"
#include "runtime/support/os_tree.h"

namespace hms::topology {
namespace {

constexpr int64_t kMaxFile = 4 << 20;
constexpr size_t kMaxPairs = 65536;

std::string machine_id() {
  char text[256];
  for (const char* path : {"/etc/machine-id", "/proc/sys/kernel/hostname"}) {
    if (os::read_file(path, text, sizeof text) <= 0) continue;
    std::string id = text;
    id.resize(std::min(id.find('\n'), id.size()));
    bool plain = std::all_of(id.begin(), id.end(), [](unsigned char c) {
      return isalnum(c) || c == '-' || c == '_' || c == '.';
    });
    if (!id.empty() && plain) return id;
  }
  return "unknown";
}

// Sizes are left out: memory comes and goes with ballooning and hot-plug.
std::string signature(const std::vector<Initiator>& initiators) {
  std::string text;
  for (const Initiator& i : initiators) {
    if (i.kind != InitiatorKind::kCpu) continue;
    text += (text.empty() ? "" : " ") + i.key + "=" + std::to_string(i.cpus.size());
  }
  return text;
}

// Scans JSON of the shape above. It skips what it does not know, and fails on what is no JSON
// value.
class Scanner {
 public:
  explicit Scanner(const std::string& text) : text_(text) {}

  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool string(std::string* out) {
    if (!take('"')) return false;
    out->clear();
    while (at_ < text_.size() && text_[at_] != '"') {
      // Keys and names of ours need no escapes; an escaped character is taken as itself.
      if (text_[at_] == '\\') ++at_;
      if (at_ < text_.size()) *out += text_[at_++];
    }
    return take('"');
  }

  bool number(double* out) {
    skip_space();
    char* end = nullptr;
    *out = strtod(text_.c_str() + at_, &end);
    size_t length = static_cast<size_t>(end - (text_.c_str() + at_));
    at_ += length;
    return length > 0;
  }

  // Any value, with a bound on nesting.
  bool skip(int depth = 0) {
    skip_space();
    if (at_ >= text_.size() || depth > 16) return false;
    std::string ignored;
    double n = 0;
    char c = text_[at_];
    if (c == '"') return string(&ignored);
    if (c == '{' || c == '[') return skip_group(c, depth);
    for (const char* word : {"true", "false", "null"}) {
      if (text_.compare(at_, strlen(word), word) == 0) {
        at_ += strlen(word);
        return true;
      }
    }
    return number(&n);
  }

  // Calls `field(name)` for each member of an object; it must consume the value.
  template <typename F>
  bool object(F field) {
    if (!take('{')) return false;
    if (take('}')) return true;
    do {
      std::string name;
      if (!string(&name) || !take(':') || !field(name)) return false;
    } while (take(','));
    return take('}');
  }

  template <typename F>
  bool array(F element) {
    if (!take('[')) return false;
    if (take(']')) return true;
    do {
      if (!element()) return false;
    } while (take(','));
    return take(']');
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && strchr(" \t\r\n", text_[at_]) && text_[at_]) ++at_;
  }

  bool skip_group(char open, int depth) {
    if (open == '{') {
      return object([this, depth](const std::string&) { return skip(depth + 1); });
    }
    return array([this, depth] { return skip(depth + 1); });
  }

  const std::string& text_;
  size_t at_ = 0;
};

bool scan_pair(Scanner* scanner, Measurement* m) {
  return scanner->object([&](const std::string& name) {
    if (name == "initiator") return scanner->string(&m->initiator);
    if (name == "target") return scanner->string(&m->target);
    if (name == "latency_ns") return scanner->number(&m->latency);
    if (name == "bandwidth_bytes_s") return scanner->number(&m->bandwidth);
    return scanner->skip();
  });
}

bool plausible(const Measurement& m) {
  auto number = [](double n, double most) { return n >= 0 && n <= most; };  // false for NaN
  return number(m.latency, 1e9) && number(m.bandwidth, 1e15);
}

}  // namespace

std::string measured_path() {
  // secure_getenv: a set-user-ID program must not read numbers that its caller prepared.
  if (const char* file = secure_getenv("HMS_MEASURED")) return file;
  std::string dir;
  const char* cache = secure_getenv("XDG_CACHE_HOME");
  const char* home = secure_getenv("HOME");
  if (cache && *cache == '/') {
    dir = cache;
  } else if (home && *home == '/') {
    dir = std::string(home) + "/.cache";
  } else {
    return "";
  }
  return dir + "/hms/measured-" + machine_id() + ".json";
}

std::string machine_signature(const Topology& t) { return signature(t.initiators()); }
std::string machine_signature(const Builder& b) { return signature(b.initiators()); }

Result<Measurements> parse_measurements(const std::string& text) {
  Measurements out;
  double schema = 0;
  Scanner scanner(text);
  bool whole = scanner.object([&](const std::string& name) {
    if (name == "schema") return scanner.number(&schema);
    if (name == "machine") return scanner.string(&out.machine);
    if (name != "pairs") return scanner.skip();
    return scanner.array([&] {
      Measurement m;
      if (!scan_pair(&scanner, &m) || out.pairs.size() == kMaxPairs) return false;
      if (plausible(m)) out.pairs.push_back(std::move(m));
      return true;
    });
  });
  if (!whole) return Status(HMS_EIO, "is not the JSON that hms topology --measure writes");
  if (schema != 1) return Status(HMS_EIO, "has a schema other than 1");
  return out;
}

void add_measured(Builder* builder) {
  std::string path = measured_path();
  if (path.empty()) return;
  int64_t bytes = os::file_size(path.c_str());
  if (bytes <= 0) return;
  auto warn = [&path](const std::string& what) {
    log_once(LogLevel::kWarning, "measured", "%s %s; ignored (measure again, or remove it)",
             path.c_str(), what.c_str());
  };
  if (bytes > kMaxFile) return warn("is larger than 4 MiB");
  std::string text(static_cast<size_t>(bytes) + 1, '\0');
  int n = os::read_file(path.c_str(), text.data(), text.size());
  if (n < 0) return warn("cannot be read");
  text.resize(static_cast<size_t>(n));
  auto parsed = parse_measurements(text);
  if (!parsed.ok()) return warn(parsed.status().message());
  if (parsed.value().machine != machine_signature(*builder)) return;  // another machine's
  for (const Measurement& m : parsed.value().pairs) {
    Initiator* i = builder->find_initiator(m.initiator);
    Target* t = builder->find_target(m.target);
    if (!i || !t) continue;
    Properties said;
    if (m.latency > 0) said.latency = Sourced{m.latency, Provenance::kMeasured};
    if (m.bandwidth > 0) said.bandwidth = Sourced{m.bandwidth, Provenance::kMeasured};
    builder->state(i->id, t->id, said);
  }
}

}  // namespace hms::topology
