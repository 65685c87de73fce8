// What kind of program a command is: found in PATH, read as ELF, judged for preloading.
#pragma once

#include <string>

namespace hms::cli {

// Where execvp() would find a command.
struct FoundCommand {
  std::string path;
  int exit_code = 0;    // 0 found, 127 not found, 126 found but not executable: as the shells say
  std::string message;  // for people, when not found
};
FoundCommand find_command(const std::string& name);

// The program that runs when this path is started: itself, or the interpreter behind "#!".
std::string program_of(const std::string& path);

// Whether the dynamic linker will load a preloaded library into a program, and whether it should.
enum class Preload {
  kWorks,    // loaded, and malloc goes through it
  kIgnored,  // not loaded, or not asked: harmless
  kHarmful   // would break the program: leave LD_PRELOAD alone
};
struct Judgement {
  Preload preload = Preload::kWorks;
  std::string reason;  // for people, unless kWorks
};
// Follows "#!" to the interpreter. Programs that cannot be read are taken to work.
Judgement judge_program(const std::string& path);

// Empty if the shared object at `path` brings no allocator of its own; else what it brings.
std::string allocator_in(const std::string& path);

}  // namespace hms::cli
