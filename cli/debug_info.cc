// Names of code by libdw: see debug_info.h.
#include "cli/debug_info.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include <filesystem>

#if __has_include(<elfutils/libdwfl.h>)
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#define HMS_HAVE_LIBDW 1
#else
#define HMS_HAVE_LIBDW 0
#endif

namespace hms::cli {
namespace {

namespace fs = std::filesystem;

std::string file_name(const std::string& path) { return fs::path(path).filename().string(); }

#if HMS_HAVE_LIBDW
template <typename F>
bool load(void* library, const char* name, F* out) {
  *out = reinterpret_cast<F>(dlsym(library, name));
  return *out != nullptr;
}

std::string demangled(const char* name) {
  int status = 0;
  char* readable = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string out = readable != nullptr ? readable : name;
  free(readable);
  return out;
}

std::string hexadecimal(const unsigned char* bytes, int count) {
  std::string out;
  char text[4];
  for (int i = 0; i < count; ++i) {
    snprintf(text, sizeof text, "%02x", bytes[i]);
    out += text;
  }
  return out;
}
#endif

}  // namespace

// "ns::(anonymous namespace)::vector<int>::push(int const&) const" is "ns::vector::push".
std::string CodePlace::brief_function() const {
  const std::string unnamed = "(anonymous namespace)::";
  std::string out;
  int depth = 0;  // of brackets
  for (size_t i = 0; i < function.size(); ++i) {
    if (function.compare(i, unnamed.size(), unnamed) == 0) {
      i += unnamed.size() - 1;
      continue;
    }
    const bool is_operator = out.size() >= 8 && out.compare(out.size() - 8, 8, "operator") == 0;
    const char c = function[i];
    if ((c == '<' || c == '>') && is_operator) {
      out += c;
      continue;
    }
    if (c == '(' && depth == 0 && !(is_operator && function.compare(i, 2, "()") == 0)) break;
    if (c == '(' && depth == 0) {
      out += "()";
      ++i;
      continue;
    }
    if (c == '<' || c == '(' || c == '[') ++depth;
    if (depth == 0) out += c;
    if ((c == '>' || c == ')' || c == ']') && depth > 0) --depth;
  }
  // A template function's name begins with what it returns.
  const size_t blank = out.rfind(' ');
  const bool is_operator = out.find("operator") != std::string::npos;
  return blank == std::string::npos || is_operator ? out : out.substr(blank + 1);
}

std::string CodePlace::text() const {
  char where[64];
  if (function.empty()) {
    snprintf(where, sizeof where, "+0x%llx", static_cast<unsigned long long>(offset));
    return (object.empty() ? "generated code" : object + where);
  }
  if (file.empty()) return brief_function() + " in " + object;
  return brief_function() + " " + file_name(file) + ":" + std::to_string(line);
}

#if HMS_HAVE_LIBDW
// The functions in use.
class DebugInfo::Library {
 public:
  static const Library* get() {
    static Library library;
    static const bool loaded = library.load_all();
    return loaded ? &library : nullptr;
  }

  decltype(&dwfl_begin) begin;
  decltype(&dwfl_end) end;
  decltype(&dwfl_report_offline) report_offline;
  decltype(&dwfl_report_end) report_end;
  decltype(&dwfl_module_getelf) getelf;
  decltype(&dwfl_module_build_id) build_id;
  decltype(&dwfl_module_addrinfo) addrinfo;
  decltype(&dwfl_module_getsrc) getsrc;
  decltype(&dwfl_lineinfo) lineinfo;
  decltype(&dwfl_module_addrdie) addrdie;
  decltype(&dwarf_getscopes) getscopes;
  decltype(&dwarf_getscopes_die) getscopes_die;
  decltype(&dwarf_tag) tag;
  decltype(&dwarf_attr) attr;
  decltype(&dwarf_formudata) formudata;
  decltype(&dwarf_getsrcfiles) getsrcfiles;
  decltype(&dwarf_filesrc) filesrc;
  Dwfl_Callbacks callbacks{};

 private:
  bool load_all() {
    void* l = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    return l != nullptr && load(l, "dwfl_begin", &begin) && load(l, "dwfl_end", &end) &&
           load(l, "dwfl_report_offline", &report_offline) &&
           load(l, "dwfl_report_end", &report_end) && load(l, "dwfl_module_getelf", &getelf) &&
           load(l, "dwfl_module_build_id", &build_id) &&
           load(l, "dwfl_module_addrinfo", &addrinfo) && load(l, "dwfl_module_getsrc", &getsrc) &&
           load(l, "dwfl_lineinfo", &lineinfo) && load(l, "dwfl_module_addrdie", &addrdie) &&
           load(l, "dwarf_getscopes", &getscopes) &&
           load(l, "dwarf_getscopes_die", &getscopes_die) && load(l, "dwarf_tag", &tag) &&
           load(l, "dwarf_attr", &attr) && load(l, "dwarf_formudata", &formudata) &&
           load(l, "dwarf_getsrcfiles", &getsrcfiles) && load(l, "dwarf_filesrc", &filesrc) &&
           load(l, "dwfl_build_id_find_elf", &callbacks.find_elf) &&
           load(l, "dwfl_standard_find_debuginfo", &callbacks.find_debuginfo) &&
           load(l, "dwfl_offline_section_address", &callbacks.section_address);
  }
};

// One object's file, if it is still the one that was recorded.
class DebugInfo::Module {
 public:
  Module(const Library& library, const tiering::CodeObject& object) : l_(library) {
    dwfl_ = l_.begin(&l_.callbacks);
    if (dwfl_ == nullptr) return;
    module_ = l_.report_offline(dwfl_, "", object.path.c_str(), -1);
    l_.report_end(dwfl_, nullptr, nullptr);
    GElf_Addr bias = 0;
    if (module_ == nullptr || l_.getelf(module_, &bias) == nullptr || !is_same(object)) {
      module_ = nullptr;
    }
    bias_ = bias;
  }
  ~Module() {
    if (dwfl_ != nullptr) l_.end(dwfl_);
  }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  bool ok() const { return module_ != nullptr; }

  void name(uint64_t offset, CodePlace* out) const {
    const Dwarf_Addr at = bias_ + offset;
    GElf_Off into = 0;
    GElf_Sym symbol;
    const char* name = l_.addrinfo(module_, at, &into, &symbol, nullptr, nullptr, nullptr);
    if (name != nullptr) out->function = demangled(name);
    Dwfl_Line* line = l_.getsrc(module_, at);
    if (line == nullptr) return;
    const char* file = l_.lineinfo(line, nullptr, &out->line, nullptr, nullptr, nullptr);
    if (file != nullptr) out->file = file;
    if (is_library(out->file)) leave_library(at, out);
  }

 private:
  static bool is_library(const std::string& file) {
    return file.compare(0, 13, "/usr/include/") == 0 || file.find("/c++/") != std::string::npos;
  }

  // Code of a container that was inlined is the place of all its users: better who uses it.
  void leave_library(Dwarf_Addr at, CodePlace* out) const {
    Dwarf_Addr bias = 0;
    Dwarf_Die* unit = l_.addrdie(module_, at, &bias);
    Dwarf_Die* innermost = nullptr;
    Dwarf_Die* scopes = nullptr;
    // What encloses an inlined function where it was written, then where it was inlined.
    const bool found = unit != nullptr && l_.getscopes(unit, at - bias, &innermost) > 0;
    const int count = found ? l_.getscopes_die(&innermost[0], &scopes) : 0;
    Dwarf_Files* files = nullptr;
    size_t file_count = 0;
    if (count > 0 && l_.getsrcfiles(unit, &files, &file_count) == 0) {
      for (int i = 0; i < count && is_library(out->file); ++i) {
        Dwarf_Word file = 0, line = 0;
        if (l_.tag(&scopes[i]) != DW_TAG_inlined_subroutine ||
            !number(&scopes[i], DW_AT_call_file, &file) ||
            !number(&scopes[i], DW_AT_call_line, &line)) {
          continue;
        }
        const char* name = l_.filesrc(files, file, nullptr, nullptr);
        if (name == nullptr) break;
        out->file = name;
        out->line = static_cast<int>(line);
      }
    }
    free(innermost);
    free(scopes);
  }

  bool number(Dwarf_Die* die, unsigned name, Dwarf_Word* out) const {
    Dwarf_Attribute attribute;
    Dwarf_Attribute* found = l_.attr(die, name, &attribute);
    return found != nullptr && l_.formudata(found, out) == 0;
  }

  bool is_same(const tiering::CodeObject& object) const {
    const unsigned char* bytes = nullptr;
    GElf_Addr where = 0;
    const int count = l_.build_id(module_, &bytes, &where);
    if (count > 0) return object.id == "build:" + hexadecimal(bytes, count);
    std::error_code error;
    const auto size = fs::file_size(object.path, error);
    return !error && object.id == "file:" + file_name(object.path) + ":" + std::to_string(size);
  }

  const Library& l_;
  Dwfl* dwfl_ = nullptr;
  Dwfl_Module* module_ = nullptr;
  uint64_t bias_ = 0;
};

DebugInfo::DebugInfo() : library_(Library::get()) {}
#else
class DebugInfo::Library {};
class DebugInfo::Module {
 public:
  Module(const Library&, const tiering::CodeObject&) {}
  bool ok() const { return false; }
  void name(uint64_t, CodePlace*) const {}
};

DebugInfo::DebugInfo() : library_(nullptr) {}
#endif

DebugInfo::~DebugInfo() = default;

DebugInfo::Module* DebugInfo::module_of(const tiering::CodeObject& object) {
  if (library_ == nullptr) return nullptr;
  std::unique_ptr<Module>& module = modules_[object.id];
  if (module == nullptr) {
    module = std::make_unique<Module>(*library_, object);
    std::error_code error;
    std::string& missed = fs::exists(object.path, error) ? changed_ : gone_;
    if (!module->ok() && missed.empty()) missed = object.path;
  }
  return module->ok() ? module.get() : nullptr;
}

CodePlace DebugInfo::find(const tiering::CodeObject& object, uint64_t return_offset) {
  CodePlace out;
  out.object = file_name(object.path);
  // The call ends where its return address begins, which may be another function's.
  out.offset = return_offset > 0 ? return_offset - 1 : 0;
  Module* module = module_of(object);
  if (module != nullptr) module->name(out.offset, &out);
  return out;
}

std::string DebugInfo::hints() const {
  std::string out;
  if (library_ == nullptr) {
    out += "Functions and lines need libdw (Debian: apt-get install libdw1).\n";
  }
  if (!changed_.empty()) {
    out += "'" + changed_ + "' is not the build that was recorded: no names for places in it.\n";
  }
  if (!gone_.empty()) out += "'" + gone_ + "' is gone: no names for places in it.\n";
  return out;
}

}  // namespace hms::cli
