// hms.hpp's allocation side: placements, the polymorphic memory resource, the
// STL allocator. Sees nothing but the public headers.
#include <gtest/gtest.h>
#include <string.h>
#include <hms/hms.hpp>

#include <list>
#include <map>
#include <memory_resource>
#include <string>
#include <thread>
#include <vector>

namespace {

// Two logical memories over whatever node there is.
class CppAllocTest : public ::testing::Test {
 protected:
  hms::Topology topology_{"tiers:quick=256M,roomy=512M"};
  hms::Placement quick_{topology_, "quick"};
  hms::Placement roomy_{topology_, std::vector<hms_id>{topology_.at("roomy")}};
  std::string quick_key_ = topology_.target(topology_.at("quick")).key;
  std::string roomy_key_ = topology_.target(topology_.at("roomy")).key;
};

TEST_F(CppAllocTest, PlacementsAreValues) {
  hms::Placement again(topology_, "quick");
  EXPECT_TRUE(again == quick_);
  EXPECT_TRUE(quick_ != roomy_);
  EXPECT_EQ(hms::Placement().handle(), nullptr);
  try {
    hms::Placement wrong(topology_, "quick>nosuch");
    FAIL() << "no exception";
  } catch (const hms::Error& error) {
    EXPECT_NE(std::string(error.what()).find("nosuch"), std::string::npos) << error.what();
  }
}

// Without tiering a hint is the default placement; tests/unit/classes has the rest.
TEST_F(CppAllocTest, HintsArePlacements) {
  hms::Placement cold(hms::Heat::kCold, hms::Life::kLong);
  EXPECT_TRUE(cold == hms::Placement(hms::Heat::kCold, hms::Life::kLong));
  EXPECT_TRUE(cold != hms::Placement(hms::Heat::kCold));
  std::vector<int, hms::Allocator<int>> numbers(1000, 42, cold);
  EXPECT_STREQ(hms_target_of(numbers.data()), "default");
  try {
    hms::Placement wrong(static_cast<hms::Heat>(9));
    FAIL() << "no exception";
  } catch (const hms::Error& error) {
    EXPECT_NE(std::string(error.what()).find("9 is no hms_heat"), std::string::npos);
  }
}

TEST_F(CppAllocTest, MemoryComesFromThePlacementAlignedAsAsked) {
  for (std::size_t alignment : {std::size_t{8}, std::size_t{64}, std::size_t{4096}}) {
    void* block = quick_.allocate(100, alignment);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0u);
    EXPECT_EQ(hms_target_of(block), quick_key_);
    memset(block, 1, 100);
    hms::Placement::deallocate(block);
  }
}

TEST_F(CppAllocTest, AStrictPlacementWithoutRoomThrows) {
  hms::Topology topology("tiers:tiny=4M,more=64M");
  hms::Placement tiny(topology, {topology.at("tiny")}, hms::Strictness::kStrict);
  EXPECT_THROW(tiny.allocate(std::size_t{64} << 20), std::bad_alloc);
}

TEST_F(CppAllocTest, PolymorphicContainersLiveOnTheirPlacement) {
  hms::MemoryResource quick(quick_), same(quick_), roomy(roomy_);
  EXPECT_TRUE(quick == same);
  EXPECT_FALSE(quick == roomy);
  EXPECT_FALSE(quick == *std::pmr::new_delete_resource());
  std::pmr::vector<std::pmr::string> words(&quick);
  for (int i = 0; i < 1000; ++i)
    words.emplace_back(std::string(100, static_cast<char>('a' + i % 26)));
  EXPECT_EQ(hms_target_of(words.data()), quick_key_);
  EXPECT_EQ(hms_target_of(words[999].data()), quick_key_) << "strings within follow the vector";
  std::pmr::vector<std::pmr::string> other(&roomy);
  other = std::move(words);
  EXPECT_EQ(hms_target_of(other.data()), roomy_key_) << "a move keeps the receiver's placement";
  EXPECT_EQ(other.size(), 1000u);
  EXPECT_EQ(other[27][0], 'b');
}

TEST_F(CppAllocTest, StlContainersLiveOnTheirPlacement) {
  std::vector<int, hms::Allocator<int>> numbers(quick_);
  for (int i = 0; i < 10000; ++i) numbers.push_back(i);
  EXPECT_EQ(hms_target_of(numbers.data()), quick_key_);
  std::map<int, int, std::less<>, hms::Allocator<std::pair<const int, int>>> squares(roomy_);
  for (int i = 0; i < 1000; ++i) squares[i] = i * i;
  EXPECT_EQ(hms_target_of(&squares.at(500)), roomy_key_);
  std::list<int, hms::Allocator<int>> list({1, 2, 3}, roomy_);
  EXPECT_EQ(hms_target_of(&list.front()), roomy_key_);
}

TEST_F(CppAllocTest, CopyMoveAndSwapPropagateAsSaid) {
  using Vector = std::vector<int, hms::Allocator<int>>;
  Vector quick(100, 1, quick_), roomy(100, 2, roomy_);
  Vector copy = quick;
  EXPECT_EQ(hms_target_of(copy.data()), quick_key_);
  copy = roomy;
  EXPECT_EQ(hms_target_of(copy.data()), quick_key_) << "copy assignment keeps the placement";
  EXPECT_EQ(copy[0], 2);
  copy = std::move(roomy);
  EXPECT_EQ(hms_target_of(copy.data()), quick_key_) << "move assignment keeps the placement";
  Vector first(100, 1, quick_), second(100, 2, roomy_);
  first.swap(second);
  EXPECT_EQ(hms_target_of(first.data()), roomy_key_) << "swap exchanges it";
  EXPECT_EQ(first[0], 2);
}

TEST_F(CppAllocTest, AbsurdCountsAreRefused) {
  hms::Allocator<long> allocator(quick_);
  EXPECT_THROW(allocator.allocate(static_cast<std::size_t>(-1) / 4), std::bad_alloc);
}

TEST_F(CppAllocTest, ThreadsShareAResource) {
  hms::MemoryResource resource(quick_);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&resource, t] {
      for (int round = 0; round < 50; ++round) {
        std::pmr::vector<int> v(&resource);
        for (int i = 0; i < 500; ++i) v.push_back(i * t);
        EXPECT_EQ(v[499], 499 * t);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
