// The measurements of `hms topology --measure`.
#include "cli/measure.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <random>
#include <thread>

#include "runtime/support/os.h"
#include "runtime/topology/tree.h"
#include "runtime/topology/units.h"

namespace hms::cli {
namespace {

using Clock = std::chrono::steady_clock;
using topology::Initiator;
using topology::Target;

constexpr size_t kCacheLine = 64;
constexpr size_t kLeastBuffer = size_t{16} << 20;
constexpr size_t kMostBuffer = size_t{1} << 30;
constexpr uint64_t kLeaveFree = uint64_t{64} << 20;
constexpr int kRepeats = 3;  // the best of them: "best case, alone"
constexpr double kSecondsPerRepeat = 0.25;
constexpr size_t kStepsPerCheck = 50000;

std::atomic<bool> interrupted{false};
void on_interrupt(int) { interrupted = true; }

// Ctrl-C ends the measurement at the next check instead of the process, so that nothing
// half-written stays behind.
class CatchInterrupt {
 public:
  CatchInterrupt() {
    interrupted = false;
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, &old_);
  }
  ~CatchInterrupt() { sigaction(SIGINT, &old_, nullptr); }

 private:
  struct sigaction old_ = {};
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The largest cache of any CPU, as sysfs tells ("32768K").
size_t largest_cache() {
  topology::Tree tree("/sys/devices/system/cpu/cpu0/cache");
  size_t best = 0;
  for (const std::string& index : tree.entries("", "index")) {
    std::string size = tree.text(index + "/size").value_or("");
    size_t end = size.find('K');
    if (auto kib = topology::parse_number(size.substr(0, end)); kib && *kib > 0) {
      best = std::max(best, static_cast<size_t>(*kib) * 1024);
    }
  }
  return best;
}

std::vector<int> allowed_cpus(const Initiator& i) {
  cpu_set_t set;
  std::vector<int> out;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return i.cpus;
  for (int cpu : i.cpus) {
    if (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &set)) out.push_back(cpu);
  }
  return out;
}

void run_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

// Memory of one node, really there.
class Buffer {
 public:
  ~Buffer() {
    if (memory_) os::unmap(memory_, bytes_);
  }
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Empty on success, else why not.
  std::string fill(int node, size_t bytes) {
    int64_t room = os::node_free_bytes(node);
    if (room >= 0) {
      if (static_cast<uint64_t>(room) < kLeastBuffer * 2 + kLeaveFree) {
        return "too little free memory (" + topology::format_bytes(static_cast<uint64_t>(room)) +
               ")";
      }
      // Half of what is free at most: others use the node too.
      bytes = std::min(bytes, (static_cast<size_t>(room) - kLeaveFree) / 2);
    }
    bytes_ = bytes / os::kHugePageSize * os::kHugePageSize;
    if (os::reserve(nullptr, bytes_, &memory_) != 0 || os::commit(memory_, bytes_) != 0) {
      return "no address space for the buffer";
    }
    os::advise_huge_pages(memory_, bytes_, true);
    os::NodeMask mask;
    mask.set(node);
    int bound = os::set_range_policy(memory_, bytes_, os::Policy::kBind, mask);
    // A kernel without NUMA has only one place to put it.
    if (bound != 0 && node != 0) return "the kernel refuses to bind memory to it";
    return "";
  }

  // After the pages were touched: are they where they should be? Looks at a thousand of them.
  bool on_node(int node) const {
    size_t step = std::max(os::kPageSize, bytes_ / 1000 / os::kPageSize * os::kPageSize);
    std::vector<void*> pages;
    for (size_t at = 0; at < bytes_; at += step) pages.push_back(data() + at);
    std::vector<int> status(pages.size());
    if (os::query_pages(0, pages.size(), pages.data(), status.data()) < 0) return node == 0;
    return std::all_of(status.begin(), status.end(), [node](int s) { return s == node || s < 0; });
  }

  char* data() const { return static_cast<char*>(memory_); }
  size_t bytes() const { return bytes_; }

 private:
  void* memory_ = nullptr;
  size_t bytes_ = 0;
};

// One cycle through all lines in random order, so that each load waits for the one before it and no
// prefetcher guesses the next.
void make_cycle(const Buffer& buffer) {
  size_t lines = buffer.bytes() / kCacheLine;
  std::vector<uint32_t> order(lines);
  std::iota(order.begin(), order.end(), 0U);
  std::mt19937_64 random(42);
  for (size_t i = lines - 1; i > 0; --i) std::swap(order[i], order[random() % (i + 1)]);
  for (size_t i = 0; i < lines; ++i) {
    void* next = buffer.data() + size_t{order[(i + 1) % lines]} * kCacheLine;
    *reinterpret_cast<void**>(buffer.data() + size_t{order[i]} * kCacheLine) = next;
  }
}

double chase(const Buffer& buffer) {
  double best = 0;
  void** at = reinterpret_cast<void**>(buffer.data());
  for (int r = 0; r < kRepeats && !interrupted; ++r) {
    auto start = Clock::now();
    size_t steps = 0;
    double took = 0;
    do {
      for (size_t s = 0; s < kStepsPerCheck; ++s) at = reinterpret_cast<void**>(*at);
      steps += kStepsPerCheck;
      took = seconds_since(start);
    } while (took < kSecondsPerRepeat && !interrupted);
    double ns = took * 1e9 / static_cast<double>(steps);
    if (best == 0 || ns < best) best = ns;
  }
  // The last pointer must matter, or the loads are optimised away.
  asm volatile("" : : "r"(at) : "memory");
  return best;
}

uint64_t read_all(const char* from, size_t bytes) {
  const uint64_t* words = reinterpret_cast<const uint64_t*>(from);
  uint64_t sum[8] = {};
  for (size_t i = 0; i + 8 <= bytes / sizeof(uint64_t); i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) sum[lane] += words[i + lane];
  }
  return std::accumulate(sum, sum + 8, uint64_t{0});
}

double stream(const Buffer& buffer, const std::vector<int>& cpus) {
  size_t share = buffer.bytes() / cpus.size() / os::kPageSize * os::kPageSize;
  double best = 0;
  for (int r = 0; r < kRepeats && !interrupted; ++r) {
    std::atomic<size_t> ready{0};
    std::atomic<uint64_t> bytes{0};
    std::atomic<uint64_t> sink{0};
    std::atomic<bool> go{false}, stop{false};
    std::vector<std::thread> threads;
    for (size_t i = 0; i < cpus.size(); ++i) {
      threads.emplace_back([&, i] {
        run_on(cpus[i]);
        ++ready;
        while (!go) std::this_thread::yield();
        uint64_t sum = 0, done = 0;
        // Small pieces, so that all threads stop at nearly the same time.
        constexpr size_t kPiece = size_t{1} << 20;
        for (size_t at = 0; !stop; at = at + kPiece < share ? at + kPiece : 0) {
          size_t piece = std::min(kPiece, share - at);
          sum += read_all(buffer.data() + i * share + at, piece);
          done += piece;
        }
        bytes += done;
        sink += sum;
      });
    }
    while (ready < cpus.size()) std::this_thread::yield();
    auto start = Clock::now();
    go = true;
    std::this_thread::sleep_for(std::chrono::duration<double>(kSecondsPerRepeat));
    stop = true;
    double took = seconds_since(start);
    for (std::thread& t : threads) t.join();
    best = std::max(best, static_cast<double>(bytes.load()) / took);
  }
  return best;
}

// Measures one pair; empty on success, else why it was skipped.
std::string measure_pair(const Initiator& from, const Target& to, topology::Measurement* out) {
  std::vector<int> cpus = allowed_cpus(from);
  if (cpus.empty()) return "this process may not run on its CPUs";
  // Four times the largest cache; with several sockets' caches out of the way that is enough.
  size_t bytes = std::min(std::max(largest_cache() * 4, kLeastBuffer * 4), kMostBuffer);
  Buffer buffer;
  std::string problem = buffer.fill(to.node, bytes);
  if (!problem.empty()) return problem;
  std::thread pinned([&] {
    run_on(cpus[0]);
    make_cycle(buffer);
    out->latency = chase(buffer);
  });
  pinned.join();
  if (!buffer.on_node(to.node)) return "the kernel put the pages elsewhere";
  if (!interrupted) out->bandwidth = stream(buffer, cpus);
  return "";
}

}  // namespace

MeasureResult measure(const topology::Topology& t,
                      const std::function<void(const std::string&)>& progress) {
  CatchInterrupt guard;
  MeasureResult out;
  out.measurements.machine = topology::machine_signature(t);
  std::vector<std::pair<const Initiator*, const Target*>> pairs;
  for (const Initiator& i : t.initiators()) {
    for (const Target& x : t.targets()) {
      bool real = x.node >= 0 && !x.emulated && (x.capabilities & HMS_CAP_CPU_ACCESSIBLE) != 0;
      if (i.kind == topology::InitiatorKind::kCpu && real) pairs.emplace_back(&i, &x);
    }
  }
  auto report = [&out](const std::string& pair, const std::string& text) {
    out.report.append("  ").append(pair).append(": ").append(text).append("\n");
  };
  for (size_t n = 0; n < pairs.size() && !interrupted; ++n) {
    auto [from, to] = pairs[n];
    std::string name = from->key + " to " + to->key;
    progress("measuring " + name + " (" + std::to_string(n + 1) + " of " +
             std::to_string(pairs.size()) + ")");
    topology::Measurement m{from->key, to->key, 0, 0};
    std::string problem = measure_pair(*from, *to, &m);
    if (interrupted) break;
    if (!problem.empty()) {
      report(name, "skipped, " + problem);
      continue;
    }
    report(name,
           topology::format_latency(m.latency) + ", " + topology::format_bandwidth(m.bandwidth));
    out.measurements.pairs.push_back(std::move(m));
  }
  out.interrupted = interrupted;
  return out;
}

}  // namespace hms::cli
