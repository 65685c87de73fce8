// Profiles: what a run learnt about where memory was allocated and how much it was used, in a file
// that later runs place by. Format, merging and reading; docs/profiles.md describes both.
//
// Kept are counts, not conclusions: they add up over runs, and what is concluded from them can
// become better without new recordings. Heat, for instance, is samples divided by what was watched.
// A profile comes from a file that anybody may have written: parsing takes nothing on trust.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/support/result.h"
#include "runtime/tiering/stable_key.h"

namespace hms::tiering {

inline constexpr unsigned kProfileVersion = 1;
inline constexpr size_t kMaxProfileBytes = size_t{64} << 20;
inline constexpr size_t kMaxProfileContexts = 65536;
inline constexpr size_t kMaxProfileObjects = 4096;

// What was allocated at one place, or at several with the same key.
struct ContextProfile {
  std::vector<KeyFrame> key;  // 1 to kKeyFrames; objects are indices into the profile's
  uint64_t allocations = 0;
  uint64_t bytes = 0;         // allocated in all
  uint64_t peak = 0;          // most bytes at once, in the run that had most
  uint64_t byte_seconds = 0;  // live bytes, summed over time
  uint64_t samples = 0;       // accesses that the sampler saw
  uint64_t watched = 0;       // bytes and seconds that it watched: samples / watched is the heat

  // Accesses seen per byte and second; 0 where nothing was watched.
  double heat() const;
  // Mean seconds that a byte lives; what still lived at the end counts as ended there.
  double lifetime() const;
  // Accesses that there were, had the sampler watched all of it.
  double accesses() const;
};

struct Profile {
  std::string program;     // its name
  std::string program_id;  // its object, "build:HEX" or "file:NAME:SIZE"; "" unknown
  std::string sampler;     // "none": sizes and lifetimes only
  bool sees_reads = false;
  bool sees_writes = false;
  uint64_t runs = 1;           // that were merged
  uint64_t milliseconds = 0;   // of all runs
  uint64_t machine_bytes = 0;  // memory of the machine
  std::vector<CodeObject> objects;
  std::vector<ContextProfile> contexts;  // no two with the same key

  uint64_t total_samples() const;
};

std::string format_profile(const Profile& profile);

// `origin` names the text in messages: a file. HMS_EINVAL: no profile, another version, cut short,
// damaged or senseless; the message says which, and what to do.
Result<Profile> parse_profile(const std::string& text, const std::string& origin);

// Reads a file and parses it.
Result<Profile> read_profile(const std::string& path);

// Adds another run. Objects are matched by id, contexts by key. Where the samplers differ their
// counts have different scales: those of `from` are scaled to the mean heat of `into`. The machine
// and the program stay those of `into`.
void merge_profile(const Profile& from, Profile* into);

// Makes contexts with the same key one, of one run: what they held at most is added up, as they may
// have held it at once. Sorts by key.
void join_same_keys(Profile* profile);

}  // namespace hms::tiering
