// Trait arrays as programs pass them: defaults, each value, each way to get one wrong.
#include "tests/unit/openmp/openmp_test_support.h"

namespace hms::omp {
namespace {

using testing::checked;

TEST(TraitArrays, NothingGivenIsTheDefaults) {
  auto traits = checked({});
  ASSERT_TRUE(traits.ok());
  EXPECT_EQ(traits.value().fallback, Fallback::kDefaultMem);
  EXPECT_EQ(traits.value().alignment, 1U);
  EXPECT_EQ(traits.value().pool_size, UINT64_MAX);
  EXPECT_EQ(traits.value().access, Access::kAll);
  EXPECT_TRUE(traits.value().contended);
  EXPECT_TRUE(parse_traits(nullptr, 0, 0).ok());
}

TEST(TraitArrays, ArraysThatCannotBe) {
  EXPECT_FALSE(parse_traits(nullptr, 1, 0).ok());
  const Trait one = {kAlignment, 64};
  EXPECT_FALSE(parse_traits(&one, -1, 0).ok());
}

TEST(TraitArrays, ValuesOfEachTrait) {
  auto traits = checked({{kSyncHint, kPrivate},
                         {kAlignment, 4096},
                         {kAccess, kPteam},
                         {kPoolSize, 0},
                         {kFallback, kAbortFb},
                         {kPinned, kTrue},
                         {kPartition, kInterleaved},
                         {kPinDevice, 0},
                         {kPreferredDevice, UINTPTR_MAX},
                         {kDeviceAccess, 5},
                         {kTargetAccess, kMultiple},
                         {kAtomicScope, kAll},
                         {kPartSize, 65536}});
  ASSERT_TRUE(traits.ok()) << traits.status().message();
  EXPECT_FALSE(traits.value().contended);
  EXPECT_EQ(traits.value().access, Access::kPteam);
  EXPECT_EQ(traits.value().pool_size, 0U);
  EXPECT_EQ(traits.value().fallback, Fallback::kAbort);
  EXPECT_TRUE(traits.value().pinned);
  EXPECT_EQ(traits.value().partition, Partition::kInterleaved);
  EXPECT_EQ(traits.value().part_size, 65536U);
}

// 7 was `all` before 6.0 and is `device` since; 19 is `all`, 22 `memspace`.
TEST(TraitArrays, EveryHeadersNumberForAll) {
  for (uintptr_t all : {7, 19, 22}) {
    auto traits = checked({{kAccess, all}});
    ASSERT_TRUE(traits.ok()) << all;
    EXPECT_EQ(traits.value().access, Access::kAll);
  }
}

TEST(TraitArrays, OmpAtvDefaultIsTheDefault) {
  for (int key = kSyncHint; key <= kLastKey; ++key) {
    auto traits = checked({{key, kDefaultValue}});
    EXPECT_TRUE(traits.ok()) << key << ": " << traits.status().message();
  }
}

TEST(TraitArrays, WrongOnesAreNamed) {
  const struct {
    std::vector<Trait> traits;
    const char* says;
  } kWrong[] = {
      {{{0, 1}}, "no such trait"},
      {{{17, 1}}, "no such trait"},
      {{{-1, 1}}, "no such trait"},
      {{{kSyncHint, 2}}, "sync_hint"},
      {{{kAlignment, 0}}, "power of two"},
      {{{kAlignment, 24}}, "power of two"},
      {{{kAlignment, size_t{1} << 31}}, "1 GiB"},
      {{{kAccess, kDefaultMemFb}}, "access"},
      {{{kFallback, kEnvironment}}, "fallback"},
      {{{kPinned, 2}}, "pinned"},
      {{{kPartition, kAllocatorFb}}, "partition"},
      {{{kPinDevice, 3}}, "host device"},
      {{{kPartSize, 0}}, "positive"},
      {{{kAlignment, 64}, {kAlignment, 64}}, "given twice"},
      {{{kFallback, kAllocatorFb}}, "fb_data"},
      {{{kPartition, kByPartitioner}}, "partitioner"},
  };
  for (const auto& wrong : kWrong) {
    auto traits = checked(wrong.traits);
    ASSERT_FALSE(traits.ok()) << wrong.says;
    EXPECT_NE(traits.status().message().find(wrong.says), std::string::npos)
        << traits.status().message();
  }
}

class TraitsOfAllocators : public testing::OpenMp {};

TEST_F(TraitsOfAllocators, HandlesInTraitsMustExist) {
  Traits traits;
  traits.fallback = Fallback::kAllocator;
  traits.fb_data = 123456789;
  EXPECT_FALSE(make_allocator(default_space(), traits, false).ok());
  traits = Traits();
  traits.partition = Partition::kPartitioner;
  traits.partitioner = 4096;
  EXPECT_FALSE(make_allocator(default_space(), traits, false).ok());
}

// Which traits cost a record, and which leave blocks plain.
TEST_F(TraitsOfAllocators, RecordsWhereATraitNeedsThem) {
  const struct {
    std::vector<Trait> traits;
    bool plain;
  } kCases[] = {
      {{}, true},
      {{{kAlignment, 16}}, true},
      {{{kAccess, kThread}, {kSyncHint, kSerialized}}, true},
      {{{kFallback, kNullFb}}, true},
      {{{kPartition, kNearest}}, true},
      {{{kPartition, kInterleaved}}, true},
      {{{kAlignment, 32}}, false},
      {{{kPoolSize, 1 << 20}}, false},
      {{{kFallback, kAbortFb}}, false},
      {{{kFallback, kAllocatorFb}, {kFbData, kHighBwAlloc}}, false},
      {{{kPartition, kInterleaved}, {kPartSize, 65536}}, false},
  };
  for (const auto& c : kCases) {
    Allocator* a = testing::make(c.traits, kHighBwSpace);
    ASSERT_NE(a, nullptr);
    void* small = testing::get(a->handle, 64);
    void* large = testing::get(a->handle, 100000);
    ASSERT_NE(small, nullptr);
    ASSERT_NE(large, nullptr);
    EXPECT_EQ(testing::has_record(small), !c.plain);
    EXPECT_TRUE(testing::has_record(large));
    release(small, a->handle);
    release(large, a->handle);
    EXPECT_TRUE(destroy_allocator(a->handle).ok());
  }
}

}  // namespace
}  // namespace hms::omp
