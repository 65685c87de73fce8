// hms.hpp - the C++17 interface of libhms, header-only over hms.h.
//
//   hms::Topology       the machine's memories; owns a snapshot
//   hms::Query          the best targets for some initiators
//   hms::Range          a range of addresses: bind, migrate, unbind, pieces, residency
//   hms::Batch          several range operations, validated as a whole before the first effect
//   hms::Placement      where to allocate: made from a specification or a list of targets
//   hms::MemoryResource std::pmr::memory_resource on a placement
//   hms::Allocator<T>   STL allocator on a placement
//
// Conventions: sizes are bytes, bandwidths bytes/s, latencies ns. Failures throw hms::Error, which
// carries the status and the message of the library; allocation throws std::bad_alloc. Results that
// are no failures (a migrate that moved a part) are returned. Everything but Topology::rescan may
// be called from several threads at once on the same object.
#ifndef HMS_HMS_HPP
#define HMS_HMS_HPP

#include <hms/hms.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace hms {
inline namespace v1 {

// A call that failed. what() names the input and the way out.
class Error : public std::exception {
 public:
  Error(hms_status status, std::string message) : status_(status), message_(std::move(message)) {}
  // With the message of this thread's last failed call.
  explicit Error(hms_status status) : Error(status, text(status)) {}

  hms_status status() const noexcept { return status_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  static std::string text(hms_status status) {
    std::string message = hms_strerror(status);
    const char* detail = hms_last_error();
    if (*detail) message += std::string(": ") + detail;
    return message;
  }

  hms_status status_;
  std::string message_;
};

// Throws Error unless `status` is HMS_OK.
inline void check(hms_status status) {
  if (status != HMS_OK) throw Error(status);
}

// Whether an allocation or a bind may use memory outside its list.
enum class Strictness : unsigned { kPreferred = 0, kStrict = HMS_STRICT };

// The machine's memories and who reaches them how. Owns the snapshot: ids stay valid for the life
// of the process, strings in *_info structures as long as the Topology and its last rescan.
// Movable; a moved-from Topology may only be destroyed or assigned to.
class Topology {
 public:
  // The live machine, or what $HMS_TOPOLOGY says. Throws Error.
  Topology() { check(hms_topology_load(nullptr, &handle_)); }
  // "live", "xml:FILE", "synthetic:SPEC", "tiers:SPEC". Throws Error: HMS_EINVAL for a bad
  // specification, HMS_EIO for a source that cannot be read.
  explicit Topology(const std::string& source) {
    check(hms_topology_load(source.c_str(), &handle_));
  }
  ~Topology() { hms_topology_free(handle_); }
  Topology(Topology&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Topology& operator=(Topology&& other) noexcept {
    if (this != &other) {
      hms_topology_free(handle_);
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  // Reads the sources again; not while another thread uses this object. Throws Error, in which case
  // the old snapshot stays.
  void rescan() { check(hms_topology_rescan(handle_)); }
  std::uint64_t generation() const { return hms_topology_generation(handle_); }

  std::vector<hms_id> targets() const { return all(HMS_TARGET); }
  std::vector<hms_id> initiators() const { return all(HMS_INITIATOR); }
  std::vector<hms_id> links() const { return all(HMS_LINK); }
  std::vector<hms_id> bridges() const { return all(HMS_BRIDGE); }

  // By stable key or label ("node:2", "fast"). Throws Error (HMS_ENODEV) if there is none.
  hms_id at(const std::string& key) const {
    hms_id id = hms_topology_find_key(handle_, key.c_str());
    if (id == 0) {
      throw Error(HMS_ENODEV, "'" + key + "' is no target or initiator of this topology");
    }
    return id;
  }
  bool contains(const std::string& key) const {
    return hms_topology_find_key(handle_, key.c_str()) != 0;
  }

  // Throw Error (HMS_ENODEV) for an id of another kind, or one that is gone.
  hms_target_info target(hms_id id) const { return get<hms_target_info>(hms_target_get, id); }
  hms_initiator_info initiator(hms_id id) const {
    return get<hms_initiator_info>(hms_initiator_get, id);
  }
  hms_link_info link(hms_id id) const { return get<hms_link_info>(hms_link_get, id); }
  hms_bridge_info bridge(hms_id id) const { return get<hms_bridge_info>(hms_bridge_get, id); }
  // Cost from one initiator to one target; look at `reachable` first. Throws Error for unknown ids.
  hms_cost cost(hms_id initiator, hms_id target) const {
    hms_cost cost{};
    cost.size = sizeof cost;
    check(hms_path_cost(handle_, initiator, target, &cost));
    return cost;
  }

  // For the C interface; owned by this object.
  const hms_topology* handle() const noexcept { return handle_; }

 private:
  std::vector<hms_id> all(hms_object type) const {
    std::vector<hms_id> ids(hms_topology_count(handle_, type));
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = hms_topology_at(handle_, type, i);
    return ids;
  }
  template <typename Info>
  Info get(hms_status (*getter)(const hms_topology*, hms_id, Info*), hms_id id) const {
    Info info{};
    info.size = sizeof info;
    check(getter(handle_, id, &info));
    return info;
  }

  hms_topology* handle_ = nullptr;
};

// The best targets for a set of initiators. Plain data: set what matters, then find().
struct Query {
  std::vector<hms_id> from;         // empty: every CPU initiator
  hms_order by = HMS_BY_BANDWIDTH;  // what best means
  std::uint64_t min_bytes = 0;      // smaller targets are left out
  std::uint32_t need = 0;           // HMS_CAP_* that a target must have
  std::uint32_t understand = 0;     // must-understand bits that the caller opts into

  // Reachable by all initiators, best first; empty if there are none. Throws Error.
  std::vector<hms_id> find(const Topology& topology) const {
    hms_query_spec spec{};
    spec.size = sizeof spec;
    spec.initiators = from.empty() ? nullptr : from.data();
    spec.initiator_count = from.size();
    spec.order = by;
    spec.min_bytes = min_bytes;
    spec.need = need;
    spec.understand = understand;
    std::vector<hms_id> found(hms_topology_count(topology.handle(), HMS_TARGET));
    std::size_t count = found.size();
    check(hms_find(topology.handle(), &spec, found.data(), &count));
    found.resize(count < found.size() ? count : found.size());
    return found;
  }
};

// What a migrate did.
struct Migration {
  std::vector<hms_moved> moved;      // one entry for each target asked for, pages of 4096 bytes
  std::uint64_t pages_present = 0;   // pages of the range that exist
  std::uint64_t pages_failed = 0;    // on none of the targets
  std::uint64_t bytes_unmapped = 0;  // holes
  bool complete() const { return pages_failed == 0; }
};

// Where the pages of a range are.
struct Residency {
  std::vector<hms_moved> on;    // pages on each target that holds some
  std::uint64_t absent = 0;     // pages that do not exist
  std::uint64_t elsewhere = 0;  // pages on no target of the topology
};

// A range of addresses, like a span: does not own what it names. `address` is page aligned for the
// calls that change something; `length` is rounded up to pages.
struct Range {
  void* address = nullptr;
  std::size_t length = 0;

  Range() = default;
  Range(void* address_, std::size_t length_) : address(address_), length(length_) {}
  // The whole pages within a contiguous container (std::vector, std::array, std::span ...): pages
  // that it shares with its neighbours in memory are left alone.
  template <typename Container, typename = decltype(std::declval<Container&>().data())>
  static Range pages_of(Container& container) {
    constexpr std::uintptr_t kPage = 4096;
    auto begin = reinterpret_cast<std::uintptr_t>(container.data());
    std::uintptr_t end = begin + container.size() * sizeof(*container.data());
    begin = (begin + kPage - 1) / kPage * kPage;
    end = end / kPage * kPage;
    return end > begin ? Range(reinterpret_cast<void*>(begin), end - begin) : Range();
  }

  // Future pages come from the first target with room, then the next. Existing pages stay. Throws
  // Error: HMS_ENOMEM (strict, no room, nothing done), HMS_ENODEV, HMS_ENOSYS, HMS_EPERM.
  void bind(const Topology& topology, const std::vector<hms_id>& targets,
            Strictness strictness = Strictness::kPreferred) const {
    check(hms_bind(topology.handle(), address, length, targets.data(), targets.size(),
                   static_cast<unsigned>(strictness)));
  }

  // Moves existing pages, first target first; pages that stayed elsewhere are told, not thrown.
  // Throws Error as bind().
  Migration migrate(const Topology& topology, const std::vector<hms_id>& targets,
                    Strictness strictness = Strictness::kPreferred) const {
    Migration result;
    result.moved.resize(targets.size());
    hms_op op{};
    op.size = sizeof op;
    op.code = HMS_OP_MIGRATE;
    op.flags = static_cast<unsigned>(strictness);
    op.address = address;
    op.length = length;
    op.targets = targets.data();
    op.target_count = targets.size();
    op.moved = result.moved.data();
    hms_status status = hms_submit(topology.handle(), &op, 1);
    if (status != HMS_EPARTIAL) check(status);
    result.pages_present = op.pages_present;
    result.pages_failed = op.pages_failed;
    result.bytes_unmapped = op.bytes_unmapped;
    return result;
  }

  // Forgets policy; pages stay. Throws Error.
  void unbind() const { check(hms_unbind(address, length)); }

  // Tiering does not move its pages from now on, or may again. Throw Error.
  void pin() const { check(hms_tiering_pin(address, length)); }
  void unpin() const { check(hms_tiering_unpin(address, length)); }

  // The policy pieces, in address order. Throws Error.
  std::vector<hms_piece> pieces() const {
    std::vector<hms_piece> out;
    for (std::size_t count = 0;;) {
      check(hms_query(address, length, out.data(), &count));
      bool all = count <= out.size();
      out.resize(count);
      if (all) return out;
    }
  }

  // Where the pages are now. Throws Error.
  Residency residency(const Topology& topology) const {
    Residency result;
    result.on.resize(hms_topology_count(topology.handle(), HMS_TARGET));
    std::size_t count = result.on.size();
    check(hms_residency(topology.handle(), address, length, result.on.data(), &count,
                        &result.absent, &result.elsewhere));
    result.on.resize(count < result.on.size() ? count : result.on.size());
    return result;
  }
};

// Several range operations. Built up, then submitted once; not for concurrent use.
class Batch {
 public:
  Batch& bind(Range range, std::vector<hms_id> targets,
              Strictness strictness = Strictness::kPreferred) {
    return add(HMS_OP_BIND, range, std::move(targets), strictness);
  }
  Batch& migrate(Range range, std::vector<hms_id> targets,
                 Strictness strictness = Strictness::kPreferred) {
    return add(HMS_OP_MIGRATE, range, std::move(targets), strictness);
  }
  Batch& unbind(Range range) { return add(HMS_OP_UNBIND, range, {}, Strictness::kPreferred); }

  // Validates all, then runs all, in order. Returns the first status that is not HMS_OK (never
  // throws but for memory); ops() tells each operation's result. A batch may be submitted again.
  hms_status submit(const Topology& topology) {
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      ops_[i].targets = lists_[i].data();
      ops_[i].moved = moved_[i].empty() ? nullptr : moved_[i].data();
    }
    return hms_submit(topology.handle(), ops_.data(), ops_.size());
  }
  // Owned by the batch, valid until it changes.
  const std::vector<hms_op>& ops() const noexcept { return ops_; }

 private:
  Batch& add(hms_op_code code, Range range, std::vector<hms_id> targets, Strictness strictness) {
    hms_op op{};
    op.size = sizeof op;
    op.code = code;
    op.flags = static_cast<unsigned>(strictness);
    op.address = range.address;
    op.length = range.length;
    op.target_count = targets.size();
    moved_.emplace_back(code == HMS_OP_MIGRATE ? targets.size() : 0);
    lists_.push_back(std::move(targets));
    ops_.push_back(op);
    return *this;
  }

  std::vector<hms_op> ops_;
  std::vector<std::vector<hms_id>> lists_;
  std::vector<std::vector<hms_moved>> moved_;
};

// What is expected of blocks, where a process runs under tiering; see hms_placement_hinted().
enum class Heat { kUnknown = HMS_HEAT_UNKNOWN, kCold = HMS_HEAT_COLD, kHot = HMS_HEAT_HOT };
enum class Life { kUnknown = HMS_LIFE_UNKNOWN, kShort = HMS_LIFE_SHORT, kLong = HMS_LIFE_LONG };

// Where to allocate. A cheap value: placements live until the process ends, so there is nothing to
// own. The default-constructed one is the process's default placement.
class Placement {
 public:
  Placement() = default;
  // "bandwidth", "node:2>node:0", "fast!" ...: see hms-rules(7). Throws Error, whose message names
  // the word that is wrong.
  explicit Placement(const std::string& spec) {
    check(hms_placement_get(nullptr, spec.c_str(), &handle_));
  }
  Placement(const Topology& topology, const std::string& spec) {
    check(hms_placement_get(topology.handle(), spec.c_str(), &handle_));
  }
  Placement(const Topology& topology, const std::vector<hms_id>& targets,
            Strictness strictness = Strictness::kPreferred) {
    check(hms_placement_of(topology.handle(), targets.data(), targets.size(),
                           static_cast<unsigned>(strictness), &handle_));
  }

  // For blocks of which that is expected. Throws Error only for values that are none.
  explicit Placement(Heat heat, Life life = Life::kUnknown) {
    check(hms_placement_hinted(static_cast<hms_heat>(heat), static_cast<hms_life>(life), &handle_));
  }

  // Memory on the placement. Throws std::bad_alloc if it has no room (a strict one) or the system
  // has none. Freed by hms_free, or deallocate() of any placement.
  void* allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) const {
    void* block = alignment <= alignof(std::max_align_t)
                      ? hms_malloc(bytes, handle_)
                      : hms_aligned_alloc(alignment, bytes, handle_);
    if (!block) throw std::bad_alloc();
    return block;
  }
  static void deallocate(void* block) noexcept { hms_free(block); }

  // For the C interface; null for the default placement.
  const hms_placement* handle() const noexcept { return handle_; }
  friend bool operator==(const Placement& a, const Placement& b) noexcept {
    return a.handle_ == b.handle_;
  }
  friend bool operator!=(const Placement& a, const Placement& b) noexcept { return !(a == b); }

 private:
  const hms_placement* handle_ = nullptr;
};

// A std::pmr::memory_resource on a placement. Thread-safe. Any two free each other's memory, but
// only those of one placement are equal: a container that moves between unequal resources copies
// its elements, and so gets the placement that it was made with.
class MemoryResource : public std::pmr::memory_resource {
 public:
  explicit MemoryResource(Placement placement = {}) : placement_(placement) {}
  const Placement& placement() const noexcept { return placement_; }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    return placement_.allocate(bytes, alignment);
  }
  void do_deallocate(void* block, std::size_t, std::size_t) override {
    Placement::deallocate(block);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    auto* same = dynamic_cast<const MemoryResource*>(&other);
    return same && same->placement_ == placement_;
  }

  Placement placement_;
};

// An STL allocator on a placement. Equal if the placements are. A copy of a container allocates
// where the original does; assigning contents leaves a container on its own placement (copy and
// move), while swapping exchanges placements along with the memory.
template <typename T>
class Allocator {
 public:
  using value_type = T;
  using propagate_on_container_copy_assignment = std::false_type;
  using propagate_on_container_move_assignment = std::false_type;
  using propagate_on_container_swap = std::true_type;
  using is_always_equal = std::false_type;

  Allocator() = default;
  // Implicit, so that a placement can be given where a container wants its allocator.
  Allocator(Placement placement) : placement_(placement) {}
  template <typename U>
  Allocator(const Allocator<U>& other) noexcept : placement_(other.placement()) {}

  // Throws std::bad_array_new_length for a count whose bytes overflow, else as Placement.
  T* allocate(std::size_t count) {
    if (count > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(placement_.allocate(count * sizeof(T), alignof(T)));
  }
  void deallocate(T* block, std::size_t) noexcept { Placement::deallocate(block); }

  const Placement& placement() const noexcept { return placement_; }

 private:
  Placement placement_;
};

template <typename T, typename U>
bool operator==(const Allocator<T>& a, const Allocator<U>& b) noexcept {
  return a.placement() == b.placement();
}
template <typename T, typename U>
bool operator!=(const Allocator<T>& a, const Allocator<U>& b) noexcept {
  return !(a == b);
}

}  // namespace v1
}  // namespace hms

#endif  // HMS_HMS_HPP
