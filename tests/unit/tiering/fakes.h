// A heap and a sampler to decide about, without a kernel: units with a true heat that the test
// sets.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "bench/tiering/heap.h"
#include "runtime/tiering/heap.h"
#include "runtime/tiering/sampler.h"

namespace hms::tiering {

inline constexpr uint32_t kIdsPerUnit = kUnitBytes / kPartBytesMin;

class FakeHeap : public Heap {
 public:
  explicit FakeHeap(uint64_t near_capacity) : capacity_(near_capacity) {}

  // A whole unit; heat: accesses per second, spread evenly.
  UnitId add(ClassId of, Side side, double heat) {
    auto id = static_cast<UnitId>(whole_.size() * kIdsPerUnit);
    whole_.push_back({of, kUnitBytes, false, std::vector<Side>(kIdsPerUnit, side),
                      std::vector<double>(kIdsPerUnit, heat / kIdsPerUnit)});
    class_of(of).live += kUnitBytes;
    class_of(of).allocated += kUnitBytes;
    return id;
  }
  void heat(UnitId unit, double accesses) {
    auto& pages = whole_[unit / kIdsPerUnit].heat;
    std::fill(pages.begin(), pages.end(), accesses / kIdsPerUnit);
  }
  void heat_page(UnitId page, double accesses) {
    whole_[page / kIdsPerUnit].heat[page % kIdsPerUnit] = accesses;
  }
  void stick(UnitId unit) { whole_[unit / kIdsPerUnit].stuck = true; }
  void context(ContextId id, ClassId of, uint64_t allocated, uint64_t object = 64) {
    contexts_.push_back({id, of, allocated / object, allocated});
  }
  ClassView& class_of(ClassId id) {
    return classes_.try_emplace(id, ClassView{id, Side::kNear, 0, 0}).first->second;
  }
  Side side(UnitId page) const { return whole_[page / kIdsPerUnit].side[page % kIdsPerUnit]; }
  double heat_of(UnitId page, uint32_t bytes) const {
    const Whole& in = whole_[page / kIdsPerUnit];
    double sum = 0;
    for (uint32_t i = 0; i < bytes / kPartBytesMin; ++i) sum += in.heat[page % kIdsPerUnit + i];
    return sum;
  }
  // Share of the true heat that meets near memory.
  double hit_ratio() const {
    double near = 0, all = 0;
    for (const Whole& in : whole_) {
      for (size_t i = 0; i < kIdsPerUnit; ++i) {
        all += in.heat[i];
        near += in.side[i] == Side::kNear ? in.heat[i] : 0;
      }
    }
    return all > 0 ? near / all : 0;
  }
  uint64_t near_used() const {
    uint64_t used = 0;
    for (const Whole& in : whole_)
      for (Side side : in.side) used += side == Side::kNear ? kPartBytesMin : 0;
    return used;
  }

  Room room() override { return {capacity_, near_used()}; }
  void contexts(std::vector<ContextView>* out) override { *out = contexts_; }
  void classes(std::vector<ClassView>* out) override {
    out->clear();
    for (const auto& [id, of] : classes_) out->push_back(of);
  }
  void units(std::vector<UnitView>* out) override {
    out->clear();
    for (size_t i = 0; i < whole_.size(); ++i) {
      const Whole& in = whole_[i];
      for (uint32_t at = 0; at < kUnitBytes; at += in.part_bytes) {
        uint32_t page = at / kPartBytesMin;
        auto id = static_cast<UnitId>(i * kIdsPerUnit + page);
        out->push_back({id, kBase + uint64_t{id} * kPartBytesMin, in.part_bytes, in.part_bytes,
                        in.of, majority(in, page), in.stuck, static_cast<uint32_t>(i)});
      }
    }
  }
  void set_lean(ClassId id, Side side) override {
    class_of(id).lean = side;
    ++leans;
  }
  void set_weave(ClassId id, uint8_t share) override { woven[id] = share; }
  void assign(ContextId context, ClassId id) override {
    for (ContextView& of : contexts_)
      if (of.id == context) of.class_id = id;
    ++assigns;
  }
  void move(const std::vector<UnitId>& units, Side side, std::vector<Moved>* moved) override {
    for (size_t i = 0; i < units.size(); ++i) (*moved)[i] = move_one(units[i], side);
  }
  void split(UnitId unit, uint32_t bytes) override {
    whole_[unit / kIdsPerUnit].part_bytes = bytes;
    ++splits;
  }
  void ask_huge(ClassId id) override { huge.insert(id); }

  uint64_t moved_bytes = 0, moves = 0, refused = 0, leans = 0, assigns = 0, splits = 0;
  std::set<ClassId> huge;
  std::map<ClassId, uint8_t> woven;

 private:
  static constexpr uintptr_t kBase = uintptr_t{1} << 40;
  struct Whole {
    ClassId of;
    uint32_t part_bytes;
    bool stuck;
    std::vector<Side> side;
    std::vector<double> heat;
  };
  static Side majority(const Whole& in, uint32_t page) {
    auto begin = in.side.begin() + page;
    auto near =
        static_cast<size_t>(std::count(begin, begin + in.part_bytes / kPartBytesMin, Side::kNear));
    return near * 2 > in.part_bytes / kPartBytesMin ? Side::kNear : Side::kFar;
  }
  Moved move_one(UnitId unit, Side side) {
    Whole& in = whole_[unit / kIdsPerUnit];
    uint32_t first = unit % kIdsPerUnit, pages = in.part_bytes / kPartBytesMin;
    Moved out;
    for (uint32_t page = first; page < first + pages; ++page) out.pages += in.side[page] != side;
    if (in.stuck) return {0, out.pages};
    if (side == Side::kNear && near_used() + out.pages * kPartBytesMin > capacity_) {
      ++refused;
      return {};
    }
    std::fill_n(in.side.begin() + first, pages, side);
    moved_bytes += out.pages * kPartBytesMin;
    ++moves;
    return out;
  }

  uint64_t capacity_;
  std::vector<Whole> whole_;
  std::map<ClassId, ClassView> classes_;
  std::vector<ContextView> contexts_;
};

// Sees one access in `rate`, by chance; the same each time a test runs.
class FakeSampler : public Sampler {
 public:
  FakeSampler(FakeHeap& heap, double rate, double step_s)
      : heap_(heap), rate_(rate), step_s_(step_s) {}
  const char* name() const override { return "fake"; }
  Sight sight() const override { return seen; }
  Status start() override { return {}; }
  void stop() override {}
  void collect(const std::vector<UnitView>& units, std::vector<Reading>* out) override {
    out->clear();
    for (const UnitView& unit : units) {
      double mean = heap_.heat_of(unit.id, unit.bytes) * step_s_ / rate_;
      out->push_back({unit.id, static_cast<double>(draw(mean)), step_s_});
    }
  }
  void set_effort(double share) override { effort = share; }

  Sight seen{true, true, 1};
  double effort = 1;

 private:
  // Poisson: Knuth's product for small means, the normal law for large ones.
  uint64_t draw(double mean) {
    if (mean > 30) {
      double normal =
          std::sqrt(-2 * std::log(1 - random_.unit())) * std::cos(6.2831853 * random_.unit());
      return static_cast<uint64_t>(std::max(0.0, mean + std::sqrt(mean) * normal + 0.5));
    }
    double limit = std::exp(-mean), product = random_.unit();
    uint64_t count = 0;
    for (; product > limit; product *= random_.unit()) ++count;
    return count;
  }

  FakeHeap& heap_;
  double rate_, step_s_;
  bench::tiering::Random random_{7};
};

}  // namespace hms::tiering
