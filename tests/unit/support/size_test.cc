// parse_size: exact bytes, and messages that name the input.
#include <gtest/gtest.h>

#include "runtime/support/size.h"

namespace hms {
namespace {

TEST(ParseSize, ReadsWhatPeopleWrite) {
  const struct {
    const char* text;
    uint64_t bytes;
  } kCases[] = {
      {"0", 0},
      {"1", 1},
      {"4096", 4096},
      {"4096B", 4096},
      {"2K", 2048},
      {"2k", 2048},
      {"2KB", 2048},
      {"2KiB", 2048},
      {"512M", 512ULL << 20},
      {"1.5GiB", 3ULL << 29},
      {"0.1K", 102},
      {"0.000000001E", 1152921504},
      {"3T", 3ULL << 40},
      {"4P", 4ULL << 50},
      {"15E", 15ULL << 60},
      {"18446744073709551615", UINT64_MAX},
      {"000000000000000000000007", 7},
  };
  for (const auto& c : kCases) {
    Result<uint64_t> bytes = parse_size(c.text);
    ASSERT_TRUE(bytes.ok()) << c.text << ": " << bytes.status().message();
    EXPECT_EQ(bytes.value(), c.bytes) << c.text;
  }
}

TEST(ParseSize, RejectsTheRestByName) {
  const struct {
    const char* text;
    const char* why;
  } kCases[] = {
      {"", "is empty"},
      {"M", "does not start with a digit"},
      {"-1", "does not start with a digit"},
      {" 1", "does not start with a digit"},
      {".5G", "does not start with a digit"},
      {"1.", "no digit after the point"},
      {"1.5", "a fraction of a byte"},
      {"1.5B", "a fraction of a byte"},
      {"1Q", "unknown unit 'Q'"},
      {"1 M", "unknown unit ' M'"},
      {"1MiBs", "unknown unit 'MiBs'"},
      {"0x10", "unknown unit 'x10'"},
      {"1.0000000000G", "more than 9 decimals"},
      {"16E", "does not fit in 64 bits"},
      {"18446744073709551616", "does not fit in 64 bits"},
      {"99999999999999999999999999999999999999999999", "does not fit in 64 bits"},
  };
  for (const auto& c : kCases) {
    Result<uint64_t> bytes = parse_size(c.text);
    ASSERT_FALSE(bytes.ok()) << c.text;
    EXPECT_EQ(bytes.status().code(), HMS_EINVAL);
    const std::string& message = bytes.status().message();
    EXPECT_NE(message.find(c.why), std::string::npos) << message;
    EXPECT_NE(message.find("'" + std::string(c.text) + "'"), std::string::npos) << message;
    EXPECT_NE(message.find("such as 4096, 512M or 1.5GiB"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace hms
