// Object and function of a call site: see call_site.h.
#include "allocator/routing/call_site.h"

#include <cxxabi.h>
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/support/loaded_object.h"
#include "runtime/support/os_files.h"

namespace hms::routing {
namespace {

const char* file_name(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

// What /proc/self/exe leads to: the file behind a link, which may be named otherwise. Read once.
class Executable {
 public:
  Executable() { os::executable_path(path_, sizeof path_); }
  const char* name() const { return file_name(path_); }

 private:
  char path_[PATH_MAX];
};

// The dynamic symbol table of a loaded object.
struct Symbols {
  const ElfW(Sym) * table = nullptr;
  const char* names = nullptr;
  size_t count = 0;
};

// The GNU hash table does not say how many symbols there are: the last chain ends with the last.
// Layout: nbuckets, symoffset, bloom_size, bloom_shift, bloom[], buckets[], chains[].
size_t count_by_gnu_hash(const uint32_t* hash) {
  uint32_t buckets = hash[0], offset = hash[1], bloom = hash[2];
  const uint32_t* bucket = hash + 4 + bloom * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
  const uint32_t* chain = bucket + buckets;
  uint32_t last = 0;
  for (uint32_t i = 0; i < buckets; ++i) last = bucket[i] > last ? bucket[i] : last;
  if (last < offset) return offset;
  while ((chain[last - offset] & 1) == 0) ++last;
  return last + 1;
}

Symbols symbols_of(const link_map* map) {
  Symbols symbols;
  // glibc relocates these entries in place on most architectures; elsewhere they are offsets.
  auto absolute = [map](ElfW(Addr) value) {
    ElfW(Addr) address = value < map->l_addr ? value + map->l_addr : value;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the dynamic section holds addresses as numbers
    return reinterpret_cast<const void*>(address);
  };
  for (const ElfW(Dyn)* d = map->l_ld; d != nullptr && d->d_tag != DT_NULL; ++d) {
    if (d->d_tag == DT_SYMTAB) {
      symbols.table = static_cast<const ElfW(Sym)*>(absolute(d->d_un.d_ptr));
    } else if (d->d_tag == DT_STRTAB) {
      symbols.names = static_cast<const char*>(absolute(d->d_un.d_ptr));
    } else if (d->d_tag == DT_HASH) {
      symbols.count = static_cast<const uint32_t*>(absolute(d->d_un.d_ptr))[1];
    } else if (d->d_tag == DT_GNU_HASH && symbols.count == 0) {
      symbols.count = count_by_gnu_hash(static_cast<const uint32_t*>(absolute(d->d_un.d_ptr)));
    }
  }
  if (symbols.table == nullptr || symbols.names == nullptr) symbols.count = 0;
  return symbols;
}

// A glob is compared with the name as linked and, for C++ functions, as written in the source.
bool match_name(const char* glob, const char* name) {
  if (glob_match(glob, name)) return true;
  if (strncmp(name, "_Z", 2) != 0 || strncmp(glob, "_Z", 2) == 0) return false;
  int status = 0;
  char* readable = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  bool matches = readable != nullptr && glob_match(glob, readable);
  free(readable);
  return matches;
}

// Bits of `wanted` whose symbol glob matches a function that contains the address. Aliases share an
// address: any of them may match.
uint64_t match_symbols(const RuleTable& rules, const link_map* map, uintptr_t address,
                       uint64_t wanted) {
  uint64_t matched = 0;
  Symbols symbols = symbols_of(map);
  uintptr_t offset = address - map->l_addr;
  for (size_t i = 0; i < symbols.count; ++i) {
    const ElfW(Sym)& symbol = symbols.table[i];
    if (symbol.st_shndx == SHN_UNDEF || offset < symbol.st_value ||
        offset - symbol.st_value >= symbol.st_size) {
      continue;
    }
    unsigned type = symbol.st_info & 0xf;
    if (type != STT_FUNC && type != STT_GNU_IFUNC) continue;
    for (uint64_t left = wanted & ~matched; left != 0; left &= left - 1) {
      auto index = static_cast<size_t>(__builtin_ctzl(left));
      if (match_name(rules.rule(index).symbol->c_str(), symbols.names + symbol.st_name)) {
        matched |= uint64_t{1} << index;
      }
    }
  }
  return matched;
}

bool match_object(const char* glob, const link_map* map) {
  // The program itself has an empty name in the list of objects.
  if (map->l_name == nullptr || map->l_name[0] == 0) return match_program(glob);
  return glob_match(glob, file_name(map->l_name));
}

}  // namespace

bool match_program(const char* glob) {
  static const Executable executable;
  const char* called = program_invocation_short_name;
  return (called != nullptr && glob_match(glob, called)) || glob_match(glob, executable.name());
}

uint64_t match_site(const RuleTable& rules, const void* site) {
  uint64_t mask = ~rules.site_rules();
  if (site == nullptr) return mask;
  // A return address may be the first byte after the function that called.
  const void* code = static_cast<const char*>(site) - 1;
  LoadedObject object;
  if (!find_loaded_object(code, &object)) return mask;
  const link_map* map = object.map;
  uint64_t objects = 0;
  for (uint64_t left = rules.site_rules(); left != 0; left &= left - 1) {
    auto index = static_cast<size_t>(__builtin_ctzl(left));
    const Rule& rule = rules.rule(index);
    if (!rule.object || match_object(rule.object->c_str(), map)) objects |= uint64_t{1} << index;
  }
  mask |= objects & ~rules.symbol_rules();
  uint64_t wanted = objects & rules.symbol_rules();
  if (wanted != 0) mask |= match_symbols(rules, map, reinterpret_cast<uintptr_t>(code), wanted);
  return mask;
}

}  // namespace hms::routing
