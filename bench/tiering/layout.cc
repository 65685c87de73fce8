// See layout.h.
#include "bench/tiering/layout.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace hms::bench::tiering {
namespace {

// Numbers addresses' pages in the order they are asked for.
class Numbering {
 public:
  explicit Numbering(uint64_t page_bytes) : page_bytes_(page_bytes) {}
  uint32_t operator()(uint64_t address) {
    return numbers_.try_emplace(address / page_bytes_, static_cast<uint32_t>(numbers_.size()))
        .first->second;
  }
  uint32_t count() const { return static_cast<uint32_t>(numbers_.size()); }

 private:
  uint64_t page_bytes_;
  std::unordered_map<uint64_t, uint32_t> numbers_;
};

// Slots of one context and size, in runs of pages of their own.
class Pool {
 public:
  explicit Pool(uint64_t slot_bytes) : slot_bytes_(slot_bytes) {}
  uint64_t take(uint64_t* next_run) {
    if (!free_.empty()) {
      uint64_t slot = free_.back();
      free_.pop_back();
      return slot;
    }
    if (at_ + slot_bytes_ > end_) {
      // A run is 64 KiB or one large object; it begins a page.
      uint64_t run = std::max<uint64_t>((slot_bytes_ + kPage - 1) / kPage * kPage, 16 * kPage);
      at_ = *next_run;
      end_ = at_ + run;
      *next_run = end_;
    }
    uint64_t slot = at_;
    at_ += slot_bytes_;
    return slot;
  }
  void give(uint64_t slot) { free_.push_back(slot); }

 private:
  uint64_t slot_bytes_;
  uint64_t at_ = 0, end_ = 0;
  std::vector<uint64_t> free_;
};

}  // namespace

uint64_t size_class(uint64_t bytes) {
  if (bytes <= 64) return (bytes + 15) / 16 * 16;
  uint64_t step = uint64_t{1} << (61 - __builtin_clzll(bytes - 1));
  return (bytes + step - 1) / step * step;
}

Layout recorded_layout(const Trace& trace, uint64_t page_bytes) {
  Layout layout;
  layout.page_bytes = page_bytes;
  layout.page_of.resize(trace.pieces());
  Numbering number(page_bytes);
  for (const Object& object : trace.objects) {
    for (uint64_t i = 0; i < pieces_of(object); ++i) {
      layout.page_of[object.first_piece + i] = number((object.address / kPage + i) * kPage);
    }
  }
  layout.pages = number.count();
  return layout;
}

Layout context_layout(const Trace& trace, uint64_t page_bytes) {
  Layout layout;
  layout.page_bytes = page_bytes;
  layout.page_of.resize(trace.pieces());
  Numbering number(page_bytes);
  std::vector<uint32_t> context = contexts_of(trace, true);
  std::map<std::pair<uint32_t, uint64_t>, Pool> pools;
  // One after another in memory; with huge pages, contexts have runs of those.
  std::unordered_map<uint32_t, uint64_t> next_run;
  std::vector<uint64_t> slot_of(trace.objects.size());
  std::multimap<uint64_t, size_t> deaths;
  for (size_t i = 0; i < trace.objects.size(); ++i) {
    const Object& object = trace.objects[i];
    for (auto dead = deaths.begin(); dead != deaths.end() && dead->first <= object.birth;
         dead = deaths.erase(dead)) {
      const Object& gone = trace.objects[dead->second];
      pools.find({context[dead->second], size_class(gone.bytes)})
          ->second.give(slot_of[dead->second]);
    }
    uint64_t slot_bytes = size_class(object.bytes);
    Pool& pool = pools.try_emplace({context[i], slot_bytes}, slot_bytes).first->second;
    uint64_t& run = next_run.try_emplace(context[i], uint64_t{context[i]} << 40).first->second;
    slot_of[i] = pool.take(&run);
    if (object.death != kNever) deaths.emplace(object.death, i);
    for (uint64_t piece = 0; piece < pieces_of(object); ++piece) {
      // The part of the object before this piece.
      uint64_t before = piece == 0 ? 0 : piece * kPage - object.address % kPage;
      layout.page_of[object.first_piece + piece] = number(slot_of[i] + before);
    }
  }
  layout.pages = number.count();
  return layout;
}

std::vector<uint32_t> contexts_of(const Trace& trace, bool with_depth) {
  std::map<std::pair<uint64_t, uint64_t>, uint32_t> known;
  std::vector<uint32_t> out;
  out.reserve(trace.objects.size());
  for (const Object& object : trace.objects) {
    std::pair<uint64_t, uint64_t> key{object.site, with_depth ? object.depth : 0};
    out.push_back(known.try_emplace(key, static_cast<uint32_t>(known.size())).first->second);
  }
  return out;
}

}  // namespace hms::bench::tiering
