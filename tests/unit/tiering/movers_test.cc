// Who else moves pages, on systems that are made up of files.
#include "runtime/tiering/movers.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace hms::tiering {
namespace {

class MoversTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/hms-movers-XXXXXX";
    root_ = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void file(const std::string& path, const std::string& text) {
    const std::filesystem::path at = root_ + "/sys/kernel/mm/" + path;
    std::filesystem::create_directories(at.parent_path());
    std::ofstream(at) << text << "\n";
  }
  std::string root_;
};

TEST_F(MoversTest, NobodyMovesWhereNothingIsThere) { EXPECT_EQ(foreign_mover(root_), ""); }

TEST_F(MoversTest, DemotionMoves) {
  file("numa/demotion_enabled", "false");
  EXPECT_EQ(foreign_mover(root_), "");
  file("numa/demotion_enabled", "true");
  EXPECT_NE(foreign_mover(root_).find("demotion_enabled"), std::string::npos);
}

TEST_F(MoversTest, DamonMovesWhenASchemeOfARunningThreadDoes) {
  const std::string thread = "damon/admin/kdamonds/1/";
  file(thread + "contexts/0/schemes/2/action", "migrate_hot");
  file(thread + "state", "off");
  EXPECT_EQ(foreign_mover(root_), "");
  file(thread + "state", "on");
  EXPECT_NE(foreign_mover(root_).find("DAMON"), std::string::npos);
  file(thread + "contexts/0/schemes/2/action", "stat");
  EXPECT_EQ(foreign_mover(root_), "") << "one that watches moves nothing";
  file(thread + "contexts/0/schemes/2/action", "pageout");
  EXPECT_EQ(foreign_mover(root_), "") << "one that reclaims does not choose nodes";
}

}  // namespace
}  // namespace hms::tiering
