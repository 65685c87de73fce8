// The thread of libhms in a process: start, rest, farewell, fork, and what it throws.
#include "allocator/service.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

namespace hms::alloc {
namespace {

// A body is a plain function: what it saw is here.
struct Seen {
  std::atomic<int> rounds{0};
  std::atomic<bool> ended{false};
  std::atomic<bool> child{false};
  sigset_t blocked;
};
Seen* seen = nullptr;

void work(Service& self) {
  pthread_sigmask(SIG_SETMASK, nullptr, &seen->blocked);
  seen->child = self.in_child();
  while (!self.ending()) {
    ++seen->rounds;
    self.sleep(0.001);
  }
  seen->ended = true;
}

class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override { seen = &seen_; }
  static void wait_for_rounds(int rounds) {
    while (seen->rounds < rounds) usleep(1000);
  }
  Seen seen_;
};

TEST_F(ServiceTest, WorksUntilItIsToldToEnd) {
  Service service;
  ASSERT_EQ(service.start("hms-test", work), 0);
  wait_for_rounds(3);
  service.finish(60);
  EXPECT_TRUE(seen_.ended);
  EXPECT_FALSE(seen_.child);
}

TEST_F(ServiceTest, SignalsStayWithTheProgram) {
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  Service service;
  ASSERT_EQ(service.start("hms-test", work), 0);
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  wait_for_rounds(1);
  service.finish(60);
  for (int number : {SIGTERM, SIGINT, SIGCHLD, SIGUSR1, SIGPROF, SIGSEGV}) {
    EXPECT_EQ(sigismember(&seen_.blocked, number), 1) << number;
    EXPECT_EQ(sigismember(&after, number), sigismember(&before, number)) << number;
  }
}

// Both are no more than what is asked of it: there is nothing to wait for.
TEST_F(ServiceTest, OneThatWasNotStartedOrHasEndedIsNotWaitedFor) {
  Service never;
  never.finish(1e9);
  EXPECT_EQ(never.restart_in_child(), 0);
  Service once;
  ASSERT_EQ(once.start("hms-test", [](Service&) {}), 0);
  once.finish(1e9);
  once.finish(1e9);
}

TEST_F(ServiceTest, SleepEndsWithTheProcess) {
  Service service;
  ASSERT_EQ(service.start("hms-test",
                          [](Service& self) {
                            ++seen->rounds;
                            self.sleep(1e6);
                            seen->ended = self.ending();
                          }),
            0);
  wait_for_rounds(1);
  service.finish(60);
  EXPECT_TRUE(seen_.ended);
}

TEST_F(ServiceTest, WhatItThrowsEndsOnlyIt) {
  Service service;
  ::testing::internal::CaptureStderr();
  ASSERT_EQ(
      service.start("hms-test", [](Service&) { throw std::runtime_error("no more of that"); }), 0);
  service.finish(60);
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("hms-test ended early: no more of that"), std::string::npos) << said;
}

// In a child that has the thread that forked only.
TEST_F(ServiceTest, AChildOfForkStartsItAgain) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the thread sanitizer allows no threads after a fork";
#endif
  Service service;
  ASSERT_EQ(service.start("hms-test", work), 0);
  wait_for_rounds(1);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const int before = seen->rounds;
    const bool started = service.restart_in_child() == 0;
    wait_for_rounds(before + 3);
    service.finish(60);
    _exit(started && seen->child && seen->ended ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_FALSE(seen_.child) << "the parent goes on as before";
  service.finish(60);
  EXPECT_TRUE(seen_.ended);
}

}  // namespace
}  // namespace hms::alloc
