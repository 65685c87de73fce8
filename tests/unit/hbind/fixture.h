// What the hbind tests share: memory to place, and topologies made by hand.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/hbind/hbind.h"
#include "runtime/topology/builder.h"
#include "runtime/topology/c_handle.h"

namespace hms::hbind::testing {

// An anonymous private mapping, between two pages that nobody can touch: a write beyond it would
// show. It begins with a huge page: where the parts of a plan meet depends on the next such border.
class Memory {
 public:
  explicit Memory(size_t pages, int protection = PROT_READ | PROT_WRITE)
      : pages_(pages), mapped_(pages + 2, true) {
    size_t bytes = (pages + 2) * os::kPageSize;
    auto* wide = static_cast<char*>(
        mmap(nullptr, bytes + os::kHugePageSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_NE(wide, MAP_FAILED);
    size_t ahead = os::kHugePageSize - reinterpret_cast<uintptr_t>(wide) % os::kHugePageSize;
    base_ = wide + ahead - os::kPageSize;
    if (base_ > wide) munmap(wide, static_cast<size_t>(base_ - wide));
    munmap(base_ + bytes, os::kHugePageSize - static_cast<size_t>(base_ - wide));
    // One huge page would make all of its small pages exist at once.
    madvise(base_, (pages + 2) * os::kPageSize, MADV_NOHUGEPAGE);
    EXPECT_EQ(mprotect(page(0), pages * os::kPageSize, protection), 0);
  }
  ~Memory() {
    for (size_t i = 0; i < mapped_.size(); ++i) {
      if (mapped_[i]) munmap(base_ + i * os::kPageSize, os::kPageSize);
    }
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  char* page(size_t i) const { return base_ + (i + 1) * os::kPageSize; }
  size_t bytes() const { return pages_ * os::kPageSize; }
  PageSpan span() const { return *make_span(page(0), bytes()); }
  void touch(size_t first, size_t count) const {
    for (size_t i = first; i < first + count; ++i) *page(i) = static_cast<char>(i | 1);
  }
  // After pages were unmapped or moved away: others may have mapped there since.
  void forget(size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) mapped_[i + 1] = false;
  }

 private:
  size_t pages_;
  char* base_;
  std::vector<bool> mapped_;  // with the two pages around
};

inline topology::Target node_target(int node) {
  topology::Target t;
  t.key = "node:" + std::to_string(node);
  t.node = node;
  t.bytes = uint64_t{1} << 40;
  t.capabilities = HMS_CAP_CPU_ACCESSIBLE;
  return t;
}

inline topology::Target logical_target(const std::string& name, uint64_t pages) {
  topology::Target t;
  t.key = "tier:" + name;
  t.node = 0;
  t.emulated = true;
  t.bytes = pages * os::kPageSize;
  t.capabilities = HMS_CAP_CPU_ACCESSIBLE;
  return t;
}

inline topology::Target device_target(const std::string& key, bool cpu_accessible = false) {
  topology::Target t;
  t.key = key;
  t.bytes = uint64_t{1} << 34;
  t.kind = topology::TargetKind::kDevice;
  if (!cpu_accessible) t.capabilities = t.must_understand = HMS_CAP_NOT_CPU_ACCESSIBLE;
  return t;
}

inline hms_topology make_topology(std::vector<topology::Target> targets) {
  topology::Builder builder("test", "test");
  for (topology::Target& target : targets) builder.add_target(std::move(target));
  return hms_topology{builder.build()};
}

inline hms_id id_of(const hms_topology& topology, const std::string& key) {
  const topology::Target* target = topology.snapshot->find_target(key);
  EXPECT_NE(target, nullptr) << key;
  return target ? target->id : 0;
}

inline hms_op make_op(hms_op_code code, void* address, size_t length,
                      const std::vector<hms_id>& targets, unsigned flags = 0) {
  hms_op op = {};
  op.size = sizeof op;
  op.code = code;
  op.address = address;
  op.length = length;
  op.targets = targets.data();
  op.target_count = targets.size();
  op.flags = flags;
  return op;
}

}  // namespace hms::hbind::testing
