// Leaving files for a process and answering them: see control.h.
#include "runtime/support/control.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vector>

#include "runtime/support/config.h"
#include "runtime/support/os.h"
#include "runtime/support/os_files.h"

namespace hms {
namespace {

constexpr char kRulesSuffix[] = ".rules";         // a line with the ring's number, then the text
constexpr char kNewRulesSuffix[] = ".rules-new";  // while that is being written
constexpr char kAnswerSuffix[] = ".answer";
constexpr size_t kMaxAnswer = 8192;
constexpr size_t kMaxRingLine = 21;  // 20 digits are the most that 64 bits have
constexpr char kDone[] = "done";

// A descriptor that is closed again.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) os::close_file(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::string why(int error) { return strerrordesc_np(-error); }

Result<std::string> read_text(int dir, const std::string& name, unsigned user, size_t most) {
  std::vector<char> text(most);
  int bytes = os::read_owned_file(dir, name.c_str(), user, text.data(), text.size());
  if (bytes < 0) return Status(HMS_EIO, "cannot read " + name + ": " + why(bytes));
  return std::string(text.data(), static_cast<size_t>(bytes));
}

// Whole or not at all: the process may be looking, for what was left before.
int leave(int dir, const std::string& name, unsigned user, const std::string& text) {
  const std::string fresh = name + kNewRulesSuffix;
  int r = os::write_new_file(dir, fresh.c_str(), user, text.data(), text.size());
  if (r == 0) r = os::rename_file(dir, fresh.c_str(), (name + kRulesSuffix).c_str());
  return r;
}

// The answer to ring `wanted` once the process has given it.
Status await(int page, int dir, const StatsFile& file, unsigned user, uint64_t wanted,
             double seconds) {
  constexpr int kStep = 20;  // ms
  for (int waited = 0;; waited += kStep) {
    uint64_t done = 0;
    int r = os::read_word(page, offsetof(StatsPage, rules_done), &done);
    if (r != 0) return {HMS_EIO, "cannot read the counter page: " + why(r)};
    if (done >= wanted) break;
    std::string who = "process " + std::to_string(file.pid);
    if (!is_running(file.pid, file.start_time)) return {HMS_ENODEV, who + " has ended"};
    if (waited >= seconds * 1000) {
      return {HMS_EPARTIAL, who +
                                " has not asked for memory since; the rules are left for it, and "
                                "count once it does"};
    }
    timespec step = {0, kStep * 1000000L};
    nanosleep(&step, nullptr);
  }
  Result<std::string> answer = read_text(dir, file.name + kAnswerSuffix, user, kMaxAnswer);
  os::remove_file(dir, (file.name + kAnswerSuffix).c_str());
  if (!answer.ok()) return answer.status();
  if (answer.value() == kDone) return {};
  return {HMS_EINVAL, answer.value()};
}

}  // namespace

Control take_control() {
  Control out = {stats()->rules_wanted.load(std::memory_order_acquire), std::string()};
  char name[64];
  Descriptor dir(stats_open_published(name, sizeof name));
  if (!dir.ok()) {
    out.text = Status(HMS_EPERM, "the folder of the counters is closed: " + why(dir.get()));
    return out;
  }
  // One byte more than allowed, so that the parser notices a text that is too long.
  out.text = read_text(dir.get(), std::string(name) + kRulesSuffix, os::effective_user(),
                       kMaxRingLine + kMaxConfigBytes + 1);
  if (!out.text.ok()) return out;
  const std::string file = out.text.value();
  char* end = nullptr;
  const uint64_t ring = strtoull(file.c_str(), &end, 10);
  if (end == file.c_str() || *end != '\n' || ring < out.ring) {
    out.text = Status(HMS_EINVAL, "nothing was left for ring " + std::to_string(out.ring));
    return out;
  }
  out.ring = ring;
  out.text = file.substr(static_cast<size_t>(end + 1 - file.c_str()));
  return out;
}

void answer_control(uint64_t ring, const std::string& problems) {
  char name[64];
  Descriptor dir(stats_open_published(name, sizeof name));
  if (dir.ok()) {
    std::string text = problems.empty() ? kDone : problems.substr(0, kMaxAnswer);
    os::write_new_file(dir.get(), (std::string(name) + kAnswerSuffix).c_str(), os::effective_user(),
                       text.data(), text.size());
  }
  stats()->rules_done.store(ring, std::memory_order_release);
}

Status send_control(const StatsFile& file, unsigned user, const std::string& text, double seconds) {
  Descriptor dir(os::open_private_dir(file.dir.c_str(), user, false));
  if (!dir.ok()) return {HMS_EPERM, "cannot use " + file.dir + ": " + why(dir.get())};
  Descriptor page(os::open_owned_file(dir.get(), file.name.c_str(), user));
  if (page.get() == -EWOULDBLOCK) {
    return {HMS_EPERM, "another `hms ctl` is waiting for process " + std::to_string(file.pid)};
  }
  if (!page.ok()) return {HMS_EPERM, "cannot write to its counter page: " + why(page.get())};
  uint64_t takes = 0, wanted = 0;
  int r = os::read_word(page.get(), offsetof(StatsPage, takes_rules), &takes);
  if (r == 0) r = os::read_word(page.get(), offsetof(StatsPage, rules_wanted), &wanted);
  if (r != 0) return {HMS_EIO, "cannot read the counter page: " + why(r)};
  if (takes != 1) {
    return {HMS_ENOSYS, "process " + std::to_string(file.pid) +
                            " takes no rules: it has raised rights, or malloc is not libhms's"};
  }
  ++wanted;
  r = leave(dir.get(), file.name, user, std::to_string(wanted) + "\n" + text);
  if (r != 0) return {HMS_EIO, "cannot leave the rules in " + file.dir + ": " + why(r)};
  r = os::write_word(page.get(), offsetof(StatsPage, rules_wanted), wanted);
  if (r != 0) return {HMS_EIO, "cannot write to the counter page: " + why(r)};
  return await(page.get(), dir.get(), file, user, wanted, seconds);
}

void remove_control(int dir, const char* page_name) {
  char name[96];
  for (const char* suffix :
       {kRulesSuffix, kNewRulesSuffix, kAnswerSuffix, kProfileSuffix, kNewProfileSuffix}) {
    int n = snprintf(name, sizeof name, "%s%s", page_name, suffix);
    if (n > 0 && static_cast<size_t>(n) < sizeof name) os::remove_file(dir, name);
  }
}

}  // namespace hms
