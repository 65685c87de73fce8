// What people write: OMP_ALLOCATOR in all syntaxes, HMS_OMP_SPACES, names of spaces.
#include "tests/unit/openmp/openmp_test_support.h"

namespace hms::omp {
namespace {

class Words : public testing::OpenMp {};
class SpaceNames : public testing::OpenMp {};

Allocator* from(const std::string& text) {
  auto made = allocator_from_words(text);
  EXPECT_TRUE(made.ok()) << text << ": " << made.status().message();
  return made.ok() ? find_allocator(made.value()) : nullptr;
}

std::string refused(const std::string& text) {
  auto made = allocator_from_words(text);
  EXPECT_FALSE(made.ok()) << text;
  return made.ok() ? "" : made.status().message();
}

TEST_F(Words, NamesOfAllocators) {
  EXPECT_EQ(allocator_from_words("omp_default_mem_alloc").value(), kDefaultAlloc);
  EXPECT_EQ(allocator_from_words("omp_thread_mem_alloc").value(), kThreadAlloc);
  EXPECT_EQ(allocator_from_words(" \tOMP_Large_Cap_Mem_Alloc ").value(), kLargeCapAlloc);
}

TEST_F(Words, ASpaceAloneIsItsPredefinedAllocator) {
  EXPECT_EQ(allocator_from_words("omp_low_lat_mem_space").value(), kLowLatAlloc);
  EXPECT_EQ(allocator_from_words("high_bw").value(), kHighBwAlloc);
}

TEST_F(Words, ASpaceWithTraits) {
  Allocator* a = from(
      "omp_high_bw_mem_space: alignment=4096 ,pool_size=100000,fallback=null_fb,"
      "access=thread,sync_hint=sequential,partition=nearest,pinned=false");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->space->handle, kHighBwSpace);
  EXPECT_EQ(a->traits.alignment, 4096U);
  EXPECT_EQ(a->traits.pool_size, 100000U);
  EXPECT_EQ(a->traits.fallback, Fallback::kNull);
  EXPECT_EQ(a->traits.access, Access::kThread);
  EXPECT_EQ(a->traits.partition, Partition::kNearest);
  EXPECT_FALSE(a->traits.contended);
  EXPECT_FALSE(a->traits.pinned);
}

TEST_F(Words, AFallbackAllocatorByName) {
  Allocator* a = from("large_cap:fallback=allocator_fb,fb_data=omp_low_lat_mem_alloc");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->traits.fb_data, kLowLatAlloc);
}

// Targets have colons in their names: the last one before the first '=' ends the space.
TEST_F(Words, ASpaceBySpecification) {
  Allocator* a = from("tier:slow>tier:fast:pool_size=4096");
  ASSERT_NE(a, nullptr);
  ASSERT_EQ(a->space->resources.size(), 2U);
  EXPECT_EQ(a->space->resources[0].key, "tier:slow");
  EXPECT_EQ(a->traits.pool_size, 4096U);
}

TEST_F(Words, WhatIsWrongIsSaid) {
  EXPECT_NE(refused("").find("no allocator and no memory space"), std::string::npos);
  EXPECT_NE(refused("omp_fast_mem_alloc").find("omp_fast_mem_alloc"), std::string::npos);
  EXPECT_NE(refused("alignment=64").find("SPACE:TRAIT=VALUE"), std::string::npos);
  EXPECT_NE(refused("high_bw:colour=red").find("'colour' is no allocator trait"),
            std::string::npos);
  EXPECT_NE(refused("high_bw:fallback=maybe").find("null_fb"), std::string::npos);
  EXPECT_NE(refused("high_bw:alignment=64,alignment=64").find("given twice"), std::string::npos);
  EXPECT_NE(refused("high_bw:alignment=64,").find("is not TRAIT=VALUE"), std::string::npos);
  EXPECT_NE(refused("high_bw:pool_size=-1").find("whole number"), std::string::npos);
  EXPECT_NE(refused("high_bw:pool_size=99999999999999999999").find("whole number"),
            std::string::npos);
  EXPECT_NE(refused("high_bw:alignment=3").find("power of two"), std::string::npos);
  EXPECT_NE(refused("high_bw:fallback=allocator_fb").find("fb_data"), std::string::npos);
}

TEST_F(SpaceNames, PredefinedOnesInEverySpelling) {
  Handle handle = 99;
  EXPECT_TRUE(predefined_space("OMP_HIGH_BW_MEM_SPACE", &handle));
  EXPECT_EQ(handle, kHighBwSpace);
  EXPECT_TRUE(predefined_space("large_cap", &handle));
  EXPECT_EQ(handle, kLargeCapSpace);
  EXPECT_FALSE(predefined_space("high_bw_mem_alloc", &handle));
  EXPECT_EQ(find_space(kDefaultSpaceOfLlvm21), find_space(kDefaultSpace));
  EXPECT_EQ(find_space(77), nullptr);
  EXPECT_EQ(find_space(UINTPTR_MAX), nullptr);
}

TEST_F(SpaceNames, TiersAreTheMachine) {
  EXPECT_EQ(find_space(kHighBwSpace)->resources.at(0).key, "tier:fast");
  EXPECT_EQ(find_space(kLargeCapSpace)->resources.at(0).key, "tier:slow");
  EXPECT_FALSE(find_space(kHighBwSpace)->kernel_chosen);
}

TEST_F(SpaceNames, OfTheEnvironment) {
  setenv("HMS_OMP_SPACES",
         " scratch = slow>fast ,mixed=fast*3+slow, high_bw=slow,9x=fast,noequals, ,empty=", 1);
  forget_spaces();
  auto scratch = space_named("scratch");
  ASSERT_TRUE(scratch.ok()) << scratch.status().message();
  EXPECT_EQ(scratch.value()->resources.at(0).key, "tier:slow");
  EXPECT_EQ(space_named("scratch").value(), scratch.value());
  EXPECT_EQ(find_space(scratch.value()->handle), scratch.value());
  auto mixed = space_named("mixed");
  ASSERT_TRUE(mixed.ok()) << mixed.status().message();
  EXPECT_TRUE(mixed.value()->interleaved);
  EXPECT_EQ(mixed.value()->weights, (std::vector<uint32_t>{3, 1}));
  EXPECT_EQ(find_space(kHighBwSpace)->resources.at(0).key, "tier:slow");
  for (const char* wrong : {"9x", "noequals", "empty", "nowhere", "fast:2,slow:1"}) {
    EXPECT_FALSE(space_named(wrong).ok()) << wrong;
  }
}

TEST_F(SpaceNames, AWrongNameIsAnsweredWithThoseThereAre) {
  EXPECT_TRUE(define_space("scratch", "slow").ok());
  EXPECT_TRUE(define_space("other", "fast").ok());
  const Status s = space_named("Scratch").status();
  EXPECT_NE(s.message().find("'Scratch' is no target"), std::string::npos) << s.message();
  EXPECT_NE(s.message().find("defined memory spaces: other, scratch"), std::string::npos);
}

TEST_F(SpaceNames, DefinitionsComeBeforeTheFirstUse) {
  EXPECT_TRUE(define_space("mine", "fast").ok());
  EXPECT_TRUE(define_space("mine", "slow").ok());  // not used yet
  EXPECT_EQ(space_named("mine").value()->resources.at(0).key, "tier:slow");
  EXPECT_FALSE(define_space("mine", "fast").ok());
  EXPECT_FALSE(define_space("", "fast").ok());
  EXPECT_FALSE(define_space("a b", "fast").ok());
  EXPECT_FALSE(define_space("fine", "").ok());
  find_space(kLowLatSpace);
  EXPECT_FALSE(define_space("omp_low_lat_mem_space", "slow").ok());
}

TEST_F(SpaceNames, PartsOfASpace) {
  const Space* both = space_named("fast>slow").value();
  const int second[] = {1};
  const int all[] = {0, 1};
  const int twice[] = {1, 1};
  const int outside[] = {2};
  const int negative[] = {-1};
  const Space* part = subspace(*both, second, 1);
  ASSERT_NE(part, nullptr);
  EXPECT_EQ(part->resources.at(0).key, "tier:slow");
  EXPECT_EQ(subspace(*both, second, 1), part);
  EXPECT_EQ(subspace(*both, all, 2), both);
  EXPECT_EQ(subspace(*both, twice, 2), nullptr);
  EXPECT_EQ(subspace(*both, outside, 1), nullptr);
  EXPECT_EQ(subspace(*both, negative, 1), nullptr);
  EXPECT_EQ(subspace(*both, all, 0), nullptr);
  EXPECT_EQ(subspace(*both, nullptr, 1), nullptr);
}

}  // namespace
}  // namespace hms::omp
