// Objects and their build ids: see loaded_object.h.
#include "runtime/support/loaded_object.h"

#include <dlfcn.h>
#include <elf.h>
#include <string.h>

namespace hms {
namespace {

constexpr size_t kMaxBuildId = 64;

// The note of type NT_GNU_BUILD_ID among those in [at, end).
BuildId find_note(const uint8_t* at, const uint8_t* end) {
  constexpr size_t kHeader = sizeof(ElfW(Nhdr));
  auto padded = [](size_t bytes) { return (bytes + 3) & ~size_t{3}; };
  while (static_cast<size_t>(end - at) >= kHeader) {
    ElfW(Nhdr) note;
    memcpy(&note, at, kHeader);
    const size_t name = padded(note.n_namesz), content = padded(note.n_descsz);
    at += kHeader;
    if (name + content > static_cast<size_t>(end - at)) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(at, "GNU", 4) == 0 &&
        note.n_descsz > 0 && note.n_descsz <= kMaxBuildId) {
      return {at + name, note.n_descsz};
    }
    at += name + content;
  }
  return {};
}

// Bytes of the file from its beginning that are mapped where the object starts.
uint64_t first_segment_bytes(const ElfW(Phdr) * segments, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0) return segments[i].p_filesz;
  }
  return 0;
}

}  // namespace

bool find_loaded_object(const void* code, LoadedObject* out) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
  dl_find_object found;
  if (_dl_find_object(const_cast<void*>(code), &found) != 0) return false;
  out->map = found.dlfo_link_map;
  out->start = found.dlfo_map_start;
#else
  Dl_info info;
  link_map* map = nullptr;
  void* extra = &map;
  if (dladdr1(code, &info, static_cast<void**>(extra), RTLD_DL_LINKMAP) == 0) return false;
  out->map = map;
  out->start = info.dli_fbase;
#endif
  return out->map != nullptr;
}

BuildId build_id_of(const LoadedObject& object) {
  const auto* start = static_cast<const uint8_t*>(object.start);
  if (start == nullptr || memcmp(start, ELFMAG, SELFMAG) != 0) return {};
  const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(start);
  if (header->e_phentsize != sizeof(ElfW(Phdr))) return {};
  const auto* segments = reinterpret_cast<const ElfW(Phdr)*>(start + header->e_phoff);
  const uint64_t loaded = first_segment_bytes(segments, header->e_phnum);
  for (unsigned i = 0; i < header->e_phnum; ++i) {
    const ElfW(Phdr)& segment = segments[i];
    // Only what is loaded is in memory: such a note lies with the headers.
    const bool here = segment.p_offset <= loaded && segment.p_filesz <= loaded - segment.p_offset;
    if (segment.p_type != PT_NOTE || !here) continue;
    const uint8_t* notes = start + segment.p_offset;
    BuildId id = find_note(notes, notes + segment.p_filesz);
    if (id.count > 0) return id;
  }
  return {};
}

}  // namespace hms
