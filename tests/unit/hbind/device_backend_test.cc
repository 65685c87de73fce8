// A device back end, as one for a GPU would be: it proves that the interface fits memory that a CPU
// cannot touch. This one keeps the pages that "went to the device" in a set and takes them away
// from the CPU with PROT_NONE, as a driver with shared virtual memory would until the CPU faults on
// them.
#include <map>
#include <string>

#include "tests/unit/hbind/fixture.h"

namespace hms::hbind {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture of these tests

class FakeDevice final : public Backend {
 public:
  FakeDevice(std::string key, uint64_t pages, bool takes_cpu_ranges)
      : key_(std::move(key)), capacity_(pages), takes_cpu_ranges_(takes_cpu_ranges) {}

  uint32_t version() const override { return version_; }
  const char* name() const override { return "fake device"; }
  bool charges() const override { return false; }
  bool serves(const topology::Target& target) const override { return target.key == key_; }

  hms_status supports(Operation, const BoundTarget&) const override {
    return takes_cpu_ranges_ ? HMS_OK : HMS_ENOSYS;
  }
  uint64_t room(const BoundTarget&, const RoomRequest&) override {
    return (capacity_ - on_device_.size() - advised_) * os::kPageSize;
  }
  hms_status bind(PageSpan span, const BoundTarget&) override {
    if (refuse_) return HMS_EPERM;
    advised_ += span.pages();
    ++binds_;
    return HMS_OK;
  }
  hms_status unbind(PageSpan span, const BoundTarget&) override {
    advised_ -= span.pages();
    return HMS_OK;
  }
  void forgotten(PageSpan span, const BoundTarget&) override {
    advised_ -= span.pages();
    for (Page page = span.begin; page < span.end; ++page) on_device_.erase(page);
  }
  void held(const Batch& batch, const BoundTarget&, bool* held) override {
    for (size_t i = 0; i < batch.count; ++i) {
      if (on_device_.count(batch.pages[i])) held[i] = true;
    }
  }
  hms_status move(const Batch& batch, const BoundTarget&, bool* done) override {
    for (size_t i = 0; i < batch.count; ++i) {
      if (on_device_.size() + advised_ >= capacity_) return HMS_ENOMEM;
      // The contents go to the device; to the kernel the page is absent from here on.
      PageSpan one{batch.pages[i], batch.pages[i] + 1};
      std::string contents(static_cast<char*>(one.address()), os::kPageSize);
      if (os::discard(one.address(), one.bytes()) < 0) return HMS_EIO;
      on_device_[one.begin] = contents;
      done[i] = true;
    }
    return HMS_OK;
  }

  uint32_t version_ = kBackendVersion;
  bool refuse_ = false;
  uint64_t advised_ = 0;
  int binds_ = 0;
  std::map<Page, std::string> on_device_;

 private:
  std::string key_;
  uint64_t capacity_;
  bool takes_cpu_ranges_;
};

const char kKey[] = "pci:0000:41:00.0/vram";

class DeviceTest : public ::testing::Test {
 protected:
  DeviceTest()
      : topology_(make_topology(
            {node_target(0), device_target(kKey), device_target("pci:0000:42:00.0/vram")})),
        device_id_(id_of(topology_, kKey)),
        node_id_(id_of(topology_, "node:0")) {}

  FakeDevice* plug(uint64_t pages, bool takes_cpu_ranges) {
    auto device = std::make_unique<FakeDevice>(kKey, pages, takes_cpu_ranges);
    FakeDevice* raw = device.get();
    EXPECT_TRUE(engine_.add_backend(std::move(device)));
    return raw;
  }

  hms_status run(hms_op_code code, const Memory& m, std::vector<hms_id> targets,
                 unsigned flags = 0) {
    hms_op op = make_op(code, m.page(0), m.bytes(), targets, flags);
    moved_.assign(targets.size(), hms_moved{});
    op.moved = moved_.data();
    Status status = engine_.submit(topology_.snapshot.get(), {&op});
    message_ = status.message();
    last_ = op;
    return status.code();
  }

  Residency where(const Memory& m) {
    return engine_.residency(*topology_.snapshot, m.span()).value();
  }

  Engine engine_;
  hms_topology topology_;
  hms_id device_id_, node_id_;
  std::vector<hms_moved> moved_;
  std::string message_;
  hms_op last_ = {};
};

TEST_F(DeviceTest, WithoutABackEndTheAnswerIsDefined) {
  Memory m(8);
  EXPECT_EQ(run(HMS_OP_BIND, m, {device_id_}), HMS_ENOSYS);
  EXPECT_NE(message_.find(kKey), std::string::npos) << message_;
  EXPECT_NE(message_.find("back end"), std::string::npos) << message_;
  EXPECT_EQ(run(HMS_OP_MIGRATE, m, {device_id_}), HMS_ENOSYS);
  EXPECT_EQ(run(HMS_OP_BIND, m, {device_id_, node_id_}, HMS_STRICT), HMS_ENOSYS);
  EXPECT_EQ(run(HMS_OP_BIND, m, {device_id_, node_id_}), HMS_OK) << message_;
  EXPECT_EQ(last_.targets_skipped, 1u);
}

TEST_F(DeviceTest, ADeviceThatTakesNoCpuRangesSaysSo) {
  FakeDevice* device = plug(100, false);
  Memory m(8);
  m.touch(0, 8);
  EXPECT_EQ(run(HMS_OP_BIND, m, {device_id_}), HMS_ENOSYS);
  EXPECT_EQ(run(HMS_OP_MIGRATE, m, {device_id_}), HMS_ENOSYS);
  EXPECT_EQ(run(HMS_OP_MIGRATE, m, {device_id_, node_id_}), HMS_OK);
  EXPECT_EQ(last_.targets_skipped, 1u);
  EXPECT_EQ(device->binds_, 0);
  EXPECT_TRUE(device->on_device_.empty());
}

TEST_F(DeviceTest, PagesOnADeviceAreFoundThereAndNotCalledAbsent) {
  FakeDevice* device = plug(6, true);
  Memory m(16);
  m.touch(0, 10);
  ASSERT_EQ(run(HMS_OP_MIGRATE, m, {device_id_, node_id_}), HMS_OK) << message_;
  EXPECT_EQ(moved_[0].pages, 6u);
  EXPECT_EQ(moved_[1].pages, 0u) << "the rest is on the node already";
  EXPECT_EQ(last_.pages_present, 10u);
  EXPECT_EQ(device->on_device_[m.span().begin + 5][0], 5);
  Residency r = where(m);
  EXPECT_EQ(r.absent, 6u);
  EXPECT_EQ(r.elsewhere, 0u);
  ASSERT_EQ(r.on.size(), 2u);
  for (const hms_moved& on : r.on) EXPECT_EQ(on.pages, on.target == device_id_ ? 6u : 4u);
  // Again: they are there, none of them is counted as moved, none as failed.
  ASSERT_EQ(run(HMS_OP_MIGRATE, m, {device_id_, node_id_}), HMS_OK) << message_;
  EXPECT_EQ(moved_[0].pages, 0u);
  EXPECT_EQ(last_.pages_present, 10u);
}

TEST_F(DeviceTest, AnOrderedListRunsFromDeviceToNode) {
  FakeDevice* device = plug(6, true);
  Memory m(16);
  ASSERT_EQ(run(HMS_OP_BIND, m, {device_id_, node_id_}), HMS_OK) << message_;
  EXPECT_EQ(device->advised_, 6u);
  ASSERT_EQ(engine_.query(m.span()).size(), 1u);
  // Binding it elsewhere, or unbinding, lets the device go.
  ASSERT_EQ(run(HMS_OP_BIND, m, {node_id_}), HMS_OK);
  EXPECT_EQ(device->advised_, 0u);
  ASSERT_EQ(run(HMS_OP_BIND, m, {device_id_, node_id_}), HMS_OK);
  EXPECT_EQ(device->advised_, 6u);
  ASSERT_EQ(run(HMS_OP_UNBIND, m, {}), HMS_OK) << message_;
  EXPECT_EQ(device->advised_, 0u);
  EXPECT_TRUE(engine_.query(m.span()).empty());
}

TEST_F(DeviceTest, UnmappingAndRemappingReachTheDriversRecords) {
  FakeDevice* device = plug(12, true);
  Memory m(8), to(8);
  ASSERT_EQ(run(HMS_OP_BIND, m, {device_id_}), HMS_OK);
  void* out = nullptr;
  ASSERT_EQ(engine_.remap(m.page(0), m.bytes(), m.bytes(), MREMAP_MAYMOVE | MREMAP_FIXED,
                          to.page(0), &out),
            0);
  m.forget(0, 8);
  EXPECT_EQ(device->advised_, 8u);
  EXPECT_EQ(device->binds_, 2) << "the driver has to hear of the new address";
  EXPECT_EQ(engine_.query(to.span()).size(), 1u);
  ASSERT_EQ(engine_.unmap(to.page(0), 3 * os::kPageSize), 0);
  to.forget(0, 3);
  EXPECT_EQ(device->advised_, 5u);
  // Unmapped behind our back: noticed at the next look.
  ASSERT_EQ(munmap(to.page(3), 2 * os::kPageSize), 0);
  to.forget(3, 2);
  EXPECT_EQ(engine_.query(to.span()).size(), 1u);
  EXPECT_EQ(device->advised_, 3u);
}

TEST_F(DeviceTest, StrictCountsTheRoomOfTheDevice) {
  plug(6, true);
  Memory m(16);
  EXPECT_EQ(run(HMS_OP_BIND, m, {device_id_}, HMS_STRICT), HMS_ENOMEM);
  EXPECT_TRUE(engine_.query(m.span()).empty());
}

TEST_F(DeviceTest, ARefusalByTheDriverLeavesThePolicyAsItWas) {
  FakeDevice* device = plug(6, true);
  Memory m(16);
  ASSERT_EQ(run(HMS_OP_BIND, m, {node_id_}), HMS_OK);
  device->refuse_ = true;
  EXPECT_EQ(run(HMS_OP_BIND, m, {device_id_}), HMS_EPERM);
  auto pieces = engine_.query(m.span());
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].value.policy->ids, std::vector<hms_id>{node_id_});
}

TEST_F(DeviceTest, AnotherVersionOfTheInterfaceIsRefused) {
  auto device = std::make_unique<FakeDevice>(kKey, 1, true);
  device->version_ = kBackendVersion + 1;
  EXPECT_FALSE(engine_.add_backend(std::move(device)));
}

TEST_F(DeviceTest, AnEmulatedDeviceMemoryRefusesCpuRangesLikeARealOne) {
  topology::Target vram = logical_target("vram", 100);
  vram.capabilities = vram.must_understand = HMS_CAP_NOT_CPU_ACCESSIBLE;
  hms_topology topology = make_topology({vram});
  Memory m(8);
  std::vector<hms_id> list{id_of(topology, "tier:vram")};
  hms_op op = make_op(HMS_OP_BIND, m.page(0), m.bytes(), list);
  EXPECT_EQ(engine_.submit(topology.snapshot.get(), {&op}).code(), HMS_ENOSYS);
}

}  // namespace
}  // namespace hms::hbind
