// hints - a program that says what it expects of its memory: rightly, wrongly, and of some that it
// is not to be moved. Run under libhms_malloc.so.
//
// usage: hints RANGES
//
// Allocates the groups below, in objects of 2000 bytes, the hot ones first. RANGES then holds "pid
// PID", a line "range GROUP START END" for each object (hexadecimal) and, last, "ready". After a
// byte on its standard input it reads and counts up objects of the groups that are used, in random
// order, until the input ends. Then it checks every byte and the sum of what was counted, prints "N
// accesses", and ends with status 0.
//
//   0  hot, and used       operator new with a hint
//   1  hot, not used       pinned: stays near
//   2  hot, not used       a wrong hint
//   3  cold, not used      operator new with a hint
//   4  cold, but used      a wrong hint
//   5  cold, but used      pinned: stays far
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <hms/hms.hpp>

// An extension of LLVM and tcmalloc, which no header declares.
enum class __hot_cold_t : uint8_t {};  // NOLINT(bugprone-reserved-identifier)
__attribute__((weak)) void* operator new(size_t size, __hot_cold_t heat);

namespace {

using hms::Heat;
using hms::Life;

constexpr size_t kObject = 2000, kMiB = 1 << 20;

struct Object {
  uint64_t count;
  unsigned char rest[kObject - sizeof(uint64_t)];
};

struct Group {
  size_t mib;
  Heat heat;
  Life life;
  bool by_operator, used, pinned;
  std::vector<Object*> objects = {};
};

Group groups[] = {
    {12, Heat::kHot, Life::kUnknown, true, true, false},
    {8, Heat::kHot, Life::kLong, false, false, true},
    {12, Heat::kHot, Life::kShort, false, false, false},
    {24, Heat::kCold, Life::kUnknown, true, false, false},
    {8, Heat::kCold, Life::kLong, false, true, false},
    {8, Heat::kCold, Life::kShort, false, true, true},
};

[[noreturn]] void fail(const char* what) {
  fprintf(stderr, "hints: %s\n", what);
  exit(1);
}

unsigned char pattern(size_t number) { return static_cast<unsigned char>(number * 37 + 101); }

Object* make(const Group& group, const hms::Placement& placement, size_t number) {
  constexpr __hot_cold_t kColdest{1}, kHottest{254};
  void* block =
      group.by_operator ? operator new(kObject, group.heat == Heat::kHot ? kHottest : kColdest)
                        : placement.allocate(kObject);
  auto* object = static_cast<Object*>(block);
  object->count = 0;
  memset(object->rest, pattern(number), sizeof object->rest);
  return object;
}

void fill(Group* group) {
  const hms::Placement placement(group->heat, group->life);
  group->objects.reserve(group->mib * kMiB / kObject);
  for (size_t i = 0; i < group->mib * kMiB / kObject; ++i) {
    group->objects.push_back(make(*group, placement, i));
    if (group->pinned) hms::Range{group->objects.back(), kObject}.pin();
  }
}

void tell(const char* path) {
  FILE* out = fopen(path, "w");
  if (out == nullptr) fail("RANGES cannot be written");
  fprintf(out, "pid %d\n", static_cast<int>(getpid()));
  for (const Group& group : groups) {
    for (const Object* object : group.objects) {
      const auto at = reinterpret_cast<uintptr_t>(object);
      fprintf(out, "range %d %lx %lx\n", static_cast<int>(&group - groups), at, at + kObject);
    }
  }
  fprintf(out, "ready\n");
  if (fclose(out) != 0) fail("RANGES cannot be written");
}

bool told_to_end() {
  pollfd in{0, POLLIN, 0};
  char byte = 0;
  return poll(&in, 1, 0) > 0 && read(0, &byte, 1) <= 0;
}

uint64_t use() {
  constexpr int kBatch = 20000;
  std::vector<Object*> used;
  for (const Group& group : groups) {
    if (group.used) used.insert(used.end(), group.objects.begin(), group.objects.end());
  }
  uint64_t accesses = 0;
  for (uint32_t at = 1; !told_to_end(); accesses += kBatch) {
    for (int i = 0; i < kBatch; ++i) {
      at = at * 1664525U + 1013904223U;
      volatile uint64_t& count = used[uint64_t{at} * used.size() >> 32]->count;
      count = count + 1;
    }
  }
  return accesses;
}

uint64_t check_all() {
  uint64_t sum = 0;
  for (const Group& group : groups) {
    for (size_t i = 0; i < group.objects.size(); ++i) {
      for (unsigned char byte : group.objects[i]->rest) {
        if (byte != pattern(i)) fail("an object was overwritten");
      }
      sum += group.objects[i]->count;
    }
  }
  return sum;
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    fprintf(stderr, "usage: hints RANGES\n");
    return 2;
  }
  auto* hinted = static_cast<void* (*)(size_t, __hot_cold_t)>(operator new);
  if (hinted == nullptr) fail("there is no operator new with a hint: preload libhms_malloc.so");
  for (Group& group : groups) fill(&group);
  tell(words[1]);
  char byte = 0;
  if (read(0, &byte, 1) < 0) fail("the standard input cannot be read");
  const uint64_t accesses = use();
  if (check_all() != accesses) fail("accesses were lost");
  printf("%llu accesses\n", static_cast<unsigned long long>(accesses));
}
