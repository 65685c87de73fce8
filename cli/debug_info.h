// Functions and source lines of code in other programs' files, by libdw (elfutils), which is loaded
// at run time and may be absent: then the object and the offset in it are all there is.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "runtime/tiering/stable_key.h"

namespace hms::cli {

struct CodePlace {
  std::string object;    // file name
  uint64_t offset = 0;   // in it, as its file counts
  std::string function;  // "" unknown
  std::string file;      // "" unknown
  int line = 0;

  // "function file.c:12", "function in object", or "object+0x12"; the function without what its
  // templates and parameters are.
  std::string text() const;
  std::string brief_function() const;
};

class DebugInfo {
 public:
  DebugInfo();
  ~DebugInfo();
  DebugInfo(const DebugInfo&) = delete;
  DebugInfo& operator=(const DebugInfo&) = delete;

  // What is at the call before a return address.
  CodePlace find(const tiering::CodeObject& object, uint64_t return_offset);
  // Why places have no names, a line each; empty if nothing was missing.
  std::string hints() const;

 private:
  class Library;
  class Module;
  Module* module_of(const tiering::CodeObject& object);

  const Library* library_;                                  // null: not installed
  std::map<std::string, std::unique_ptr<Module>> modules_;  // by id of the object
  std::string changed_;  // an object whose file is not what was recorded
  std::string gone_;
};

}  // namespace hms::cli
