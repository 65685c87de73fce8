// How blocks are cut: blocked, interleaved, and by a program's partitioner.
#include <cstring>
#include <numeric>

#include "openmp/mapping.h"
#include "openmp/partitioner.h"
#include "runtime/support/os.h"
#include "tests/unit/openmp/openmp_test_support.h"

namespace hms::omp {
namespace {

constexpr size_t kPage = os::kPageSize;

size_t sum(const std::vector<Part>& parts) {
  return std::accumulate(parts.begin(), parts.end(), size_t{0},
                         [](size_t all, const Part& part) { return all + part.bytes; });
}

TEST(Parts, BlockedIsAboutEqual) {
  for (size_t size : {size_t{1}, kPage, kPage + 1, 101 * kPage - 7, size_t{1} << 30}) {
    for (size_t resources = 1; resources <= 7; ++resources) {
      std::vector<Part> parts = blocked_parts(size, resources);
      ASSERT_FALSE(parts.empty());
      EXPECT_LE(parts.size(), resources);
      EXPECT_EQ(sum(parts), size);
      for (size_t i = 0; i < parts.size(); ++i) {
        EXPECT_EQ(parts[i].resource, i);
        if (i + 1 < parts.size()) {
          EXPECT_EQ(parts[i].bytes % kPage, 0U);
        }
      }
    }
  }
}

TEST(Parts, InterleavedTakesTurnsInAtMostSomeThousandParts) {
  for (size_t size : {size_t{100}, 10 * kPage + 5, size_t{1} << 34}) {
    std::vector<Part> parts = interleaved_parts(size, 2 * kPage, 3);
    EXPECT_EQ(sum(parts), size);
    EXPECT_LE(parts.size(), 4096U);
    for (size_t i = 0; i < parts.size(); ++i) {
      EXPECT_EQ(parts[i].resource, i % 3);
      if (i + 1 < parts.size()) {
        EXPECT_EQ(parts[i].bytes % (2 * kPage), 0U);
      }
    }
  }
}

class Partitioners : public testing::OpenMp {};

size_t first_part, wrong_by;
void two_parts(Handle, size_t size, uintptr_t, Mempartition* p) {
  init_partition(p, 2, nullptr);
  set_part(p, 0, 1, first_part);
  set_part(p, 1, 0, size - first_part + wrong_by);
}
void end_partition(Mempartition* p) { destroy_partition(p); }

TEST_F(Partitioners, MustBeInitialized) {
  uintptr_t object = 0;
  const auto address = reinterpret_cast<uintptr_t>(&object);
  EXPECT_FALSE(init_partitioner(&object, 0, two_parts, end_partition));
  EXPECT_FALSE(init_partitioner(&object, 4, two_parts, end_partition));
  EXPECT_FALSE(init_partitioner(&object, 1, nullptr, end_partition));
  EXPECT_FALSE(is_partitioner(address));
  EXPECT_FALSE(destroy_partitioner(&object));
  EXPECT_TRUE(init_partitioner(&object, 1, two_parts, end_partition));
  EXPECT_TRUE(is_partitioner(address));
  EXPECT_TRUE(destroy_partitioner(&object));
  EXPECT_FALSE(is_partitioner(address));
}

TEST_F(Partitioners, SayWhereTheirPartsAre) {
  uintptr_t object = 0;
  ASSERT_TRUE(init_partitioner(&object, 3, two_parts, end_partition));
  const Space* space = space_named("fast>slow").value();
  Traits traits;
  traits.partition = Partition::kPartitioner;
  traits.partitioner = reinterpret_cast<uintptr_t>(&object);
  traits.fallback = Fallback::kNull;
  auto made = make_allocator(*space, traits, false);
  ASSERT_TRUE(made.ok()) << made.status().message();
  Allocator* a = made.value();
  first_part = 2 * kPage;
  wrong_by = 0;
  std::vector<Part> parts = ask_partitioner(traits.partitioner, a->handle, *space, 5 * kPage, 0);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].resource, 1U);
  EXPECT_EQ(parts[1].bytes, 3 * kPage);
  for (size_t wrong : {size_t{1}, kPage}) {  // the sum does not fit the request
    wrong_by = wrong;
    EXPECT_TRUE(ask_partitioner(traits.partitioner, a->handle, *space, 5 * kPage, 0).empty());
    EXPECT_EQ(testing::get(a->handle, 5 * kPage), nullptr);
  }
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
  EXPECT_TRUE(destroy_partitioner(&object));
}

TEST_F(Partitioners, NothingOutsideTheirProcedures) {
  EXPECT_FALSE(init_partition(nullptr, 1, nullptr));
  EXPECT_FALSE(set_part(nullptr, 0, 0, kPage));
  EXPECT_FALSE(destroy_partition(nullptr));
  EXPECT_EQ(partition_user_data(nullptr), nullptr);
}

}  // namespace
}  // namespace hms::omp
