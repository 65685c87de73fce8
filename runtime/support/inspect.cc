// See inspect.h.
#include "runtime/support/inspect.h"

#include <string.h>
#include <unistd.h>

#include <memory>

#include "runtime/support/os_files.h"
#include "runtime/support/os_wait.h"
#include "runtime/support/stats_files.h"

namespace hms {
namespace {

constexpr int kLooks = 3;
constexpr unsigned kBetweenLooks = 100;  // ms; counters move: only what is in every look is meant
constexpr double kKernelSeconds = 10;

// Whose page is looked at; of this process there may be no file.
struct Subject {
  int pid = 0;
  bool self = false;
  unsigned user = 0;
  StatsFile file;
};

// A page as it is, aligned; short ones are told by `bytes`.
struct Copy {
  std::unique_ptr<StatsPage> page = std::make_unique<StatsPage>();
  size_t bytes = 0;
};

// Word by word: other threads count on it meanwhile.
Copy copy_of_self() {
  Copy copy;
  const auto* from = reinterpret_cast<const uint64_t*>(stats());
  auto* to = reinterpret_cast<uint64_t*>(copy.page.get());
  for (size_t i = 0; i < sizeof(StatsPage) / sizeof(uint64_t); ++i)
    to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
  copy.bytes = sizeof(StatsPage);
  return copy;
}

Result<Copy> copy_of(const Subject& subject) {
  if (subject.self) return copy_of_self();
  Result<std::vector<char>> raw = read_page(subject.file, subject.user);
  if (!raw.ok()) return raw.status();
  Copy copy;
  copy.bytes = raw.value().size();
  memcpy(static_cast<void*>(copy.page.get()), raw.value().data(), copy.bytes);
  return copy;
}

Result<Inspection> look(const Subject& subject) {
  Result<Copy> now = copy_of(subject);
  if (!now.ok()) return now.status();
  Inspection out;
  const StatsPage& page = *now.value().page;
  out.found = check_page(&page, now.value().bytes);
  if (!out.found.empty()) return out;
  if (!subject.self) {
    if (page.pid != subject.pid || page.start_time != subject.file.start_time) {
      out.found.emplace_back("the page names another process than its file name");
      return out;
    }
    Result<ProcessStats> stats = parse_stats(&page, sizeof page);
    if (stats.ok() && is_replaced(stats.value())) {
      return Status(HMS_ENODEV, "process " + std::to_string(subject.pid) +
                                    " has become another program, one without libhms");
    }
  }
  Result<KernelCheck> kernel = check_kernel(subject.pid, page, kKernelSeconds);
  if (!kernel.ok()) return kernel.status();
  Result<Copy> after = copy_of(subject);
  if (!after.ok()) return after.status();
  settle(page, *after.value().page, &kernel.value());
  out.kernel = kernel.value();
  out.found = out.kernel.contradictions;
  return out;
}

Result<Subject> subject_of(int pid) {
  Subject subject;
  subject.self = pid == 0;
  subject.pid = subject.self ? os::process_id() : pid;
  if (subject.self) {
    stats_init();
    return subject;
  }
  Result<StatsFile> file = find_page(pid, &subject.user);
  if (!file.ok()) return file.status();
  subject.file = file.value();
  return subject;
}

}  // namespace

Result<Inspection> inspect(int pid) {
  Result<Subject> subject = subject_of(pid);
  if (!subject.ok()) return subject.status();
  Inspection out;
  for (int i = 0; i < kLooks; ++i) {
    if (i > 0) os::sleep_ms(kBetweenLooks);
    Result<Inspection> next = look(subject.value());
    if (!next.ok()) return next.status();
    out.kernel = next.value().kernel;
    out.found = i == 0 ? next.value().found : lasting(out.found, next.value().found);
    if (out.found.empty()) break;
  }
  return out;
}

}  // namespace hms
