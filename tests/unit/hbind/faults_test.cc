// A system call filter that denies mbind or move_pages, as containers have: HMS_EPERM, and nothing
// half done. Each case runs in a child, since a filter cannot be taken off again.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "tests/unit/hbind/fixture.h"

namespace hms::hbind {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture of these tests

// Lets `call` fail with `error`, and, with a length, only where its second argument is that: one
// mbind out of several.
void deny(int call, uint32_t length = 0, uint32_t error = EPERM) {
  sock_filter any[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_filter one[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args) + 8),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, length, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{};
  program.len = length ? sizeof one / sizeof one[0] : sizeof any / sizeof any[0];
  program.filter = length ? one : any;
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

// Runs `body` in a child; its failures are this test's.
void in_child(const std::function<void()>& body) {
  fflush(nullptr);
  pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    body();
    fflush(nullptr);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

class FaultTest : public ::testing::Test {
 protected:
  FaultTest()
      : topology_(make_topology(
            {logical_target("fast", 16), logical_target("slow", 4096), node_target(0)})),
        fast_(id_of(topology_, "tier:fast")),
        slow_(id_of(topology_, "tier:slow")),
        node_(id_of(topology_, "node:0")) {}

  hms_status run(hms_op_code code, const Memory& m, std::vector<hms_id> targets,
                 unsigned flags = 0) {
    hms_op op = make_op(code, m.page(0), m.bytes(), targets, flags);
    Status status = engine_.submit(topology_.snapshot.get(), {&op});
    message_ = status.message();
    last_ = op;
    return status.code();
  }

  static bool default_policy(const Memory& m, size_t page) {
    int mode = -1;
    EXPECT_EQ(syscall(SYS_get_mempolicy, &mode, nullptr, 0UL, m.page(page), 2 /* MPOL_F_ADDR */),
              0);
    return mode == 0;
  }

  Engine engine_;
  hms_topology topology_;
  hms_id fast_, slow_, node_;
  std::string message_;
  hms_op last_ = {};
};

TEST_F(FaultTest, BindWithoutMbindIsForbiddenAndLeavesNothing) {
  in_child([this] {
    Memory m(40);
    deny(SYS_mbind);
    for (hms_id target : {fast_, node_}) {
      EXPECT_EQ(run(HMS_OP_BIND, m, {target}), HMS_EPERM);
      EXPECT_NE(message_.find("mbind"), std::string::npos) << message_;
      EXPECT_EQ(run(HMS_OP_BIND, m, {slow_}, HMS_STRICT), HMS_EPERM);
      EXPECT_TRUE(engine_.query(m.span()).empty());
    }
    auto r = engine_.residency(*topology_.snapshot, m.span());
    ASSERT_TRUE(r.ok());
    EXPECT_EQ(r.value().absent, 40u) << "a refused strict bind populates nothing";
  });
}

TEST_F(FaultTest, ARefusalHalfWayTakesTheFirstHalfBack) {
  in_child([this] {
    Memory m(40), other(16);
    // 16 pages go to fast, 24 to slow: the second mbind is the one that fails.
    deny(SYS_mbind, 24 * os::kPageSize);
    EXPECT_EQ(run(HMS_OP_BIND, m, {fast_, slow_}), HMS_EPERM);
    EXPECT_TRUE(engine_.query(m.span()).empty());
    EXPECT_TRUE(default_policy(m, 0));
    EXPECT_TRUE(default_policy(m, 39));
    EXPECT_EQ(run(HMS_OP_BIND, other, {fast_}, HMS_STRICT), HMS_OK) << "nothing stays charged";
  });
}

TEST_F(FaultTest, ARefusalHalfWayPutsTheOldPolicyBack) {
  in_child([this] {
    Memory m(40);
    ASSERT_EQ(run(HMS_OP_BIND, m, {slow_}), HMS_OK);
    deny(SYS_mbind, 24 * os::kPageSize);
    EXPECT_EQ(run(HMS_OP_BIND, m, {fast_, slow_}), HMS_EPERM);
    auto pieces = engine_.query(m.span());
    ASSERT_EQ(pieces.size(), 1u);
    EXPECT_EQ(pieces[0].value.policy->ids, std::vector<hms_id>{slow_});
    EXPECT_FALSE(default_policy(m, 0));
    m.touch(0, 40);
    auto r = engine_.residency(*topology_.snapshot, m.span());
    ASSERT_TRUE(r.ok());
    ASSERT_EQ(r.value().on.size(), 1u);
    EXPECT_EQ(r.value().on[0].target, slow_);
    EXPECT_EQ(r.value().on[0].pages, 40u);
  });
}

TEST_F(FaultTest, UnbindWithoutMbindKeepsThePolicy) {
  in_child([this] {
    Memory m(8);
    ASSERT_EQ(run(HMS_OP_BIND, m, {slow_}), HMS_OK);
    deny(SYS_mbind);
    EXPECT_EQ(run(HMS_OP_UNBIND, m, {}), HMS_EPERM);
    EXPECT_EQ(engine_.query(m.span()).size(), 1u);
  });
}

TEST_F(FaultTest, MigrateWithoutMovePagesIsForbidden) {
  in_child([this] {
    Memory m(40);
    m.touch(0, 40);
    deny(SYS_move_pages);
    EXPECT_EQ(run(HMS_OP_MIGRATE, m, {fast_, slow_}), HMS_EPERM);
    EXPECT_NE(message_.find("move_pages"), std::string::npos) << message_;
    EXPECT_EQ(run(HMS_OP_MIGRATE, m, {slow_}, HMS_STRICT), HMS_EPERM);
    EXPECT_EQ(last_.pages_failed, 0u);
    auto r = engine_.residency(*topology_.snapshot, m.span());
    EXPECT_EQ(r.status().code(), HMS_EPERM);
    Memory other(16);
    EXPECT_EQ(run(HMS_OP_BIND, other, {fast_}), HMS_OK);
    EXPECT_EQ(last_.bytes_no_room, 0u) << "nothing stays charged";
  });
}

TEST_F(FaultTest, StrictBindThatCannotBeVerifiedIsTakenBack) {
  in_child([this] {
    Memory m(16);
    deny(SYS_move_pages);
    EXPECT_EQ(run(HMS_OP_BIND, m, {fast_}, HMS_STRICT), HMS_EPERM);
    EXPECT_TRUE(engine_.query(m.span()).empty());
    EXPECT_TRUE(default_policy(m, 0));
  });
}

TEST_F(FaultTest, WithoutGetMempolicyTheWorkGoesOn) {
  in_child([this] {
    Memory m(16);
    deny(SYS_get_mempolicy);
    EXPECT_EQ(run(HMS_OP_BIND, m, {fast_}, HMS_STRICT), HMS_OK) << message_;
    EXPECT_EQ(engine_.query(m.span()).size(), 1u);
  });
}

TEST_F(FaultTest, StrictOnAnOldKernelSaysWhatIsMissing) {
  in_child([this] {
    Memory m(16);
    deny(SYS_madvise, 0, EINVAL);
    EXPECT_EQ(run(HMS_OP_BIND, m, {fast_}, HMS_STRICT), HMS_ENOSYS);
    EXPECT_NE(message_.find("5.14"), std::string::npos) << message_;
    EXPECT_TRUE(engine_.query(m.span()).empty());
    EXPECT_EQ(run(HMS_OP_BIND, m, {fast_}), HMS_OK) << "what is not strict needs no madvise";
  });
}

}  // namespace
}  // namespace hms::hbind
