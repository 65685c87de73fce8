// See product_heap.h.
#include "bench/tiering/product_heap.h"

#include <algorithm>

#include "runtime/tiering/weave.h"

namespace hms::bench::tiering {
namespace {

using engine::kUnitBytes;
using engine::Side;

constexpr uint64_t kSpanBytes = 64 << 10, kSmallMax = 32 << 10;
constexpr uint64_t kWindowBytes = uint64_t{1} << 34;  // of address space; ids stay below 2^32
constexpr uint32_t kNone = ~uint32_t{0};
constexpr uint32_t kPagesPerUnit = kUnitBytes / kPage;

// Of a class, whose window begins with a run; at these sizes a run is a unit.
uint32_t run_of(uint64_t unit) { return static_cast<uint32_t>(unit % (kWindowBytes / kUnitBytes)); }

}  // namespace

ProductHeap::ProductHeap(const Trace& trace, const Options& options)
    : trace_(trace),
      options_(options),
      context_of_(contexts_of(trace, true)),
      address_of_(trace.objects.size()),
      class_of_(trace.objects.size()),
      page_of_(trace.pieces()) {
  for (size_t i = 0; i < context_of_.size(); ++i) {
    if (context_of_[i] >= contexts_.size()) contexts_.resize(context_of_[i] + 1);
    contexts_[context_of_[i]].site = trace.objects[i].site;
    contexts_[context_of_[i]].depth = trace.objects[i].depth;
  }
}

void ProductHeap::follow_profile(const Context& context, Class* made) const {
  const engine::Lean lean = options_.foreseen->leans.at({context.site, context.depth});
  if (lean == engine::Lean::kFar) made->lean = Side::kFar;
  if (lean == engine::Lean::kPart) made->near_limit = options_.foreseen->rest_bytes;
}

engine::ClassId ProductHeap::class_for(uint32_t id, uint64_t bytes) {
  Context& context = contexts_[id];
  bool known_enough = options_.foreseen || context.allocated >= engine::kProbationBytes;
  if (context.of == engine::kProbation && known_enough && classes_used_ < classes_.size()) {
    context.of = static_cast<engine::ClassId>(classes_used_++);
    if (options_.foreseen) follow_profile(context, &classes_[context.of]);
  }
  ++context.allocations;
  context.allocated += bytes;
  return context.of;
}

uint64_t ProductHeap::take_range(Class* from, uint64_t bytes) {
  for (auto it = from->free.begin(); it != from->free.end(); ++it) {
    auto [address, length] = *it;
    if (length < bytes) continue;
    from->free.erase(it);
    if (length > bytes) from->free.emplace(address + bytes, length - bytes);
    return address;
  }
  uint64_t address = from->end;
  from->end += bytes;
  return address;
}

void ProductHeap::give_range(Class* to, uint64_t address, uint64_t bytes) {
  auto next = to->free.lower_bound(address);
  if (next != to->free.end() && address + bytes == next->first) {
    bytes += next->second;
    next = to->free.erase(next);
  }
  if (next != to->free.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == address) {
      before->second += bytes;
      return;
    }
  }
  to->free.emplace(address, bytes);
}

uint64_t ProductHeap::take(Class* from, uint64_t bytes) {
  if (bytes > kSmallMax) return take_range(from, (bytes + kPage - 1) / kPage * kPage);
  Bin& bin = from->bins[bytes];
  uint64_t slot;
  if (!bin.free.empty()) {
    slot = bin.free.back();
    bin.free.pop_back();
  } else {
    if (bin.at + bytes > bin.end) {
      bin.at = take_range(from, kSpanBytes);
      bin.end = bin.at + kSpanBytes;
      from->spans[bin.at].slot_bytes = bytes;
    }
    slot = bin.at;
    bin.at += bytes;
  }
  ++std::prev(from->spans.upper_bound(slot))->second.used;
  return slot;
}

void ProductHeap::allocate(size_t object) {
  const Object& of = trace_.objects[object];
  engine::ClassId id = class_for(context_of_[object], of.bytes);
  Class& in = classes_[id];
  if (in.end == 0) in.end = id * kWindowBytes + kUnitBytes;
  uint64_t slot_bytes = size_class(of.bytes);
  address_of_[object] = take(&in, slot_bytes);
  class_of_[object] = id;
  in.live += slot_bytes;
  in.allocated += slot_bytes;
  commit(id, address_of_[object], of.bytes);
  for (uint64_t piece = 0; piece < pieces_of(of); ++piece) {
    uint64_t before = piece == 0 ? 0 : piece * kPage - of.address % kPage;
    uint64_t at = address_of_[object] + before;
    page_of_[of.first_piece + piece] = units_.at(at / kUnitBytes).pages[at % kUnitBytes / kPage];
  }
}

void ProductHeap::release(size_t object) {
  Class& in = classes_[class_of_[object]];
  uint64_t slot_bytes = size_class(trace_.objects[object].bytes), address = address_of_[object];
  in.live -= slot_bytes;
  if (slot_bytes > kSmallMax) {
    give_range(&in, address, (slot_bytes + kPage - 1) / kPage * kPage);
    return;
  }
  Bin& bin = in.bins[slot_bytes];
  bin.free.push_back(address);
  auto span = std::prev(in.spans.upper_bound(address));
  if (--span->second.used > 0 || span->first + kSpanBytes == bin.end) return;
  // Nothing is left on it: any size may have it.
  uint64_t begin = span->first;
  bin.free.erase(
      std::remove_if(bin.free.begin(), bin.free.end(),
                     [&](uint64_t slot) { return slot >= begin && slot < begin + kSpanBytes; }),
      bin.free.end());
  in.spans.erase(span);
  give_range(&in, begin, kSpanBytes);
}

bool ProductHeap::make_near(uint32_t page) {
  if (near_[page] || near_used_ + kPage > options_.near_bytes) return near_[page];
  near_[page] = true;
  near_used_ += kPage;
  return true;
}

Side ProductHeap::side_of_birth(engine::ClassId id, uint64_t unit) const {
  const Class& of = classes_[id];
  if (of.near_born + kUnitBytes > of.near_limit) return Side::kFar;  // all of it, or nothing
  return of.weave == engine::kNotWoven ? of.lean : engine::weave_side(run_of(unit), of.weave);
}

void ProductHeap::commit(engine::ClassId id, uint64_t address, uint64_t bytes) {
  for (uint64_t at = address / kPage * kPage; at < address + bytes; at += kPage) {
    auto found = units_.find(at / kUnitBytes);
    if (found == units_.end()) {
      Unit made{side_of_birth(id, at / kUnitBytes), static_cast<uint32_t>(options_.unit_bytes), {}};
      made.pages.fill(kNone);
      found = units_.emplace(at / kUnitBytes, made).first;
    }
    uint32_t& page = found->second.pages[at % kUnitBytes / kPage];
    if (page != kNone) continue;
    page = pages();
    near_.push_back(false);
    Class& of = classes_[id];
    bool near = found->second.birth == Side::kNear && of.near_born + kPage <= of.near_limit;
    if (near && make_near(page)) of.near_born += kPage;
  }
}

Layout ProductHeap::layout() const { return {kPage, page_of_, pages()}; }

std::vector<engine::ClassId> ProductHeap::classes_of_pages() const {
  std::vector<engine::ClassId> out(pages());
  for (const auto& [number, unit] : units_)
    for (uint32_t page : unit.pages)
      if (page != kNone)
        out[page] = static_cast<engine::ClassId>(number * kUnitBytes / kWindowBytes);
  return out;
}

engine::Room ProductHeap::room() { return {options_.near_bytes, near_used_}; }

void ProductHeap::contexts(std::vector<engine::ContextView>* out) {
  out->clear();
  for (size_t i = 0; i < contexts_.size(); ++i) {
    const Context& of = contexts_[i];
    if (of.allocations)
      out->push_back({static_cast<engine::ContextId>(i), of.of, of.allocations, of.allocated});
  }
}

void ProductHeap::classes(std::vector<engine::ClassView>* out) {
  out->clear();
  for (unsigned i = 0; i < classes_used_; ++i) {
    const Class& of = classes_[i];
    if (of.allocated)
      out->push_back({static_cast<engine::ClassId>(i), of.lean, of.live, of.allocated});
  }
}

void ProductHeap::units(std::vector<engine::UnitView>* out) {
  out->clear();
  listed_.resize(pages());
  for (const auto& [number, unit] : units_) {
    uint32_t step = unit.part_bytes / kPage;
    for (uint32_t first = 0; first < kPagesPerUnit; first += step) {
      uint32_t committed = 0, near = 0;
      for (uint32_t i = first; i < first + step; ++i) {
        if (unit.pages[i] == kNone) continue;
        ++committed;
        near += near_[unit.pages[i]];
        listed_[unit.pages[i]] = static_cast<uint32_t>(out->size());
      }
      if (committed == 0) continue;
      uint64_t address = number * kUnitBytes + first * kPage;
      out->push_back({static_cast<engine::UnitId>(address / kPage), address, unit.part_bytes,
                      committed * static_cast<uint32_t>(kPage),
                      static_cast<engine::ClassId>(address / kWindowBytes),
                      near * 2 > committed ? Side::kNear : Side::kFar, false, run_of(number)});
    }
  }
}

void ProductHeap::assign(engine::ContextId context, engine::ClassId id) {
  contexts_[context].of = id;
}

void ProductHeap::move(const std::vector<engine::UnitId>& units, Side side,
                       std::vector<engine::Moved>* moved) {
  for (size_t k = 0; k < units.size(); ++k) {
    Unit& unit = units_.at(units[k] / kPagesPerUnit);
    uint32_t first = units[k] % kPagesPerUnit, count = unit.part_bytes / kPage;
    if (count == kPagesPerUnit) unit.birth = side;
    if (side == Side::kNear) classes_[units[k] * kPage / kWindowBytes].near_limit = UINT64_MAX;
    for (uint32_t i = first; i < first + count; ++i) {
      uint32_t page = unit.pages[i];
      if (page == kNone || near_[page] == (side == Side::kNear)) continue;
      if (side == Side::kNear) {
        if (!make_near(page)) continue;
      } else {
        near_[page] = false;
        near_used_ -= kPage;
      }
      ++(*moved)[k].pages;
      ++moved_[static_cast<int>(side)];
    }
  }
}

void ProductHeap::split(engine::UnitId id, uint32_t bytes) {
  if (options_.parts)
    units_.at(id / kPagesPerUnit).part_bytes =
        std::min<uint32_t>(bytes, static_cast<uint32_t>(options_.unit_bytes));
}

}  // namespace hms::bench::tiering
