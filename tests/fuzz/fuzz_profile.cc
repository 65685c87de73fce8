// Fuzzes the parser of profiles, the merging of them and what is concluded from them.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "runtime/tiering/profile.h"
#include "runtime/tiering/profile_plan.h"

namespace {

using hms::tiering::Profile;

void use(const Profile& profile) {
  // What was understood is written and read again as the same.
  const std::string text = hms::tiering::format_profile(profile);
  hms::Result<Profile> again = hms::tiering::parse_profile(text, "again");
  if (!again.ok() || hms::tiering::format_profile(again.value()) != text) abort();
  Profile sum = profile;
  hms::tiering::merge_profile(profile, &sum);
  if (sum.contexts.size() != profile.contexts.size()) abort();
  hms::tiering::join_same_keys(&sum);
  if (!hms::tiering::parse_profile(hms::tiering::format_profile(sum), "sum").ok()) abort();
  const hms::tiering::ProfilePlan plan(profile, uint64_t{1} << 30);
  for (const auto& context : profile.contexts) {
    hms::tiering::StableKey key;
    for (const auto& frame : context.key) key.frames[key.count++] = frame;
    plan.lean_of(key);
  }
}

void try_text(const std::string& text) {
  hms::Result<Profile> profile = hms::tiering::parse_profile(text, "fuzz");
  if (profile.ok()) use(profile.value());
  if (!profile.ok() && profile.status().message().empty()) abort();
}

// The last line that a text of so many contexts must have; a fuzzer does not guess check sums.
std::string last_line(const std::string& text) {
  uint64_t sum = 14695981039346656037ULL;
  for (char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  size_t contexts = 0;
  for (size_t at = text.find("\ncontext "); at != std::string::npos;
       at = text.find("\ncontext ", at + 1)) {
    ++contexts;
  }
  char line[64];
  snprintf(line, sizeof line, "end %zu %llx\n", contexts, static_cast<unsigned long long>(sum));
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try_text(text);
  std::string body = text.substr(0, text.rfind("end "));
  if (body.empty() || body.back() != '\n') body += '\n';
  try_text(body + last_line(body));
  return 0;
}
