// Runs `hms` and keeps what it says, in a folder that goes with the test.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace hms::tiering {

class HmsCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char dir[] = "/tmp/hms-command-XXXXXX";
    ASSERT_NE(mkdtemp(dir), nullptr);
    dir_ = dir;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  struct Outcome {
    int code = 0;
    std::string out, err;
  };
  Outcome hms(const std::string& arguments) { return shell(HMS_COMMAND " " + arguments); }
  Outcome shell(const std::string& words) {
    const std::string line = words + " >" + dir_ + "/out 2>" + dir_ + "/err";
    const int status = system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text("out"), text("err")};
  }
  std::string text(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(dir_ + "/" + name).rdbuf();
    return text.str();
  }

  std::string dir_;
};

}  // namespace hms::tiering
