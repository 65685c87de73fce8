// The router from its environment to its answers. Its state is one per process, so each case runs
// in a child of its own, and what it logs is read back from a file.
#include "allocator/routing/router.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

namespace hms::routing {
namespace {

namespace fs = std::filesystem;

class RouterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char dir[] = "/tmp/hms-router-XXXXXX";
    ASSERT_NE(mkdtemp(dir), nullptr);
    dir_ = dir;
    for (const char* name : {"HMS_CONF", "HMS_CONF_FILE", "HMS_TOPOLOGY", "XDG_CONFIG_HOME"}) {
      unsetenv(name);
    }
    setenv("HOME", dir, 1);
    setenv("HMS_LOG", (dir_ + "/log").c_str(), 1);
  }
  void TearDown() override {
    unsetenv("HMS_LOG");
    fs::remove_all(dir_);
  }

  void write(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(dir_ + "/" + name).parent_path());
    std::ofstream(dir_ + "/" + name) << text;
  }
  std::string log_text() const {
    std::ostringstream text;
    text << std::ifstream(dir_ + "/log").rdbuf();
    return text.str();
  }

  // Result of `body` after init() in a child: 0, or the number of the check that failed.
  int after_init(const std::function<int()>& body) {
    pid_t child = fork();
    if (child == 0) {
      init();
      _exit(body());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  }

  std::string dir_;
};

std::string spec_of(alloc::PlacementId id) {
  const Placement* placement = alloc::placement_info(id);
  return placement != nullptr ? placement->spec : "?";
}

std::string routed(size_t size, const void* site = nullptr) { return spec_of(route(size, site)); }

TEST_F(RouterTest, NothingConfiguredIsInactive) {
  EXPECT_EQ(after_init([] { return active.load() || route(8, nullptr) != 0; }), 0);
  setenv("HMS_CONF", "default;size>=4096:default", 1);
  EXPECT_EQ(after_init([] { return active.load() ? 1 : 0; }), 0);
  EXPECT_EQ(log_text(), "");
}

TEST_F(RouterTest, SizesGoToTheirTiers) {
  setenv("HMS_CONF", "tiers fast=64M,slow=1G; size>=4000:slow; size<100:fast>slow", 1);
  EXPECT_EQ(after_init([] {
              if (!active.load()) return 1;
              if (routed(3999) != "default") return 2;
              if (routed(4000) != "slow" || routed(1 << 30) != "slow") return 3;
              if (routed(99) != "fast>slow" || routed(0) != "fast>slow") return 4;
              return routed(100) == "default" ? 0 : 5;
            }),
            0);
  EXPECT_EQ(log_text(), "");
}

TEST_F(RouterTest, BadRulesAreReportedAndLeftOut) {
  setenv("HMS_CONF", "tiers fast=64M;size>=10:nowhere;sise=1:fast;size>=20:fast", 1);
  EXPECT_EQ(after_init([] { return routed(15) == "default" && routed(25) == "fast" ? 0 : 1; }), 0);
  std::string log = log_text();
  EXPECT_NE(log.find("HMS_CONF, line 1, column 16: rule left out: placement 'nowhere'"),
            std::string::npos)
      << log;
  EXPECT_NE(log.find("unknown condition 'sise'"), std::string::npos) << log;
}

TEST_F(RouterTest, ATopologyThatCannotBeReadLeavesNamesOut) {
  setenv("HMS_TOPOLOGY", "xml:/nonexistent.xml", 1);
  setenv("HMS_CONF", "size>=10:fast;size>=10:local", 1);
  EXPECT_EQ(after_init([] { return routed(15) == "local" ? 0 : 1; }), 0);
  EXPECT_NE(log_text().find("no topology"), std::string::npos) << log_text();
}

TEST_F(RouterTest, OtherProgramsRulesDoNotCount) {
  setenv("HMS_CONF", "program=redis-server:local;program=*routing*,size<8:local", 1);
  EXPECT_EQ(after_init([] { return routed(7) == "local" && routed(8) == "default" ? 0 : 1; }), 0);
}

TEST_F(RouterTest, ThreadsAreKnownByTheirNameEvenWhenItChanges) {
  setenv("HMS_CONF", "thread=worker*:local", 1);
  EXPECT_EQ(after_init([] {
              if (routed(8) != "default") return 1;
              int failed = 0;
              std::thread([&failed] {
                if (routed(8) != "default") failed = 2;
                pthread_setname_np(pthread_self(), "worker7");
                // Noticed within 256 requests.
                for (int i = 0; i < 256; ++i) route(8, nullptr);
                if (routed(8) != "local") failed = 3;
                pthread_setname_np(pthread_self(), "idle");
                for (int i = 0; i < 256; ++i) route(8, nullptr);
                if (routed(8) != "default") failed = 4;
              }).join();
              return failed != 0 ? failed : routed(8) == "default" ? 0 : 5;
            }),
            0);
}

TEST_F(RouterTest, ManyKindsOfThreadsShareTheTables) {
  std::string conf;
  for (int i = 0; i < 40; ++i) conf += "thread=t" + std::to_string(i) + ":local;";
  setenv("HMS_CONF", conf.c_str(), 1);
  EXPECT_EQ(after_init([] {
              int failed = 0;
              for (int i = 0; i < 42; ++i) {
                std::thread([i, &failed] {
                  pthread_setname_np(pthread_self(), ("t" + std::to_string(i)).c_str());
                  if (routed(8) != (i < 40 ? "local" : "default")) failed = 1 + i;
                }).join();
              }
              return failed;
            }),
            0);
}

TEST_F(RouterTest, CallSitesAreAskedOnceAndRemembered) {
  setenv("HMS_CONF", "object=libc.so.*,symbol=lfind:local", 1);
  EXPECT_EQ(after_init([] {
              void* libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
              const void* site = static_cast<const char*>(dlsym(libc, "lfind")) + 5;
              const void* other = static_cast<const char*>(dlsym(libc, "insque")) + 5;
              for (int i = 0; i < 3; ++i) {
                if (routed(8, site) != "local" || routed(8, other) != "default") return 1;
              }
              return 0;
            }),
            0);
}

TEST_F(RouterTest, FilesAreFoundInOrder) {
  write(".config/hms/hms.conf", "# mine\nsize<10:local\n");
  write("xdg/hms/hms.conf", "size<20:local\n");
  write("named.conf", "size<30:local\n");
  auto limit = [] {
    int size = 0;
    while (size < 100 && routed(static_cast<size_t>(size)) == "local") ++size;
    return size;
  };
  EXPECT_EQ(after_init(limit), 10);
  setenv("XDG_CONFIG_HOME", (dir_ + "/xdg").c_str(), 1);
  EXPECT_EQ(after_init(limit), 20);
  setenv("HMS_CONF_FILE", (dir_ + "/named.conf").c_str(), 1);
  EXPECT_EQ(after_init(limit), 30);
  setenv("HMS_CONF", "size<5:local;default", 1);  // comes first
  EXPECT_EQ(after_init(limit), 5);
  unsetenv("HMS_CONF_FILE");
  setenv("HMS_CONF", "", 1);  // and alone, it keeps the user's file out
  EXPECT_EQ(after_init(limit), 0);
  EXPECT_EQ(log_text(), "");
  setenv("HMS_CONF_FILE", "/nonexistent/hms.conf", 1);
  EXPECT_EQ(after_init(limit), 0);
  EXPECT_NE(log_text().find("HMS_CONF_FILE names /nonexistent/hms.conf"), std::string::npos);
}

}  // namespace
}  // namespace hms::routing
