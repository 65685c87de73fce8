// See movers.h.
#include "runtime/tiering/movers.h"

#include "runtime/support/os.h"

namespace hms::tiering {
namespace {

// DAMON's threads, and the schemes of each, that are looked at: who uses it has one or two.
constexpr int kThreads = 4, kSchemes = 8;

std::string text_of(const std::string& path) {
  char buffer[64];
  const int n = os::read_file(path.c_str(), buffer, sizeof buffer);
  std::string text(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Those that reclaim ("pageout") move nothing to another node unless the kernel demotes, which is
// asked for by itself.
bool moves_pages(const std::string& action) { return action.rfind("migrate", 0) == 0; }

// A monitor that only watches is nobody's rival.
bool damon_moves(const std::string& root) {
  const std::string threads = root + "/sys/kernel/mm/damon/admin/kdamonds/";
  for (int thread = 0; thread < kThreads; ++thread) {
    const std::string at = threads + std::to_string(thread);
    if (text_of(at + "/state") != "on") continue;
    for (int scheme = 0; scheme < kSchemes; ++scheme) {
      const std::string action = at + "/contexts/0/schemes/" + std::to_string(scheme) + "/action";
      if (moves_pages(text_of(action))) return true;
    }
  }
  return false;
}

}  // namespace

std::string foreign_mover(const std::string& root) {
  const std::string demotion = text_of(root + "/sys/kernel/mm/numa/demotion_enabled");
  if (demotion == "true" || demotion == "1") {
    return "the kernel demotes pages under pressure (numa/demotion_enabled)";
  }
  if (damon_moves(root)) return "a DAMON scheme moves pages";
  return "";
}

}  // namespace hms::tiering
