// Looks into programs before they are started: see program.h.
#include "cli/program.h"

#include <elf.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <vector>

namespace hms::cli {
namespace {

constexpr size_t kMaxTable = 256u << 20;  // no sane symbol table is larger
constexpr int kMaxInterpreters = 4;       // as the kernel's BINPRM_DEPTH, about

// The parts of an ELF file that preloading depends on.
class ElfFile {
 public:
  explicit ElfFile(const std::string& path) : file_(path, std::ios::binary) {
    valid_ = read(0, &header_, sizeof header_) && memcmp(header_.e_ident, ELFMAG, SELFMAG) == 0;
  }

  bool valid() const { return valid_; }
  bool native() const {
    static const ElfFile self("/proc/self/exe");
    return header_.e_ident[EI_CLASS] == ELFCLASS64 &&
           (!self.valid_ || header_.e_machine == self.header_.e_machine);
  }

  // The dynamic linker that the program names; "" if it is linked statically.
  std::string interpreter() {
    for (unsigned i = 0; i < header_.e_phnum; ++i) {
      Elf64_Phdr segment;
      if (!read(header_.e_phoff + i * sizeof segment, &segment, sizeof segment)) break;
      if (segment.p_type != PT_INTERP || segment.p_filesz > 4096) continue;
      std::string name(segment.p_filesz, '\0');
      if (!read(segment.p_offset, &name[0], name.size())) break;
      return name.c_str();
    }
    return "";
  }

  // Reads the dynamic symbols; files without section headers have none for us.
  void read_symbols() {
    for (unsigned i = 0; i < header_.e_shnum; ++i) {
      Elf64_Shdr section, strings;
      if (!read(header_.e_shoff + i * sizeof section, &section, sizeof section)) return;
      if (section.sh_type != SHT_DYNSYM || section.sh_link >= header_.e_shnum) continue;
      if (!read(header_.e_shoff + section.sh_link * sizeof strings, &strings, sizeof strings))
        return;
      if (section.sh_size > kMaxTable || strings.sh_size > kMaxTable) return;
      symbols_.resize(section.sh_size / sizeof(Elf64_Sym));
      names_.resize(strings.sh_size);
      if (!read(section.sh_offset, symbols_.data(), symbols_.size() * sizeof(Elf64_Sym)) ||
          !read(strings.sh_offset, &names_[0], names_.size())) {
        symbols_.clear();
      }
      return;
    }
  }

  bool mentions(const char* name, bool defined) const {
    for (const Elf64_Sym& symbol : symbols_) {
      if (symbol.st_name >= names_.size()) continue;
      if (defined && symbol.st_shndx == SHN_UNDEF) continue;
      if (strcmp(names_.c_str() + symbol.st_name, name) == 0) return true;
    }
    return false;
  }

  // The sanitizer that the file was built with, or is the runtime of; "" if none.
  const char* sanitizer() const {
    static const char* const kMarks[][2] = {{"__asan_init", "AddressSanitizer"},
                                            {"__tsan_init", "ThreadSanitizer"},
                                            {"__msan_init", "MemorySanitizer"},
                                            {"__hwasan_init", "HWAddressSanitizer"},
                                            {"__lsan_init", "LeakSanitizer"}};
    for (const auto& mark : kMarks) {
      if (mentions(mark[0], false)) return mark[1];
    }
    return "";
  }

 private:
  bool read(uint64_t offset, void* out, size_t bytes) {
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(offset));
    file_.read(static_cast<char*>(out), static_cast<std::streamsize>(bytes));
    return file_.gcount() == static_cast<std::streamsize>(bytes);
  }

  std::ifstream file_;
  bool valid_ = false;
  Elf64_Ehdr header_ = {};
  std::vector<Elf64_Sym> symbols_;
  std::string names_;
};

// The interpreter of a script; "" if the file is none. `#!/usr/bin/env NAME` means NAME.
std::string script_interpreter(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char mark[2] = {};
  if (!file.read(mark, 2) || mark[0] != '#' || mark[1] != '!') return "";
  std::string program, argument;
  file >> std::skipws >> program;
  if (program.size() < 4 || program.compare(program.size() - 4, 4, "/env") != 0) return program;
  file >> argument;
  if (argument == "-S") file >> argument;
  return find_command(argument).path;
}

// The dynamic linker ignores LD_PRELOAD where the kernel raises rights (AT_SECURE).
bool raises_rights(const std::string& path) {
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return false;
  if ((st.st_mode & S_ISUID) != 0 && st.st_uid != geteuid()) return true;
  if ((st.st_mode & S_ISGID) != 0 && (st.st_mode & S_IXGRP) != 0 && st.st_gid != getegid()) {
    return true;
  }
  return geteuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

}  // namespace

FoundCommand find_command(const std::string& name) {
  FoundCommand found;
  found.exit_code = 127;
  found.message = "'" + name + "': command not found";
  auto try_path = [&found](const std::string& path) {
    struct stat st;
    if (stat(path.c_str(), &st) != 0) return false;
    if (S_ISREG(st.st_mode) && access(path.c_str(), X_OK) == 0) {
      found.path = path;
      found.exit_code = 0;
      found.message.clear();
      return true;
    }
    found.exit_code = 126;
    found.message = "'" + path + "' cannot be executed (" +
                    (S_ISREG(st.st_mode) ? "no permission" : "not a file") + ")";
    return false;
  };
  if (name.find('/') != std::string::npos) {
    try_path(name);
    return found;
  }
  const char* path = secure_getenv("PATH");
  std::string folders = path != nullptr ? path : "/bin:/usr/bin";
  for (size_t begin = 0; begin <= folders.size() && !name.empty();) {
    size_t end = folders.find(':', begin);
    if (end == std::string::npos) end = folders.size();
    std::string folder = folders.substr(begin, end - begin);
    if (try_path((folder.empty() ? "." : folder) + "/" + name)) break;
    begin = end + 1;
  }
  return found;
}

std::string program_of(const std::string& path) {
  std::string program = path;
  for (int depth = 0; depth < kMaxInterpreters; ++depth) {
    std::string interpreter = script_interpreter(program);
    if (interpreter.empty()) break;
    program = interpreter;
  }
  return program;
}

Judgement judge_program(const std::string& path) {
  const std::string program = program_of(path);
  std::string who = "'" + program + "' ";
  if (raises_rights(program)) return {Preload::kIgnored, who + "runs with raised rights"};
  ElfFile elf(program);
  if (!elf.valid()) return {};
  if (!elf.native()) return {Preload::kHarmful, who + "is built for another architecture"};
  std::string linker = elf.interpreter();
  if (linker.empty()) return {Preload::kIgnored, who + "is statically linked"};
  if (linker.find("musl") != std::string::npos) {
    return {Preload::kHarmful, who + "is linked with musl (" + linker + "), and libhms with glibc"};
  }
  elf.read_symbols();
  if (*elf.sanitizer() != 0) {
    return {Preload::kHarmful,
            who + "is built with " + elf.sanitizer() + ", which has to be first"};
  }
  if (elf.mentions("malloc", true)) {
    return {Preload::kIgnored, who + "brings a malloc of its own, which comes before any other"};
  }
  return {};
}

std::string allocator_in(const std::string& path) {
  // By name first: a bare name is found by the dynamic linker's own search, which we do not repeat.
  static const char* const kNames[] = {
      "jemalloc", "tcmalloc", "mimalloc", "snmalloc", "hoard", "memkind", "autohbw",     "libasan",
      "libtsan",  "liblsan",  "scudo",    "efence",   "duma",  "dmalloc", "libumf_proxy"};
  std::string file = path.substr(path.rfind('/') + 1);
  for (const char* name : kNames) {
    if (file.find(name) != std::string::npos) return "another allocator or a sanitizer runtime";
  }
  if (path.find('/') == std::string::npos) return "";
  ElfFile elf(path);
  if (!elf.valid() || !elf.native()) return "";
  elf.read_symbols();
  if (*elf.sanitizer() != 0) return elf.sanitizer();
  return elf.mentions("malloc", true) ? "a malloc of its own" : "";
}

}  // namespace hms::cli
