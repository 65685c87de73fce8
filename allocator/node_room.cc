// See node_room.h.
#include "allocator/node_room.h"

#include <time.h>

#include <atomic>

#include "runtime/hbind/node_pages.h"
#include "runtime/support/os.h"

namespace hms::alloc {
namespace {

constexpr int64_t kSlackDivisor = 100;  // 1 % of what was free: page tables, others' small requests
constexpr int64_t kTightDivisor = 8;
constexpr int64_t kRereadBytes = int64_t{4} << 20;
constexpr int64_t kRereadNanoseconds = 10'000'000;

struct Room {
  std::atomic<int64_t> baseline{-1};  // free bytes if nothing of ours were charged; -1: unread
  std::atomic<int64_t> charged{0};    // by guarded legs of this process
  std::atomic<int64_t> margin{0};
  std::atomic<int64_t> measured{0};       // MemFree at the last reading
  std::atomic<int64_t> since_reading{0};  // charged since
  std::atomic<int64_t> read_at{0};
};

Room rooms[os::kMaxNodes];

int64_t now_nanoseconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// Two threads may read at once: both store nearly the same numbers.
void read_again(Room& room, int node) {
  int64_t free_bytes = os::node_free_bytes(node);
  if (free_bytes < 0) return;
  int64_t charged = room.charged.load(std::memory_order_relaxed);
  int64_t baseline = room.baseline.load(std::memory_order_relaxed);
  if (baseline < 0) {
    int64_t usable = static_cast<int64_t>(hbind::node_room(node, false));
    int64_t kept = free_bytes > usable ? free_bytes - usable : 0;  // watermarks
    room.margin.store(kept + free_bytes / kSlackDivisor, std::memory_order_relaxed);
  }
  // Less is free than if every byte of ours were touched: others took memory. More is free with
  // nothing of ours there: others gave memory back.
  if (baseline < 0 || free_bytes < baseline - charged || charged == 0) {
    room.baseline.store(free_bytes + charged, std::memory_order_relaxed);
  }
  room.measured.store(free_bytes, std::memory_order_relaxed);
  room.since_reading.store(0, std::memory_order_relaxed);
  room.read_at.store(now_nanoseconds(), std::memory_order_relaxed);
}

bool stale(const Room& room, int64_t bytes) {
  return room.baseline.load(std::memory_order_relaxed) < 0 ||
         room.since_reading.load(std::memory_order_relaxed) + bytes > kRereadBytes ||
         now_nanoseconds() - room.read_at.load(std::memory_order_relaxed) > kRereadNanoseconds;
}

}  // namespace

bool take_node_room(int node, uint64_t bytes) {
  if (node < 0 || node >= os::kMaxNodes) return true;
  Room& room = rooms[node];
  auto wanted = static_cast<int64_t>(bytes);
  if (stale(room, wanted)) read_again(room, node);
  int64_t baseline = room.baseline.load(std::memory_order_relaxed);
  if (baseline < 0) return true;
  int64_t charged = room.charged.fetch_add(wanted, std::memory_order_relaxed) + wanted;
  int64_t since = room.since_reading.fetch_add(wanted, std::memory_order_relaxed) + wanted;
  int64_t margin = room.margin.load(std::memory_order_relaxed);
  bool fits = charged <= baseline - margin &&
              since <= room.measured.load(std::memory_order_relaxed) - margin;
  if (!fits) {
    room.charged.fetch_sub(wanted, std::memory_order_relaxed);
    room.since_reading.fetch_sub(wanted, std::memory_order_relaxed);
  }
  return fits;
}

uint64_t node_room_left(int node) {
  if (node < 0 || node >= os::kMaxNodes) return UINT64_MAX / 2;
  Room& room = rooms[node];
  if (stale(room, 0)) read_again(room, node);
  const int64_t baseline = room.baseline.load(std::memory_order_relaxed);
  if (baseline < 0) return UINT64_MAX / 2;
  const int64_t left = baseline - room.charged.load(std::memory_order_relaxed);
  const int64_t now = room.measured.load(std::memory_order_relaxed) -
                      room.since_reading.load(std::memory_order_relaxed);
  const int64_t least = (left < now ? left : now) - room.margin.load(std::memory_order_relaxed);
  return least > 0 ? static_cast<uint64_t>(least) : 0;
}

void give_node_room(int node, uint64_t bytes) {
  if (node < 0 || node >= os::kMaxNodes) return;
  rooms[node].charged.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
}

bool node_is_tight(int node) {
  if (node < 0 || node >= os::kMaxNodes) return false;
  const Room& room = rooms[node];
  int64_t baseline = room.baseline.load(std::memory_order_relaxed);
  if (baseline < 0) return false;
  int64_t left = baseline - room.charged.load(std::memory_order_relaxed);
  int64_t measured = room.measured.load(std::memory_order_relaxed);
  return (left < measured ? left : measured) < baseline / kTightDivisor;
}

}  // namespace hms::alloc
