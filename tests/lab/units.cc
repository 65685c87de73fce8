// Units of tiering on two real nodes: births, moves and charges, each page asked for with
// move_pages by this program itself. For a machine, real or virtual, with at least two nodes.
//
//   units NEAR FAR     node numbers
//
// Exits 0 if all expectations hold.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "allocator/account.h"
#include "allocator/allocator.h"
#include "allocator/tiering/classes.h"
#include "allocator/tiering/opening.h"
#include "runtime/support/counters.h"

namespace {

using hms::alloc::place_by_site;
using hms::tiering::Heap;
using hms::tiering::Moved;
using hms::tiering::Side;
using hms::tiering::UnitId;
using hms::tiering::UnitView;

constexpr size_t kPage = 4096;
constexpr size_t kMiB = size_t{1} << 20;

int failures = 0;
int node_of[2];  // by Side

void expect(bool ok, const std::string& what) {
  printf("%s: %s\n", ok ? "ok" : "FAILED", what.c_str());
  fflush(stdout);
  if (!ok) ++failures;
}

struct Count {
  size_t on[2] = {};  // pages, by Side
  size_t elsewhere = 0;
};

// Where the kernel has the pages of a unit or part.
Count ask_kernel(const UnitView& unit) {
  Count count;
  std::vector<void*> pages;
  for (size_t at = 0; at < unit.bytes; at += kPage) {
    pages.push_back(reinterpret_cast<void*>(unit.address + at));  // NOLINT
  }
  std::vector<int> status(pages.size(), -1);
  syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, status.data(), 0);
  for (int node : status) {
    if (node < 0) continue;
    if (node == node_of[0])
      ++count.on[0];
    else if (node == node_of[1])
      ++count.on[1];
    else
      ++count.elsewhere;
  }
  return count;
}

std::vector<UnitView> units(Heap* heap) {
  std::vector<UnitView> out;
  heap->units(&out);
  return out;
}

// Pages that are not on the side that the heap says, over all units.
size_t misplaced(Heap* heap) {
  size_t wrong = 0;
  for (const UnitView& unit : units(heap)) {
    const Count count = ask_kernel(unit);
    wrong += count.elsewhere + count.on[unit.side == Side::kNear ? 1 : 0];
  }
  return wrong;
}

std::vector<void*> fill(size_t bytes, uintptr_t site) {
  std::vector<void*> blocks;
  for (size_t done = 0; done < bytes; done += 4000) {
    const auto* from = reinterpret_cast<const void*>(site);  // NOLINT(performance-no-int-to-ptr)
    void* block = hms::alloc::allocate(4000, place_by_site(4000, from));
    if (block == nullptr) break;
    memset(block, static_cast<int>(blocks.size()), 4000);
    blocks.push_back(block);
  }
  return blocks;
}

bool intact(const std::vector<void*>& blocks) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    const auto* bytes = static_cast<const unsigned char*>(blocks[i]);
    if (bytes[0] != (i & 255) || bytes[3999] != (i & 255)) return false;
  }
  return true;
}

void free_all(std::vector<void*>* blocks) {
  for (void* block : *blocks) hms::alloc::deallocate(block);
  blocks->clear();
  hms::alloc::trim();
}

uint64_t audit_misplaced() {
  hms::alloc::audit_residency();
  uint64_t sum = 0;
  for (size_t i = 0; auto* account = hms::alloc::account_at(i); ++i) {
    sum += account->counters->audit_misplaced.load();
  }
  return sum;
}

void births_and_moves(Heap* heap) {
  std::vector<void*> blocks = fill(64 * kMiB, 0x1000001);
  expect(misplaced(heap) == 0, "births: every page is on the side of its unit");
  std::vector<UnitId> all;
  for (const UnitView& unit : units(heap)) {
    if (unit.side == Side::kNear) all.push_back(unit.id);
  }
  const uint64_t calls = hms::stats()->policy_calls.load();
  std::vector<void*> more = fill(8 * kMiB, 0x1000001);
  expect(hms::stats()->policy_calls.load() == calls, "births on one side need no policy calls");
  free_all(&more);
  std::vector<Moved> moved;
  heap->move(all, Side::kFar, &moved);
  size_t pages = 0;
  size_t stuck = 0;
  for (const Moved& m : moved) {
    pages += m.pages;
    stuck += m.stuck;
  }
  expect(pages > 60 * kMiB / kPage, "move: " + std::to_string(pages) + " pages");
  expect(stuck == 0, "move: no page is stuck (" + std::to_string(stuck) + ")");
  expect(misplaced(heap) == 0, "move: every page is where its unit went");
  expect(audit_misplaced() == 0, "move: the library's audit agrees");
  expect(intact(blocks), "move: the content is what it was");
  heap->move(all, Side::kNear, &moved);
  expect(misplaced(heap) == 0, "back: every page is where its unit went");
  expect(intact(blocks), "back: the content is what it was");
  free_all(&blocks);
}

void parts(Heap* heap) {
  std::vector<void*> blocks = fill(8 * kMiB, 0x1000002);
  const UnitView unit = units(heap).back();
  madvise(reinterpret_cast<void*>(unit.address), unit.bytes, MADV_HUGEPAGE);  // NOLINT
  heap->split(unit.id, 16 * kPage);
  std::vector<UnitId> some;
  for (const UnitView& part : units(heap)) {
    const uintptr_t offset = part.address - unit.address;
    if (offset < unit.bytes && offset / part.bytes % 2 == 0) some.push_back(part.id);
  }
  std::vector<Moved> moved;
  heap->move(some, Side::kFar, &moved);
  expect(misplaced(heap) == 0, "parts: every page is where its part went");
  expect(audit_misplaced() == 0, "parts: the library's audit agrees");
  expect(intact(blocks), "parts: the content is what it was");
  heap->split(unit.id, hms::tiering::kUnitBytes);
  free_all(&blocks);
}

// More than the near node has: the rest is born far, and nothing is killed.
void near_is_full(Heap* heap) {
  const uint64_t capacity = heap->room().near_capacity;
  std::vector<void*> blocks = fill(capacity + 64 * kMiB, 0x1000003);
  uint64_t far = 0;
  for (const UnitView& unit : units(heap)) far += unit.side == Side::kFar ? unit.committed : 0;
  expect(far >= 48 * kMiB, "full: " + std::to_string(far / kMiB) + " MiB are far");
  const size_t wrong = misplaced(heap);
  expect(wrong == 0, "full: no page is misplaced (" + std::to_string(wrong) + ")");
  expect(intact(blocks), "full: the content is what it was");
  free_all(&blocks);
}

// Locked pages may move or not, as the kernel has it; what is said of them must be so.
void locked_memory_moves(Heap* heap) {
  std::vector<void*> blocks = fill(4 * kMiB, 0x1000004);
  const UnitView unit = units(heap).back();
  expect(mlock(reinterpret_cast<void*>(unit.address), 1 * kMiB) == 0, "locked: mlock");  // NOLINT
  std::vector<Moved> moved;
  heap->move({unit.id}, Side::kFar, &moved);
  expect(moved[0].pages > 0 && misplaced(heap) == moved[0].stuck, "locked: what is told is so");
  munlock(reinterpret_cast<void*>(unit.address), 1 * kMiB);  // NOLINT
  free_all(&blocks);
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  node_of[0] = atoi(words[1]);
  node_of[1] = atoi(words[2]);
  const auto target = [](int node) {
    return hms::TargetRef{"node:" + std::to_string(node), node, false, UINT64_MAX};
  };
  auto started = hms::alloc::start_classes(target(node_of[0]), target(node_of[1]));
  expect(started.ok(), "start: " + (started.ok() ? "classes" : started.status().message()));
  if (!started.ok()) return 1;
  Heap* heap = started.value();
  hms::alloc::open_classes();
  births_and_moves(heap);
  parts(heap);
  locked_memory_moves(heap);
  near_is_full(heap);
  return failures == 0 ? 0 : 1;
}
