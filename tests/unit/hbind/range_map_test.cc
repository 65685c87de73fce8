// The range map against a reference that keeps one value per page, and the ends of the address
// space.
#include "runtime/hbind/range_map.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <random>

namespace hms::hbind {
namespace {

using Map = RangeMap<int>;

constexpr Page kPages = 512;
constexpr int kNone = 0;

// The naive reference.
struct Reference {
  std::array<int, kPages> value{};

  void assign(PageSpan span, int v) {
    for (Page p = span.begin; p < span.end; ++p) value[p] = v;
  }

  std::vector<Map::Piece> pieces(PageSpan span) const {
    std::vector<Map::Piece> out;
    for (Page p = span.begin; p < span.end; ++p) {
      if (value[p] == kNone) continue;
      if (!out.empty() && out.back().span.end == p && out.back().value == value[p]) {
        out.back().span.end = p + 1;
      } else {
        out.push_back({PageSpan{p, p + 1}, value[p]});
      }
    }
    return out;
  }
};

void expect_same(const std::vector<Map::Piece>& got, const std::vector<Map::Piece>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].span.begin, want[i].span.begin);
    ASSERT_EQ(got[i].span.end, want[i].span.end);
    ASSERT_EQ(got[i].value, want[i].value);
  }
}

// `base` shifts all of it, so that the same operations run at the end of the address space.
void run_random(uint64_t seed, int operations, Page base) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Map map;
  Reference reference;
  for (int i = 0; i < operations; ++i) {
    Page a = random() % (kPages + 1), b = random() % (kPages + 1);
    // Mostly short ranges: long ones keep wiping the map.
    if (random() % 8 != 0) b = std::min(kPages, a + random() % 24);
    PageSpan span{std::min(a, b), std::max(a, b)};
    PageSpan there{span.begin + base, span.end + base};
    int value = static_cast<int>(random() % 4);  // few values, so that neighbours often merge
    if (value == kNone) {
      map.erase(there);
    } else {
      map.assign(there, value);
    }
    reference.assign(span, value);

    Page q = random() % kPages;
    const int* found = map.find(base + q);
    ASSERT_EQ(found ? *found : kNone, reference.value[q]) << "operation " << i;
    if (i % 16 != 0 && i + 1 != operations) continue;
    // Every so often all of it, and a clipped part: pieces, their ends, and that they are merged.
    std::vector<Map::Piece> want = reference.pieces(PageSpan{0, kPages});
    ASSERT_EQ(map.size(), want.size()) << "operation " << i;
    for (auto& piece : want) piece.span = PageSpan{piece.span.begin + base, piece.span.end + base};
    expect_same(map.pieces(PageSpan{base, base + kPages}), want);
    std::vector<Map::Piece> part = reference.pieces(span);
    for (auto& piece : part) piece.span = PageSpan{piece.span.begin + base, piece.span.end + base};
    expect_same(map.pieces(there), part);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(RangeMap, AgreesWithTheReferenceOnAFixedSequence) { run_random(20181204, 100000, 0); }

TEST(RangeMap, AgreesWithTheReferenceOnARandomSequence) {
  auto seed =
      static_cast<uint64_t>(std::chrono::high_resolution_clock::now().time_since_epoch().count());
  printf("seed %llu\n", static_cast<unsigned long long>(seed));
  run_random(seed, 100000, 0);
}

TEST(RangeMap, AgreesWithTheReferenceAtTheEndOfTheAddressSpace) {
  run_random(52, 100000, kEndOfPages - kPages);
}

TEST(RangeMap, ANewRangeSplitsTheOneItLiesIn) {
  Map map;
  map.assign({10, 20}, 1);
  map.assign({13, 15}, 2);
  expect_same(map.pieces({0, 100}), {{{10, 13}, 1}, {{13, 15}, 2}, {{15, 20}, 1}});
}

TEST(RangeMap, EqualNeighboursMergeOnBothSides) {
  Map map;
  map.assign({10, 12}, 1);
  map.assign({14, 16}, 1);
  map.assign({12, 14}, 1);
  EXPECT_EQ(map.size(), 1u);
  expect_same(map.pieces({0, 100}), {{{10, 16}, 1}});
}

TEST(RangeMap, FillingAHoleWithTheOldValueHealsTheSplit) {
  Map map;
  map.assign({10, 20}, 1);
  map.assign({13, 15}, 2);
  map.assign({13, 15}, 1);
  EXPECT_EQ(map.size(), 1u);
}

TEST(RangeMap, EmptySpansChangeNothing) {
  Map map;
  map.assign({10, 20}, 1);
  map.assign({15, 15}, 2);
  map.erase({12, 12});
  map.assign({18, 12}, 3);
  expect_same(map.pieces({0, 100}), {{{10, 20}, 1}});
  EXPECT_TRUE(map.pieces({15, 15}).empty());
}

TEST(RangeMap, HoldsTheWholeAddressSpace) {
  Map map;
  map.assign({0, kEndOfPages}, 7);
  map.erase({kEndOfPages - 1, kEndOfPages});
  map.erase({0, 1});
  expect_same(map.pieces({0, kEndOfPages}), {{{1, kEndOfPages - 1}, 7}});
  EXPECT_EQ(map.find(0), nullptr);
  EXPECT_EQ(map.find(kEndOfPages - 1), nullptr);
}

void* at(uintptr_t address) { return reinterpret_cast<void*>(address); }

TEST(Span, RoundsTheLengthUp) {
  EXPECT_EQ(make_span(at(0x10000), 1), (PageSpan{16, 17}));
  EXPECT_EQ(make_span(at(0x10000), 4096), (PageSpan{16, 17}));
  EXPECT_EQ(make_span(at(0x10000), 4097), (PageSpan{16, 18}));
  EXPECT_EQ(make_span(at(0x10000), 0), (PageSpan{16, 16}));
}

TEST(Span, RejectsWhatIsNotAligned) { EXPECT_FALSE(make_span(at(0x10001), 4096)); }

TEST(Span, EndsWithTheAddressSpaceButNotBehindIt) {
  uintptr_t last = UINTPTR_MAX - 4095;
  EXPECT_EQ(make_span(at(last), 4096), (PageSpan{kEndOfPages - 1, kEndOfPages}));
  EXPECT_EQ(make_span(at(0), SIZE_MAX), (PageSpan{0, kEndOfPages}));
  EXPECT_FALSE(make_span(at(last), 4097));
  EXPECT_FALSE(make_span(at(0x1000), SIZE_MAX));
  EXPECT_FALSE(make_span(at(last), SIZE_MAX));
}

TEST(Span, CoversUnalignedRanges) {
  EXPECT_EQ(covering_span(at(0x10fff), 2), (PageSpan{16, 18}));
  EXPECT_EQ(covering_span(at(0x10fff), 1), (PageSpan{16, 17}));
  EXPECT_EQ(covering_span(at(0x10fff), 0), (PageSpan{16, 16}));
  EXPECT_EQ(covering_span(at(UINTPTR_MAX), 1), (PageSpan{kEndOfPages - 1, kEndOfPages}));
  EXPECT_FALSE(covering_span(at(UINTPTR_MAX), 2));
  EXPECT_FALSE(covering_span(at(1), SIZE_MAX));
}

}  // namespace
}  // namespace hms::hbind
