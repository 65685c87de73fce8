// The heap of libhms over a trace: where its allocator would put each object of the trace, and
// which of its pages are near. What the engine (runtime/tiering) decides takes effect here.
//
// Modelled: a context's first bytes go to a common class on probation, then to a class of its own
// while there are any; a class has a window, divided into units; blocks of up to 32 KiB lie in
// spans of 64 KiB of one size, freed slots are used again, the last freed first; larger blocks have
// pages of their own; free spans and pages are used again from the lowest address. A page gets
// memory when a block is first put on it and keeps it. Not modelled: caches of threads, purging.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "bench/tiering/foreseen.h"
#include "bench/tiering/layout.h"
#include "bench/tiering/trace.h"
#include "runtime/tiering/heap.h"

namespace hms::bench::tiering {

namespace engine = hms::tiering;

class ProductHeap : public engine::Heap {
 public:
  struct Options {
    uint64_t near_bytes = 0;
    uint64_t unit_bytes = engine::kUnitBytes;  // smaller: as if units were listed in such parts
    bool parts = true;                         // false: split() is ignored
    const Foreseen* foreseen = nullptr;
  };
  ProductHeap(const Trace& trace, const Options& options);

  void allocate(size_t object);
  void release(size_t object);
  bool near(uint64_t piece) const { return near_[page_of_[piece]]; }
  uint32_t page(uint64_t piece) const { return page_of_[piece]; }
  const std::vector<bool>& near_pages() const { return near_; }
  uint32_t pages() const { return static_cast<uint32_t>(near_.size()); }
  // Which unit or part of the last list a page is in.
  uint32_t listed(uint32_t page) const { return listed_[page]; }
  uint64_t moved_pages(engine::Side side) const { return moved_[static_cast<int>(side)]; }
  Layout layout() const;
  std::vector<engine::ClassId> classes_of_pages() const;

  engine::Room room() override;
  void contexts(std::vector<engine::ContextView>* out) override;
  void classes(std::vector<engine::ClassView>* out) override;
  void units(std::vector<engine::UnitView>* out) override;
  void set_lean(engine::ClassId id, engine::Side side) override {
    classes_[id].lean = side;
    classes_[id].near_limit = UINT64_MAX;
  }
  void set_weave(engine::ClassId id, uint8_t share) override {
    classes_[id].weave = share;
    classes_[id].near_limit = UINT64_MAX;
  }
  void assign(engine::ContextId context, engine::ClassId id) override;
  void move(const std::vector<engine::UnitId>& units, engine::Side side,
            std::vector<engine::Moved>* moved) override;
  void split(engine::UnitId unit, uint32_t bytes) override;
  void ask_huge(engine::ClassId) override {}  // which pages hold it changes no hit

 private:
  struct Context {
    engine::ClassId of = engine::kProbation;
    uint64_t site = 0, depth = 0, allocations = 0, allocated = 0;
  };
  struct Span {
    uint64_t slot_bytes = 0, used = 0;
  };
  // Free slots of one size.
  struct Bin {
    uint64_t at = 0, end = 0;  // of the span that is being cut up
    std::vector<uint64_t> free;
  };
  struct Class {
    engine::Side lean = engine::Side::kNear;
    uint64_t near_born = 0, near_limit = UINT64_MAX;  // bytes; what comes beyond is far
    uint8_t weave = engine::kNotWoven;
    uint64_t live = 0, allocated = 0, end = 0;
    std::map<uint64_t, uint64_t> free;  // ranges by address
    std::map<uint64_t, Bin> bins;
    std::map<uint64_t, Span> spans;
  };
  struct Unit {
    engine::Side birth;
    uint32_t part_bytes;
    std::array<uint32_t, engine::kUnitBytes / kPage> pages;  // numbers, or kNone
  };

  void follow_profile(const Context& context, Class* made) const;
  engine::ClassId class_for(uint32_t context, uint64_t bytes);
  uint64_t take(Class* from, uint64_t bytes);
  uint64_t take_range(Class* from, uint64_t bytes);
  void give_range(Class* to, uint64_t address, uint64_t bytes);
  void commit(engine::ClassId of, uint64_t address, uint64_t bytes);
  engine::Side side_of_birth(engine::ClassId id, uint64_t unit) const;
  bool make_near(uint32_t page);

  const Trace& trace_;
  Options options_;
  std::vector<uint32_t> context_of_;  // by object
  std::vector<Context> contexts_;
  std::array<Class, 256> classes_;
  unsigned classes_used_ = 1;
  std::vector<uint64_t> address_of_;       // by object
  std::vector<engine::ClassId> class_of_;  // by object
  std::map<uint64_t, Unit> units_;         // by address over kUnitBytes
  std::vector<uint32_t> page_of_;          // by piece
  std::vector<bool> near_;                 // by page
  std::vector<uint32_t> listed_;           // by page
  uint64_t near_used_ = 0;
  uint64_t moved_[2] = {};
};

}  // namespace hms::bench::tiering
