// hms.hpp over the C interface. Sees nothing but the public headers.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <hms/hms.hpp>

#include <array>
#include <string>
#include <type_traits>
#include <vector>

namespace {

constexpr std::size_t kPage = 4096;

static_assert(!std::is_copy_constructible_v<hms::Topology>);
static_assert(std::is_nothrow_move_constructible_v<hms::Topology>);
static_assert(std::is_trivially_copyable_v<hms::Placement>);
static_assert(std::is_trivially_copyable_v<hms::Range>);
static_assert(!std::allocator_traits<hms::Allocator<int>>::is_always_equal::value);

class Pages {
 public:
  explicit Pages(std::size_t count) : bytes_(count * kPage) {
    address_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(address_, MAP_FAILED);
    madvise(address_, bytes_, MADV_NOHUGEPAGE);
  }
  ~Pages() { munmap(address_, bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  hms::Range range() const { return {address_, bytes_}; }
  hms::Range part(std::size_t first, std::size_t count) const {
    return {static_cast<char*>(address_) + first * kPage, count * kPage};
  }
  void touch() const {
    for (std::size_t at = 0; at < bytes_; at += kPage) static_cast<char*>(address_)[at] = 1;
  }

 private:
  void* address_;
  std::size_t bytes_;
};

// The names differ from test to test: charges belong to the process, by name.
class CppApiTest : public ::testing::Test {
 protected:
  static std::string name(const std::string& tier) {
    return ::testing::UnitTest::GetInstance()->current_test_info()->name() + tier;
  }
  CppApiTest() : topology_("tiers:" + name("A") + "=64K," + name("B") + "=64M") {
    a_ = topology_.at(name("A"));
    b_ = topology_.at(name("B"));
  }

  hms::Topology topology_;
  hms_id a_ = 0, b_ = 0;
};

TEST(CppTopology, ConstructorsThrowWithTheLibrarysMessage) {
  try {
    hms::Topology topology("tears:nonsense");
    FAIL() << "no exception";
  } catch (const hms::Error& error) {
    EXPECT_EQ(error.status(), HMS_EINVAL);
    EXPECT_NE(std::string(error.what()).find("tears:nonsense"), std::string::npos) << error.what();
  }
}

TEST_F(CppApiTest, TopologyMovesAndAnswers) {
  hms::Topology moved = std::move(topology_);
  EXPECT_TRUE(moved.contains(name("A")));
  EXPECT_FALSE(moved.contains("no such thing"));
  EXPECT_THROW(moved.at("no such thing"), hms::Error);
  hms_target_info info = moved.target(a_);
  EXPECT_EQ(info.id, a_);
  EXPECT_EQ(info.bytes, 65536u);
  EXPECT_TRUE(info.emulated);
  EXPECT_THROW(moved.initiator(a_), hms::Error);
  EXPECT_FALSE(moved.initiators().empty());
  EXPECT_TRUE(moved.cost(moved.initiators()[0], a_).reachable);
  topology_ = std::move(moved);
  EXPECT_TRUE(topology_.contains(name("B")));
}

TEST_F(CppApiTest, QueryFindsTheTargetsInOrder) {
  hms::Query by_capacity;
  by_capacity.by = HMS_BY_CAPACITY;
  by_capacity.min_bytes = std::uint64_t{1} << 20;
  std::vector<hms_id> found = by_capacity.find(topology_);
  ASSERT_FALSE(found.empty());
  for (hms_id id : found) EXPECT_NE(id, a_) << "smaller than asked for";
  hms::Query impossible;
  impossible.min_bytes = UINT64_MAX;
  EXPECT_TRUE(impossible.find(topology_).empty());
}

TEST_F(CppApiTest, RangesBindMigrateAndTell) {
  Pages pages(20);
  pages.range().bind(topology_, {a_, b_});
  pages.touch();
  hms::Residency where = pages.range().residency(topology_);
  ASSERT_EQ(where.on.size(), 2u);
  EXPECT_EQ(where.on[0].pages + where.on[1].pages, 20u);
  EXPECT_EQ(where.absent, 0u);
  hms::Migration up = pages.part(16, 4).migrate(topology_, {a_});
  EXPECT_FALSE(up.complete());
  EXPECT_EQ(up.pages_failed, 4u);
  hms::Migration down = pages.range().migrate(topology_, {b_});
  EXPECT_TRUE(down.complete());
  EXPECT_EQ(down.moved[0].pages, 16u);
  std::vector<hms_piece> pieces = pages.range().pieces();
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].target_count, 2u);
  pages.range().unbind();
  EXPECT_TRUE(pages.range().pieces().empty());
}

TEST_F(CppApiTest, RangesThrowWithAStatus) {
  Pages pages(20);
  try {
    pages.range().bind(topology_, {a_}, hms::Strictness::kStrict);
    FAIL() << "no exception";
  } catch (const hms::Error& error) {
    EXPECT_EQ(error.status(), HMS_ENOMEM);
  }
  EXPECT_THROW(hms::Range(static_cast<char*>(pages.range().address) + 1, 1).unbind(), hms::Error);
}

TEST(CppRange, TakesTheWholePagesOfAContainer) {
  std::vector<char> buffer(5 * kPage);
  hms::Range range = hms::Range::pages_of(buffer);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(range.address) % kPage, 0u);
  EXPECT_GE(range.length, 4 * kPage);
  EXPECT_LE(range.length, 5 * kPage);
  std::array<int, 4> small{};
  EXPECT_EQ(hms::Range::pages_of(small).length, 0u);
}

TEST_F(CppApiTest, ABatchIsValidatedAsAWhole) {
  Pages pages(20);
  hms::Batch good;
  good.bind(pages.part(0, 10), {a_}).bind(pages.part(10, 10), {b_}).unbind(pages.part(0, 2));
  ASSERT_EQ(good.submit(topology_), HMS_OK) << hms_last_error();
  EXPECT_EQ(pages.range().pieces().size(), 2u);
  hms::Batch bad;
  bad.unbind(pages.range()).bind(pages.range(), {});
  EXPECT_EQ(bad.submit(topology_), HMS_EINVAL);
  EXPECT_EQ(bad.ops()[0].status, HMS_ECANCELED);
  EXPECT_EQ(pages.range().pieces().size(), 2u) << "the unbind must not have run";
}

}  // namespace
