// The engine over the node and the emulated back end: what a bind promises, what a migrate moves,
// what residency says, and that nothing happens before all of a batch is valid.
#include <numeric>
#include <thread>

#include "tests/unit/hbind/fixture.h"

namespace hms::hbind {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture of these tests

class EngineTest : public ::testing::Test {
 protected:
  // Two small logical memories and a roomy one over node 0, and node 0 itself.
  EngineTest()
      : topology_(make_topology({logical_target("fast", 16), logical_target("mid", 32),
                                 logical_target("slow", 4096), node_target(0)})),
        fast_(id_of(topology_, "tier:fast")),
        mid_(id_of(topology_, "tier:mid")),
        slow_(id_of(topology_, "tier:slow")),
        node_(id_of(topology_, "node:0")) {}

  hms_status bind(const Memory& m, size_t first, size_t count, std::vector<hms_id> targets,
                  unsigned flags = 0) {
    hms_op op = make_op(HMS_OP_BIND, m.page(first), count * os::kPageSize, targets, flags);
    return submit(&op);
  }

  hms_status migrate(const Memory& m, size_t first, size_t count, std::vector<hms_id> targets,
                     unsigned flags = 0) {
    hms_op op = make_op(HMS_OP_MIGRATE, m.page(first), count * os::kPageSize, targets, flags);
    moved_.assign(targets.size(), hms_moved{});
    op.moved = moved_.data();
    return submit(&op);
  }

  hms_status submit(hms_op* op) {
    Status status = engine_.submit(topology_.snapshot.get(), {op});
    message_ = status.message();
    last_ = *op;
    return status.code();
  }

  Residency where(const Memory& m) {
    auto result = engine_.residency(*topology_.snapshot, m.span());
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? result.value() : Residency{};
  }

  static uint64_t pages_on(const Residency& r, hms_id id) {
    for (const hms_moved& m : r.on) {
      if (m.target == id) return m.pages;
    }
    return 0;
  }

  Engine engine_;
  hms_topology topology_;
  hms_id fast_, mid_, slow_, node_;
  std::vector<hms_moved> moved_;
  std::string message_;
  hms_op last_ = {};
};

TEST_F(EngineTest, AnOrderedListIsFilledInOrder) {
  Memory m(100);
  ASSERT_EQ(bind(m, 0, 100, {fast_, mid_, slow_}), HMS_OK) << message_;
  m.touch(0, 100);
  Residency r = where(m);
  EXPECT_EQ(pages_on(r, fast_), 16u);
  EXPECT_EQ(pages_on(r, mid_), 32u);
  EXPECT_EQ(pages_on(r, slow_), 52u);
  EXPECT_EQ(r.absent, 0u);
  EXPECT_EQ(r.elsewhere, 0u);
}

TEST_F(EngineTest, PromisesCountBeforeTheyAreTouched) {
  Memory a(16), b(16);
  ASSERT_EQ(bind(a, 0, 16, {fast_, slow_}), HMS_OK);
  ASSERT_EQ(bind(b, 0, 16, {fast_, slow_}), HMS_OK);
  b.touch(0, 16);
  EXPECT_EQ(pages_on(where(b), slow_), 16u);
  a.touch(0, 16);
  EXPECT_EQ(pages_on(where(a), fast_), 16u);
}

TEST_F(EngineTest, WhatNoTargetHasRoomForIsReportedAndEndsElsewhere) {
  Memory m(60);
  ASSERT_EQ(bind(m, 0, 60, {fast_, mid_}), HMS_OK);
  EXPECT_EQ(last_.bytes_no_room, 12 * os::kPageSize);
  m.touch(0, 60);
  Residency r = where(m);
  EXPECT_EQ(pages_on(r, fast_) + pages_on(r, mid_), 48u);
  // The topology also has node 0 as a target of its own, where those pages really are.
  EXPECT_EQ(pages_on(r, node_), 12u);
}

TEST_F(EngineTest, StrictWithoutRoomIsRefusedBeforeAnyEffect) {
  Memory m(60);
  EXPECT_EQ(bind(m, 0, 60, {fast_, mid_}, HMS_STRICT), HMS_ENOMEM);
  EXPECT_NE(message_.find("49152 bytes"), std::string::npos) << message_;
  EXPECT_TRUE(engine_.query(m.span()).empty());
  EXPECT_EQ(where(m).absent, 60u);
  // Nothing is left charged: all of it is there for the next one.
  EXPECT_EQ(bind(m, 0, 48, {fast_, mid_}, HMS_STRICT), HMS_OK) << message_;
}

TEST_F(EngineTest, StrictBringsThePagesIntoExistence) {
  Memory m(16);
  m.touch(3, 2);
  ASSERT_EQ(bind(m, 0, 16, {fast_}, HMS_STRICT), HMS_OK) << message_;
  Residency r = where(m);
  EXPECT_EQ(r.absent, 0u);
  EXPECT_EQ(pages_on(r, fast_), 14u);
  EXPECT_EQ(*m.page(3), 3);
  EXPECT_EQ(*m.page(0), 0);
}

TEST_F(EngineTest, StrictLeavesAloneWhatIsNotWritable) {
  Memory m(16, PROT_NONE);
  ASSERT_EQ(bind(m, 0, 16, {fast_}, HMS_STRICT), HMS_OK) << message_;
  EXPECT_EQ(where(m).absent, 16u);
  ASSERT_EQ(mprotect(m.page(0), m.bytes(), PROT_READ | PROT_WRITE), 0);
  m.touch(0, 16);
  EXPECT_EQ(pages_on(where(m), fast_), 16u);
}

TEST_F(EngineTest, ExistingPagesStay) {
  Memory m(20);
  m.touch(0, 10);
  ASSERT_EQ(bind(m, 0, 20, {fast_}), HMS_OK);
  EXPECT_EQ(last_.pages_present, 10u);
  m.touch(10, 10);
  Residency r = where(m);
  EXPECT_EQ(pages_on(r, fast_), 10u);
  EXPECT_EQ(pages_on(r, node_), 10u);
}

TEST_F(EngineTest, RebindingFreesThePromiseButNotThePages) {
  Memory m(16), other(16);
  ASSERT_EQ(bind(m, 0, 16, {fast_}), HMS_OK);
  m.touch(0, 4);
  ASSERT_EQ(bind(m, 0, 16, {slow_}), HMS_OK);
  m.touch(0, 16);
  Residency r = where(m);
  EXPECT_EQ(pages_on(r, fast_), 4u);
  EXPECT_EQ(pages_on(r, slow_), 12u);
  ASSERT_EQ(bind(other, 0, 16, {fast_}), HMS_OK);
  EXPECT_EQ(last_.bytes_no_room, 4 * os::kPageSize);
}

TEST_F(EngineTest, BindingTheSameRangeTwiceNeedsItsRoomOnce) {
  Memory m(16);
  ASSERT_EQ(bind(m, 0, 16, {fast_}, HMS_STRICT), HMS_OK);
  EXPECT_EQ(bind(m, 0, 16, {fast_}, HMS_STRICT), HMS_OK) << message_;
}

TEST_F(EngineTest, NewestWinsAndEqualNeighboursMerge) {
  Memory m(30);
  ASSERT_EQ(bind(m, 0, 30, {slow_}), HMS_OK);
  ASSERT_EQ(bind(m, 10, 10, {fast_}), HMS_OK);
  auto pieces = engine_.query(m.span());
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[1].span.address(), m.page(10));
  EXPECT_EQ(pieces[1].span.pages(), 10u);
  EXPECT_EQ(pieces[1].value.policy->ids, std::vector<hms_id>{fast_});
  ASSERT_EQ(bind(m, 10, 10, {slow_}), HMS_OK);
  EXPECT_EQ(engine_.query(m.span()).size(), 1u);
}

TEST_F(EngineTest, UnbindForgetsPolicyAndKeepsPages) {
  Memory m(16), other(16);
  ASSERT_EQ(bind(m, 0, 16, {fast_}), HMS_OK);
  m.touch(0, 8);
  hms_op op = make_op(HMS_OP_UNBIND, m.page(0), m.bytes(), {});
  ASSERT_EQ(submit(&op), HMS_OK) << message_;
  EXPECT_TRUE(engine_.query(m.span()).empty());
  m.touch(0, 16);
  Residency r = where(m);
  EXPECT_EQ(pages_on(r, fast_), 8u);
  EXPECT_EQ(pages_on(r, node_), 8u);
  ASSERT_EQ(bind(other, 0, 16, {fast_}), HMS_OK);
  EXPECT_EQ(last_.bytes_no_room, 8 * os::kPageSize);
}

TEST_F(EngineTest, MigrateFillsTheFirstTargetAndGoesOnWithTheNext) {
  Memory m(60);
  m.touch(0, 60);
  ASSERT_EQ(migrate(m, 0, 60, {fast_, slow_}), HMS_OK) << message_;
  EXPECT_EQ(last_.pages_present, 60u);
  EXPECT_EQ(moved_[0].pages, 16u);
  EXPECT_EQ(moved_[1].pages, 44u);
  EXPECT_EQ(moved_[0].target, fast_);
  Residency r = where(m);
  EXPECT_EQ(pages_on(r, fast_), 16u);
  EXPECT_EQ(pages_on(r, slow_), 44u);
  EXPECT_TRUE(engine_.query(m.span()).empty()) << "migrate must not make policy";
  for (size_t i = 0; i < 60; ++i) EXPECT_EQ(*m.page(i), static_cast<char>(i | 1));
}

TEST_F(EngineTest, MigrateTellsWhatStayed) {
  Memory m(60);
  m.touch(0, 60);
  EXPECT_EQ(migrate(m, 0, 60, {fast_, mid_}), HMS_EPARTIAL);
  EXPECT_EQ(last_.pages_failed, 12u);
  EXPECT_EQ(moved_[0].pages + moved_[1].pages, 48u);
}

TEST_F(EngineTest, StrictMigrateWithoutRoomMovesNothing) {
  Memory m(60);
  m.touch(0, 60);
  EXPECT_EQ(migrate(m, 0, 60, {fast_, mid_}, HMS_STRICT), HMS_ENOMEM);
  EXPECT_EQ(moved_[0].pages + moved_[1].pages, 0u);
  EXPECT_EQ(pages_on(where(m), node_), 60u);
  EXPECT_EQ(migrate(m, 0, 48, {fast_, mid_}, HMS_STRICT), HMS_OK) << message_;
}

TEST_F(EngineTest, PagesThatAreThereAlreadyAreNotMoved) {
  Memory m(16);
  ASSERT_EQ(bind(m, 0, 16, {fast_}, HMS_STRICT), HMS_OK);
  ASSERT_EQ(migrate(m, 0, 16, {fast_}, HMS_STRICT), HMS_OK) << message_;
  EXPECT_EQ(moved_[0].pages, 0u);
  EXPECT_EQ(last_.pages_present, 16u);
  EXPECT_EQ(last_.pages_failed, 0u);
}

TEST_F(EngineTest, MigratingAwayMakesRoom) {
  Memory m(16), other(16);
  ASSERT_EQ(bind(m, 0, 16, {fast_}, HMS_STRICT), HMS_OK);
  ASSERT_EQ(bind(other, 0, 16, {fast_}, HMS_STRICT), HMS_ENOMEM);
  ASSERT_EQ(migrate(m, 0, 16, {slow_}), HMS_OK);
  EXPECT_EQ(moved_[0].pages, 16u);
  EXPECT_EQ(bind(other, 0, 16, {fast_}, HMS_STRICT), HMS_OK) << message_;
}

TEST_F(EngineTest, MigrateSkipsAbsentPages) {
  Memory m(2000);
  m.touch(100, 3);
  m.touch(1500, 2);
  ASSERT_EQ(migrate(m, 0, 2000, {slow_}), HMS_OK);
  EXPECT_EQ(moved_[0].pages, 5u);
  EXPECT_EQ(last_.pages_present, 5u);
  EXPECT_EQ(where(m).absent, 1995u);
}

TEST_F(EngineTest, HolesAreReportedNotFatal) {
  Memory m(30);
  ASSERT_EQ(munmap(m.page(10), 10 * os::kPageSize), 0);
  m.forget(10, 10);
  ASSERT_EQ(bind(m, 0, 30, {slow_}), HMS_OK);
  EXPECT_EQ(last_.bytes_unmapped, 10 * os::kPageSize);
  EXPECT_EQ(engine_.query(m.span()).size(), 2u);
  m.touch(0, 10);
  m.touch(20, 10);
  ASSERT_EQ(migrate(m, 0, 30, {fast_, slow_}), HMS_OK);
  EXPECT_EQ(last_.bytes_unmapped, 10 * os::kPageSize);
  EXPECT_EQ(last_.pages_present, 20u);
  Residency r = where(m);
  EXPECT_EQ(r.absent, 10u);
  EXPECT_EQ(pages_on(r, fast_), 16u);
  EXPECT_EQ(pages_on(r, slow_), 4u);
}

TEST_F(EngineTest, ARangeWithoutAnyMappingIsOneHole) {
  void* gone = nullptr;
  { gone = Memory(8).page(0); }
  hms_op op = make_op(HMS_OP_BIND, gone, 8 * os::kPageSize, {});
  std::vector<hms_id> list{slow_};
  op.targets = list.data();
  op.target_count = 1;
  EXPECT_EQ(submit(&op), HMS_OK);
  EXPECT_EQ(op.bytes_unmapped, 8 * os::kPageSize);
  EXPECT_TRUE(engine_.query(*make_span(gone, op.length)).empty());
}

TEST_F(EngineTest, MappingsThatVanishedTakeTheirRecordsAlong) {
  Memory m(16), other(16);
  ASSERT_EQ(bind(m, 0, 16, {fast_}), HMS_OK);
  ASSERT_EQ(munmap(m.page(4), 4 * os::kPageSize), 0);
  m.forget(4, 4);
  auto pieces = engine_.query(m.span());
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[0].span.pages(), 4u);
  EXPECT_EQ(pieces[1].span.pages(), 8u);
  ASSERT_EQ(bind(other, 0, 16, {fast_}), HMS_OK);
  EXPECT_EQ(last_.bytes_no_room, 12 * os::kPageSize) << "four pages have become free";
}

TEST_F(EngineTest, ANewMappingAtAnOldAddressHasNoPolicy) {
  Memory m(16);
  ASSERT_EQ(bind(m, 0, 16, {slow_}), HMS_OK);
  ASSERT_EQ(mmap(m.page(4), 4 * os::kPageSize, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            m.page(4));
  auto pieces = engine_.query(m.span());
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[0].span.pages(), 4u);
  EXPECT_EQ(pieces[1].span.address(), m.page(8));
}

TEST_F(EngineTest, UnmapForgetsAtOnce) {
  Memory m(16);
  ASSERT_EQ(bind(m, 0, 16, {slow_}), HMS_OK);
  ASSERT_EQ(engine_.unmap(m.page(4), 4 * os::kPageSize), 0);
  m.forget(4, 4);
  EXPECT_EQ(engine_.query(m.span()).size(), 2u);
  EXPECT_EQ(engine_.unmap(m.page(4) + 1, 4096), -EINVAL);
}

TEST_F(EngineTest, RemapTakesPolicyAndChargesAlong) {
  Memory from(16), to(40);
  ASSERT_EQ(bind(from, 0, 16, {fast_}), HMS_OK);
  from.touch(0, 8);
  void* out = nullptr;
  ASSERT_EQ(engine_.remap(from.page(0), 16 * os::kPageSize, 24 * os::kPageSize,
                          MREMAP_MAYMOVE | MREMAP_FIXED, to.page(0), &out),
            0);
  ASSERT_EQ(out, to.page(0));
  from.forget(0, 16);
  EXPECT_TRUE(engine_.query(from.span()).empty());
  auto pieces = engine_.query(to.span());
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].span.pages(), 24u) << "what grew is under the policy of its end";
  EXPECT_EQ(*to.page(7), 7);
  // The target is full: what grew is not charged to it.
  to.touch(0, 24);
  Residency r = where(to);
  EXPECT_EQ(pages_on(r, fast_), 16u);
  EXPECT_EQ(pages_on(r, node_), 8u);
  EXPECT_EQ(r.absent, 16u);
}

TEST_F(EngineTest, RemapThatShrinksForgetsTheEnd) {
  Memory m(16), other(16);
  ASSERT_EQ(bind(m, 0, 16, {fast_}), HMS_OK);
  void* out = nullptr;
  ASSERT_EQ(engine_.remap(m.page(0), m.bytes(), 4 * os::kPageSize, 0, nullptr, &out), 0);
  m.forget(4, 12);
  auto pieces = engine_.query(m.span());
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].span.pages(), 4u);
  ASSERT_EQ(bind(other, 0, 16, {fast_}), HMS_OK);
  EXPECT_EQ(last_.bytes_no_room, 4 * os::kPageSize);
}

TEST_F(EngineTest, ARealNodeTakesBindAndMigrate) {
  Memory m(600);
  ASSERT_EQ(bind(m, 0, 600, {node_}, HMS_STRICT), HMS_OK) << message_;
  EXPECT_EQ(pages_on(where(m), node_), 600u);
  ASSERT_EQ(migrate(m, 0, 600, {node_}, HMS_STRICT), HMS_OK) << message_;
  EXPECT_EQ(moved_[0].pages, 0u);
}

TEST_F(EngineTest, PagesLeaveTheirLogicalTargetForTheNodeOnlyWhenTheyMove) {
  Memory m(16);
  ASSERT_EQ(bind(m, 0, 16, {fast_}, HMS_STRICT), HMS_OK);
  // They are on node 0 already, by the kernel.
  ASSERT_EQ(migrate(m, 0, 16, {node_}), HMS_OK);
  EXPECT_EQ(moved_[0].pages, 0u);
  EXPECT_EQ(pages_on(where(m), fast_), 16u);
}

TEST_F(EngineTest, NothingOfABatchHappensBeforeAllOfItIsValid) {
  Memory m(16);
  m.touch(0, 8);
  std::vector<hms_id> list{fast_};
  hms_op good = make_op(HMS_OP_BIND, m.page(8), 8 * os::kPageSize, list);
  hms_op move = make_op(HMS_OP_MIGRATE, m.page(0), 8 * os::kPageSize, list);
  hms_op bad = make_op(HMS_OP_BIND, m.page(0) + 1, os::kPageSize, list);
  Status status = engine_.submit(topology_.snapshot.get(), {&good, &move, &bad});
  EXPECT_EQ(status.code(), HMS_EINVAL);
  EXPECT_NE(status.message().find("operation 2"), std::string::npos) << status.message();
  EXPECT_EQ(good.status, HMS_ECANCELED);
  EXPECT_EQ(move.status, HMS_ECANCELED);
  EXPECT_EQ(bad.status, HMS_EINVAL);
  EXPECT_TRUE(engine_.query(m.span()).empty());
  EXPECT_EQ(pages_on(where(m), fast_), 0u);
}

TEST_F(EngineTest, ABatchGoesOnAfterAnOperationWithoutRoom) {
  Memory m(60);
  std::vector<hms_id> fast{fast_}, slow{slow_};
  hms_op first = make_op(HMS_OP_BIND, m.page(0), 20 * os::kPageSize, fast, HMS_STRICT);
  hms_op second = make_op(HMS_OP_BIND, m.page(20), 20 * os::kPageSize, slow, HMS_STRICT);
  Status status = engine_.submit(topology_.snapshot.get(), {&first, &second});
  EXPECT_EQ(status.code(), HMS_ENOMEM);
  EXPECT_EQ(first.status, HMS_ENOMEM);
  EXPECT_EQ(second.status, HMS_OK);
  EXPECT_EQ(pages_on(where(m), slow_), 20u);
}

TEST_F(EngineTest, BadArgumentsAreRejected) {
  Memory m(4);
  std::vector<hms_id> list{slow_};
  struct Case {
    const char* what;
    hms_op op;
  };
  std::vector<Case> cases;
  hms_op op = make_op(HMS_OP_BIND, m.page(0) + 8, 4096, list);
  cases.push_back({"unaligned", op});
  op = make_op(HMS_OP_BIND, m.page(0), SIZE_MAX, list);
  cases.push_back({"wraps", op});
  op = make_op(HMS_OP_BIND, m.page(0), 4096, list, 0x80);
  cases.push_back({"unknown flag", op});
  op = make_op(HMS_OP_BIND, m.page(0), 4096, {});
  cases.push_back({"no targets", op});
  op = make_op(HMS_OP_BIND, m.page(0), 4096, list);
  op.targets = nullptr;
  cases.push_back({"NULL targets", op});
  op = make_op(HMS_OP_BIND, m.page(0), 4096, list);
  op.target_count = SIZE_MAX;
  cases.push_back({"absurd count", op});
  op = make_op(HMS_OP_UNBIND, m.page(0), 4096, {}, HMS_STRICT);
  cases.push_back({"strict unbind", op});
  op = make_op(HMS_OP_BIND, m.page(0), 4096, list);
  int code = 99;
  memcpy(&op.code, &code, sizeof code);
  cases.push_back({"unknown code", op});
  for (Case& c : cases) {
    EXPECT_EQ(submit(&c.op), HMS_EINVAL) << c.what;
    EXPECT_EQ(last_.status, HMS_EINVAL) << c.what;
    EXPECT_GT(message_.size(), 20u) << c.what;
  }
}

TEST_F(EngineTest, AZeroLengthDoesNothing) {
  Memory m(4);
  EXPECT_EQ(bind(m, 0, 0, {slow_}), HMS_OK);
  EXPECT_EQ(migrate(m, 0, 0, {slow_}), HMS_OK);
  EXPECT_TRUE(engine_.query(m.span()).empty());
}

TEST_F(EngineTest, UnknownTargetsAreLeftOutUnlessStrict) {
  Memory m(8);
  hms_id unknown = 0x7fffffff;
  EXPECT_EQ(bind(m, 0, 8, {unknown, slow_}, HMS_STRICT), HMS_ENODEV);
  EXPECT_TRUE(engine_.query(m.span()).empty());
  EXPECT_EQ(bind(m, 0, 8, {unknown, slow_}), HMS_OK) << message_;
  EXPECT_EQ(last_.targets_skipped, 1u);
  EXPECT_EQ(engine_.query(m.span())[0].value.policy->ids, std::vector<hms_id>{slow_});
  EXPECT_EQ(bind(m, 0, 8, {unknown}), HMS_ENODEV);
  m.touch(0, 8);
  EXPECT_EQ(migrate(m, 0, 8, {unknown, fast_}), HMS_OK);
  EXPECT_EQ(moved_[0].pages, 0u);
  EXPECT_EQ(moved_[1].pages, 8u);
}

TEST_F(EngineTest, ANodeThatIsNotHereIsNoDevice) {
  hms_topology topology = make_topology({node_target(0), node_target(777)});
  Memory m(8);
  std::vector<hms_id> list{id_of(topology, "node:777"), id_of(topology, "node:0")};
  hms_op op = make_op(HMS_OP_BIND, m.page(0), m.bytes(), list, HMS_STRICT);
  EXPECT_EQ(engine_.submit(topology.snapshot.get(), {&op}).code(), HMS_ENODEV);
  op.flags = 0;
  EXPECT_EQ(engine_.submit(topology.snapshot.get(), {&op}).code(), HMS_OK);
  EXPECT_EQ(op.targets_skipped, 1u);
}

TEST_F(EngineTest, ThreadsMayBindMigrateAndUnmapAtOnce) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<hms_id> up{fast_, slow_}, down{slow_, mid_};
      for (int i = 0; i < 60; ++i) {
        Memory m(40);
        hms_op b = make_op(HMS_OP_BIND, m.page(0), m.bytes(), t % 2 ? up : down);
        EXPECT_EQ(engine_.submit(topology_.snapshot.get(), {&b}).code(), HMS_OK);
        m.touch(0, 40);
        hms_op mv = make_op(HMS_OP_MIGRATE, m.page(0), m.bytes(), t % 2 ? down : up);
        EXPECT_EQ(engine_.submit(topology_.snapshot.get(), {&mv}).code(), HMS_OK);
        auto r = engine_.residency(*topology_.snapshot, m.span());
        EXPECT_TRUE(r.ok());
        uint64_t pages = 0;
        for (const hms_moved& on : r.value().on) pages += on.pages;
        EXPECT_EQ(pages, 40u);
        EXPECT_EQ(engine_.unmap(m.page(0), m.bytes()), 0);
        m.forget(0, 40);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Nothing stays charged to the small target.
  Memory m(16);
  EXPECT_EQ(bind(m, 0, 16, {fast_}, HMS_STRICT), HMS_OK) << message_;
}

}  // namespace
}  // namespace hms::hbind
