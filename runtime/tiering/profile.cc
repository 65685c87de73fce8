// The text of a profile: see profile.h. One line for each fact, words divided by single blanks,
// numbers in decimal; the last line counts the contexts and carries a check sum of all before it,
// so that a file that was cut or changed anywhere is told from a whole one.
#include "runtime/tiering/profile.h"

#include <stdio.h>
#include <string.h>

#include <algorithm>

#include "runtime/support/os.h"
#include "runtime/support/os_tree.h"

namespace hms::tiering {
namespace {

constexpr char kMagic[] = "hms-profile";
constexpr size_t kMaxWord = 4096;
constexpr char kWayOut[] = "record it again with `hms record`";

double ratio(uint64_t above, uint64_t below) {
  return below == 0 ? 0 : static_cast<double>(above) / static_cast<double>(below);
}

// FNV-1a, 64 bits: each step is a bijection of the state for a given byte and of the byte for a
// given state, so no change of a single byte goes unnoticed. It guards against accidents only.
uint64_t check_sum(const char* text, size_t bytes) {
  uint64_t sum = 14695981039346656037ULL;
  for (size_t i = 0; i < bytes; ++i) {
    sum = (sum ^ static_cast<unsigned char>(text[i])) * 1099511628211ULL;
  }
  return sum;
}

bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         strchr("._/:+-@=,~()[]", c) != nullptr;
}

// Any text as one word: other bytes as %XX, nothing as "-".
std::string word_of(const std::string& text) {
  static const char kHex[] = "0123456789ABCDEF";
  if (text.empty()) return "-";
  std::string out;
  for (char c : text) {
    if (c != '\0' && plain(c) && text != "-") {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[c & 15];
    }
  }
  return out;
}

std::string number(uint64_t value) { return std::to_string(value); }

std::string hexadecimal(uint64_t value) {
  char text[20];
  snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string frame_word(const KeyFrame& frame) {
  if (frame.object == kGeneratedCode) return "?";
  return number(frame.object) + "+" + hexadecimal(frame.offset);
}

// Reads words and numbers off a text; the first thing that does not fit makes it fail for good.
class Reader {
 public:
  Reader(const std::string& text, size_t end) : text_(text), end_(end) {}

  const std::string& problem() const { return problem_; }
  bool ok() const { return problem_.empty(); }
  bool at_end() const { return at_ == end_; }

  void fail(const std::string& what) {
    if (ok()) problem_ = "line " + number(line_) + ": " + what;
  }

  // Up to the next blank or line end, which stays.
  std::string word() {
    const size_t start = at_;
    while (at_ < end_ && text_[at_] != ' ' && text_[at_] != '\n' && at_ - start <= kMaxWord) ++at_;
    if (at_ == start || at_ - start > kMaxWord) fail("a word was expected");
    return text_.substr(start, at_ - start);
  }

  bool next_is(char c) const { return at_ < end_ && text_[at_] == c; }

  void blank() { expect(' ', "a blank"); }

  void line_end() {
    expect('\n', "the end of the line");
    ++line_;
  }

  void keyword(const char* wanted) {
    if (word() != wanted) fail(std::string("'") + wanted + "' was expected");
  }

  uint64_t parse(const std::string& digits, unsigned base, const char* what) {
    uint64_t value = 0;
    bool fine = !digits.empty() && (digits.size() == 1 || digits[0] != '0');
    for (char c : digits) {
      const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                             : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10
                                                    : 99;
      fine = fine && digit < base && !__builtin_mul_overflow(value, base, &value) &&
             !__builtin_add_overflow(value, digit, &value);
    }
    if (!fine) fail(std::string(what) + " was expected, not '" + digits.substr(0, 40) + "'");
    return value;
  }

  // " NUMBER"
  uint64_t count() {
    blank();
    return parse(word(), 10, "a number");
  }

  // " TEXT", as word_of() wrote it.
  std::string text() {
    blank();
    const std::string coded = word();
    if (coded == "-") return "";
    std::string out;
    for (size_t i = 0; i < coded.size(); ++i) {
      if (coded[i] != '%') {
        if (coded[i] == '\0' || !plain(coded[i])) fail("a text has a byte that is not allowed");
        out += coded[i];
        continue;
      }
      if (i + 2 >= coded.size()) {
        fail("a text ends within a code");
        break;
      }
      out += static_cast<char>(hex(coded[i + 1]) << 4 | hex(coded[i + 2]));
      i += 2;
    }
    return out;
  }

 private:
  unsigned hex(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
    fail("a text has a code that is none");
    return 0;
  }

  void expect(char c, const char* what) {
    if (!next_is(c)) return fail(std::string(what) + " was expected");
    ++at_;
  }

  const std::string& text_;
  size_t end_;
  size_t at_ = 0;
  size_t line_ = 1;
  std::string problem_;
};

void read_header(Reader* in, Profile* out) {
  in->keyword("program");
  out->program = in->text();
  out->program_id = in->text();
  in->line_end();
  in->keyword("sampler");
  out->sampler = in->text();
  in->blank();
  const std::string sight = in->word();
  out->sees_reads = sight == "reads" || sight == "both";
  out->sees_writes = sight == "writes" || sight == "both";
  if (!out->sees_reads && !out->sees_writes && sight != "nothing") {
    in->fail("'reads', 'writes', 'both' or 'nothing' was expected");
  }
  in->line_end();
  in->keyword("runs");
  out->runs = in->count();
  out->milliseconds = in->count();
  if (out->runs == 0) in->fail("a profile is of at least one run");
  in->line_end();
  in->keyword("memory");
  out->machine_bytes = in->count();
  in->line_end();
}

KeyFrame read_frame(Reader* in, size_t objects) {
  const std::string word = in->word();
  if (word == "?") return {};
  const size_t plus = word.find('+');
  if (plus == std::string::npos) {
    in->fail("a frame, OBJECT+OFFSET, was expected");
    return {};
  }
  const uint64_t object = in->parse(word.substr(0, plus), 10, "the number of an object");
  const uint64_t offset = in->parse(word.substr(plus + 1), 16, "an offset");
  if (object >= objects) in->fail("there is no object " + number(object));
  return {static_cast<uint32_t>(object), offset};
}

void read_object(Reader* in, Profile* out) {
  CodeObject object;
  object.id = in->text();
  object.path = in->text();
  in->line_end();
  if (object.id.empty()) in->fail("an object has no name");
  if (out->objects.size() == kMaxProfileObjects) in->fail("there are too many objects");
  if (in->ok()) out->objects.push_back(std::move(object));
}

void read_context(Reader* in, Profile* out) {
  ContextProfile c;
  c.allocations = in->count();
  c.bytes = in->count();
  c.peak = in->count();
  c.byte_seconds = in->count();
  c.samples = in->count();
  c.watched = in->count();
  while (in->ok() && in->next_is(' ')) {
    in->blank();
    if (c.key.size() == kKeyFrames) in->fail("a key has too many frames");
    c.key.push_back(read_frame(in, out->objects.size()));
  }
  if (c.key.empty()) in->fail("a context has no key");
  if (c.samples > 0 && c.watched == 0) in->fail("samples of what nobody watched");
  in->line_end();
  if (out->contexts.size() == kMaxProfileContexts) in->fail("there are too many contexts");
  if (in->ok()) out->contexts.push_back(std::move(c));
}

bool has_duplicates(const Profile& profile) {
  std::vector<const ContextProfile*> order;
  order.reserve(profile.contexts.size());
  for (const ContextProfile& c : profile.contexts) order.push_back(&c);
  auto less = [](const ContextProfile* a, const ContextProfile* b) { return a->key < b->key; };
  std::sort(order.begin(), order.end(), less);
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i]->key == order[i - 1]->key) return true;
  }
  std::vector<std::string> ids;
  for (const CodeObject& object : profile.objects) ids.push_back(object.id);
  std::sort(ids.begin(), ids.end());
  return std::adjacent_find(ids.begin(), ids.end()) != ids.end();
}

Status wrong(const std::string& origin, const std::string& what) {
  return {HMS_EINVAL, "profile '" + origin + "': " + what + "; " + kWayOut};
}

// The place of the last line, if it is whole and agrees with all before it; npos if not.
size_t checked_end(const std::string& text, uint64_t* contexts) {
  if (text.empty() || text.back() != '\n') return std::string::npos;
  const size_t before = text.size() >= 2 ? text.rfind('\n', text.size() - 2) : std::string::npos;
  if (before == std::string::npos) return before;
  const size_t start = before + 1;
  const std::string last = text.substr(start);
  Reader line(last, last.size());
  line.keyword("end");
  *contexts = line.count();
  line.blank();
  const uint64_t sum = line.parse(line.word(), 16, "a check sum");
  line.line_end();
  const bool fine = line.ok() && line.at_end() && sum == check_sum(text.data(), start);
  return fine ? start : std::string::npos;
}

const char* sight_word(const Profile& profile) {
  if (profile.sees_reads) return profile.sees_writes ? "both" : "reads";
  return profile.sees_writes ? "writes" : "nothing";
}

}  // namespace

double ContextProfile::heat() const { return ratio(samples, watched); }
double ContextProfile::lifetime() const { return ratio(byte_seconds, bytes); }
double ContextProfile::accesses() const { return heat() * static_cast<double>(byte_seconds); }

uint64_t Profile::total_samples() const {
  uint64_t sum = 0;
  for (const ContextProfile& c : contexts) sum += c.samples;
  return sum;
}

std::string format_profile(const Profile& profile) {
  std::string out = std::string(kMagic) + " " + number(kProfileVersion) + "\n";
  out += "program " + word_of(profile.program) + " " + word_of(profile.program_id) + "\n";
  out += "sampler " + word_of(profile.sampler) + " " + sight_word(profile) + "\n";
  out += "runs " + number(profile.runs) + " " + number(profile.milliseconds) + "\n";
  out += "memory " + number(profile.machine_bytes) + "\n";
  for (const CodeObject& object : profile.objects) {
    out += "object " + word_of(object.id) + " " + word_of(object.path) + "\n";
  }
  for (const ContextProfile& c : profile.contexts) {
    out += "context";
    for (uint64_t value : {c.allocations, c.bytes, c.peak, c.byte_seconds, c.samples, c.watched}) {
      out += " " + number(value);
    }
    for (const KeyFrame& frame : c.key) out += " " + frame_word(frame);
    out += "\n";
  }
  const std::string sum = hexadecimal(check_sum(out.data(), out.size()));
  return out + "end " + number(profile.contexts.size()) + " " + sum + "\n";
}

Result<Profile> parse_profile(const std::string& text, const std::string& origin) {
  const std::string head = std::string(kMagic) + " ";
  if (text.compare(0, head.size(), head) != 0) {
    return wrong(origin, "this is no profile of libhms");
  }
  Reader in(text, text.size());
  in.word();
  const uint64_t version = in.count();
  if (in.ok() && in.next_is('\n') && version != kProfileVersion) {
    return wrong(origin, "it has version " + number(version) + ", this libhms reads version " +
                             number(kProfileVersion));
  }
  uint64_t contexts = 0;
  const size_t end = checked_end(text, &contexts);
  if (end == std::string::npos) return wrong(origin, "it is damaged or was cut short");
  Reader body(text, end);
  body.word();
  body.count();
  body.line_end();
  Profile profile;
  read_header(&body, &profile);
  while (body.ok() && !body.at_end()) {
    const std::string word = body.word();
    if (word == "object" && profile.contexts.empty()) {
      read_object(&body, &profile);
    } else if (word == "context") {
      read_context(&body, &profile);
    } else {
      body.fail("'object' or 'context' was expected, objects first");
    }
  }
  if (!body.ok()) return wrong(origin, body.problem());
  if (contexts != profile.contexts.size()) return wrong(origin, "contexts are missing");
  if (has_duplicates(profile)) return wrong(origin, "it names an object or a context twice");
  return profile;
}

Result<Profile> read_profile(const std::string& path) {
  auto failed = [&path](int error) {
    return Status(HMS_EIO, "cannot read the profile '" + path + "': " + strerrordesc_np(-error));
  };
  const int64_t bytes = os::file_size(path.c_str());
  if (bytes < 0) return failed(static_cast<int>(bytes));
  if (static_cast<uint64_t>(bytes) > kMaxProfileBytes) {
    return wrong(path, "it has more than " + number(kMaxProfileBytes >> 20) + " MiB");
  }
  // One byte for the terminator, and one more so that a file that grows meanwhile is not cut.
  std::string text(static_cast<size_t>(bytes) + 2, '\0');
  const int got = os::read_file(path.c_str(), text.data(), text.size());
  if (got < 0) return failed(got);
  text.resize(static_cast<size_t>(got));
  return parse_profile(text, path);
}

}  // namespace hms::tiering
