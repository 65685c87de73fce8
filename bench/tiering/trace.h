// The heat trace: what an instrumented kernel did to memory, epoch by epoch, with the identity of
// every object. Written by the recorder, read by the replayer. The file is of this machine's byte
// order and for this build only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hms::bench::tiering {

inline constexpr uint64_t kPage = 4096;
inline constexpr uint64_t kNever = ~uint64_t{0};

// One allocation. Ticks count accesses since the start of the program, so they order events.
struct Object {
  uint64_t address;
  uint64_t bytes;
  uint64_t site;   // return address of the allocation, relative to the program
  uint64_t depth;  // bytes of stack in use there
  uint64_t birth;  // tick
  uint64_t death;  // tick, or kNever
  uint64_t first_piece;
};

// Accesses of one epoch to one piece: the part of an object that lies in one 4 KiB page. The pieces
// of an object have consecutive numbers, beginning with Object::first_piece.
struct Heat {
  uint32_t piece;
  uint32_t reads;
  uint32_t writes;
};

struct Epoch {
  uint64_t end;    // tick
  uint32_t phase;  // a number that the kernel changes when its behaviour changes
  uint32_t padding;
  uint64_t heat_end;  // index behind the last of its Heat entries
};

struct Trace {
  std::string workload;
  uint64_t warm_epochs = 0;  // epochs that build the data; not judged
  std::vector<Object> objects;
  std::vector<Epoch> epochs;
  std::vector<Heat> heat;

  uint64_t pieces() const;
};

inline uint64_t pieces_of(const Object& object) {
  return (object.address + object.bytes - 1) / kPage - object.address / kPage + 1;
}
// Bytes of the object in its piece number `index`, counted from 0.
uint64_t piece_bytes(const Object& object, uint64_t index);

// Both throw std::runtime_error that names the file.
void save(const Trace& trace, const std::string& path);
Trace load(const std::string& path);

}  // namespace hms::bench::tiering
