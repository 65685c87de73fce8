// See profile_store.h.
#include "runtime/tiering/profile_store.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

#include "runtime/support/counters.h"
#include "runtime/support/os_files.h"
#include "runtime/support/os_tree.h"
#include "runtime/support/stats_files.h"
#include "runtime/tiering/stable_key.h"

namespace hms::tiering {

Status store_profile(const Profile& profile) {
  stats_publish();
  char page[64];
  const int dir = stats_open_published(page, sizeof page);
  if (dir < 0) {
    return {HMS_EPERM, std::string("no folder for the profile: ") + strerrordesc_np(-dir)};
  }
  const std::string text = format_profile(profile);
  const std::string fresh = std::string(page) + kNewProfileSuffix;
  const std::string name = std::string(page) + kProfileSuffix;
  int r = os::write_new_file(dir, fresh.c_str(), os::effective_user(), text.data(), text.size());
  if (r == 0) r = os::rename_file(dir, fresh.c_str(), name.c_str());
  os::close_file(dir);
  if (r == 0) return {};
  return {HMS_EIO, "cannot write the profile " + name + ": " + strerrordesc_np(-r)};
}

void describe_process(CodeObjects* objects, Profile* profile) {
  const char* name = program_invocation_short_name;
  profile->program = name != nullptr ? name : "?";
  // A return address lies behind its call, so one byte past the program's first instruction is in
  // the program.
  const uintptr_t entry = getauxval(AT_ENTRY) + 1;
  const KeyFrame frame = objects->frame_of(reinterpret_cast<const void*>(entry));
  if (frame.object != kGeneratedCode) profile->program_id = objects->at(frame.object).id;
  uint64_t free_now = 0;
  os::machine_memory(&profile->machine_bytes, &free_now);
}

}  // namespace hms::tiering
