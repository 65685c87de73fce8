// The C interface of range placement: structures and counts, errors, fork, munmap and mremap.
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/unit/hbind/fixture.h"

namespace {

using namespace hms::hbind::testing;  // NOLINT(google-build-using-namespace): the fixture
constexpr size_t kPage = hms::os::kPageSize;

class CApiTest : public ::testing::Test {
 protected:
  // Names of their own for each test: charges belong to the process, by key.
  CApiTest() {
    std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    topology_ =
        make_topology({logical_target(test + "-fast", 16), logical_target(test + "-slow", 4096)});
    fast_ = id_of(topology_, "tier:" + test + "-fast");
    slow_ = id_of(topology_, "tier:" + test + "-slow");
  }

  uint64_t pages_on(hms_id id, const Memory& m) {
    hms_moved on[8];
    size_t count = 8;
    uint64_t absent = 0, elsewhere = 0;
    EXPECT_EQ(hms_residency(&topology_, m.page(0), m.bytes(), on, &count, &absent, &elsewhere),
              HMS_OK);
    for (size_t i = 0; i < count; ++i) {
      if (on[i].target == id) return on[i].pages;
    }
    return 0;
  }

  static size_t piece_count(const Memory& m) {
    size_t count = 0;
    EXPECT_EQ(hms_query(m.page(0), m.bytes(), nullptr, &count), HMS_OK);
    return count;
  }

  hms_topology topology_;
  hms_id fast_ = 0, slow_ = 0;
};

TEST_F(CApiTest, BindQueryMigrateUnbind) {
  Memory m(20);
  hms_id list[] = {fast_, slow_};
  ASSERT_EQ(hms_bind(&topology_, m.page(0), m.bytes(), list, 2, 0), HMS_OK) << hms_last_error();
  hms_piece piece;
  size_t count = 1;
  ASSERT_EQ(hms_query(m.page(0), m.bytes(), &piece, &count), HMS_OK);
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(piece.address, m.page(0));
  EXPECT_EQ(piece.length, m.bytes());
  EXPECT_EQ(piece.target_count, 2u);
  EXPECT_EQ(piece.targets[0], fast_);
  EXPECT_EQ(piece.targets[1], slow_);
  m.touch(0, 20);
  EXPECT_EQ(pages_on(fast_, m), 16u);
  hms_moved moved[1];
  ASSERT_EQ(hms_migrate(&topology_, m.page(0), m.bytes(), &slow_, 1, 0, moved), HMS_OK);
  EXPECT_EQ(moved[0].target, slow_);
  EXPECT_EQ(moved[0].pages, 16u);
  ASSERT_EQ(hms_unbind(m.page(0), m.bytes()), HMS_OK);
  EXPECT_EQ(piece_count(m), 0u);
}

TEST_F(CApiTest, QueryTellsMorePiecesThanThereIsRoomFor) {
  Memory m(30);
  ASSERT_EQ(hms_bind(&topology_, m.page(0), m.bytes(), &slow_, 1, 0), HMS_OK);
  ASSERT_EQ(hms_bind(&topology_, m.page(10), 5 * kPage, &fast_, 1, 0), HMS_OK);
  hms_piece pieces[2];
  size_t count = 2;
  ASSERT_EQ(hms_query(m.page(0), m.bytes(), pieces, &count), HMS_OK);
  EXPECT_EQ(count, 3u);
  EXPECT_EQ(pieces[1].address, m.page(10));
  // An unaligned question is about the pages that it touches, clipped to them.
  count = 2;
  ASSERT_EQ(hms_query(m.page(11) + 5, 1, pieces, &count), HMS_OK);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(pieces[0].address, m.page(11));
  EXPECT_EQ(pieces[0].length, kPage);
}

TEST_F(CApiTest, ALongListIsKeptWholeAndShownInPart) {
  Memory m(4);
  std::vector<hms_id> list(20, slow_);
  list[0] = fast_;
  ASSERT_EQ(hms_bind(&topology_, m.page(0), m.bytes(), list.data(), list.size(), 0), HMS_OK);
  hms_piece piece;
  size_t count = 1;
  ASSERT_EQ(hms_query(m.page(0), m.bytes(), &piece, &count), HMS_OK);
  EXPECT_EQ(piece.target_count, 20u);
  EXPECT_EQ(piece.targets[0], fast_);
  EXPECT_EQ(piece.targets[15], slow_);
}

TEST_F(CApiTest, ErrorsNameTheInput) {
  Memory m(4);
  EXPECT_EQ(hms_bind(&topology_, m.page(0) + 1, kPage, &fast_, 1, 0), HMS_EINVAL);
  EXPECT_NE(strstr(hms_last_error(), "multiple of 4096"), nullptr) << hms_last_error();
  EXPECT_EQ(hms_bind(nullptr, m.page(0), kPage, &fast_, 1, 0), HMS_EINVAL);
  hms_id unknown = 0x7ffffff0;
  EXPECT_EQ(hms_bind(&topology_, m.page(0), kPage, &unknown, 1, 0), HMS_ENODEV);
  EXPECT_NE(strstr(hms_last_error(), "2147483632"), nullptr) << hms_last_error();
  EXPECT_EQ(hms_unbind(m.page(0) + 7, kPage), HMS_EINVAL);
  EXPECT_EQ(hms_query(m.page(0), kPage, nullptr, nullptr), HMS_EINVAL);
  size_t one = 1;
  EXPECT_EQ(hms_query(m.page(0), kPage, nullptr, &one), HMS_EINVAL);
  EXPECT_EQ(hms_query(m.page(0), SIZE_MAX, nullptr, &one), HMS_EINVAL);
  EXPECT_EQ(hms_residency(nullptr, m.page(0), kPage, nullptr, &one, nullptr, nullptr), HMS_EINVAL);
  EXPECT_EQ(hms_submit(&topology_, nullptr, 1), HMS_EINVAL);
  EXPECT_EQ(hms_submit(&topology_, nullptr, 0), HMS_OK);
  EXPECT_EQ(piece_count(m), 0u);
}

// What a program compiled with a later version of the header passes.
struct LaterOp {
  hms_op op;
  uint64_t added_later;
};

TEST_F(CApiTest, OperationsOfALaterVersionAreStridedRight) {
  Memory m(8);
  LaterOp ops[2] = {};
  for (size_t i = 0; i < 2; ++i) {
    ops[i].op = make_op(HMS_OP_BIND, m.page(4 * i), 4 * kPage, {});
    ops[i].op.targets = i == 0 ? &fast_ : &slow_;
    ops[i].op.target_count = 1;
    ops[i].op.size = sizeof(LaterOp);
    ops[i].added_later = 42;
  }
  ASSERT_EQ(hms_submit(&topology_, &ops[0].op, 2), HMS_OK) << hms_last_error();
  EXPECT_EQ(piece_count(m), 2u);
  EXPECT_EQ(ops[1].added_later, 42u);
  ops[1].op.size = sizeof(hms_op);
  EXPECT_EQ(hms_submit(&topology_, &ops[0].op, 2), HMS_EINVAL);
  ops[0].op.size = 8;
  EXPECT_EQ(hms_submit(&topology_, &ops[0].op, 2), HMS_EINVAL);
}

TEST_F(CApiTest, ARejectedBatchDoesNothing) {
  Memory m(8);
  m.touch(0, 8);
  hms_op ops[2];
  ops[0] = make_op(HMS_OP_MIGRATE, m.page(0), m.bytes(), {});
  ops[0].targets = &fast_;
  ops[0].target_count = 1;
  ops[1] = ops[0];
  ops[1].flags = 0x4000;
  EXPECT_EQ(hms_submit(&topology_, ops, 2), HMS_EINVAL);
  EXPECT_EQ(ops[0].status, HMS_ECANCELED);
  EXPECT_EQ(ops[1].status, HMS_EINVAL);
  EXPECT_EQ(pages_on(fast_, m), 0u);
}

TEST_F(CApiTest, MunmapKeepsTheMapTrueAndTheErrnoOfTheSystemCall) {
  Memory m(8);
  ASSERT_EQ(hms_bind(&topology_, m.page(0), m.bytes(), &slow_, 1, 0), HMS_OK);
  ASSERT_EQ(hms_munmap(m.page(2), 2 * kPage), 0);
  m.forget(2, 2);
  EXPECT_EQ(piece_count(m), 2u);
  errno = 0;
  EXPECT_EQ(hms_munmap(m.page(0) + 1, kPage), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(CApiTest, MremapKeepsTheMapTrueAndTheErrnoOfTheSystemCall) {
  Memory m(8), to(8);
  ASSERT_EQ(hms_bind(&topology_, m.page(0), m.bytes(), &slow_, 1, 0), HMS_OK);
  ASSERT_EQ(hms_mremap(m.page(0), m.bytes(), m.bytes(), MREMAP_MAYMOVE | MREMAP_FIXED, to.page(0)),
            to.page(0));
  m.forget(0, 8);
  EXPECT_EQ(piece_count(m), 0u);
  EXPECT_EQ(piece_count(to), 1u);
  errno = 0;
  EXPECT_EQ(hms_mremap(to.page(0), 0, 0, 0, nullptr), MAP_FAILED);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(CApiTest, AForkedChildInheritsPoliciesAndCharges) {
  Memory m(16), other(16);
  ASSERT_EQ(hms_bind(&topology_, m.page(0), m.bytes(), &fast_, 1, 0), HMS_OK);
  pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    bool ok = piece_count(m) == 1;
    m.touch(0, 16);
    ok = ok && pages_on(fast_, m) == 16;
    // The target is as full as it is in the parent, and what the child does stays with it.
    ok = ok && hms_bind(&topology_, other.page(0), kPage, &fast_, 1, HMS_STRICT) == HMS_ENOMEM;
    ok = ok && hms_unbind(m.page(0), m.bytes()) == HMS_OK && piece_count(m) == 0;
    _exit(ok ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(piece_count(m), 1u);
}

// A fork while other threads are inside the library must not leave the child with a held mutex.
TEST_F(CApiTest, ForkWhileOthersBind) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      Memory m(8);
      while (!stop) {
        EXPECT_EQ(hms_bind(&topology_, m.page(0), m.bytes(), &slow_, 1, 0), HMS_OK);
        EXPECT_EQ(hms_unbind(m.page(0), m.bytes()), HMS_OK);
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      alarm(20);  // a held mutex would block for ever
      Memory m(2);
      _exit(hms_bind(&topology_, m.page(0), m.bytes(), &slow_, 1, 0) == HMS_OK ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_EQ(status, 0) << "fork " << i;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
