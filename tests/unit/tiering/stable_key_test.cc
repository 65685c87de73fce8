// Keys of allocating places: the same in every run and whatever else was built anew.
#include "runtime/tiering/stable_key.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "runtime/support/loaded_object.h"

namespace hms::tiering {
namespace {

CodeObjects objects;

std::string text_of(const StableKey& key) {
  std::string out;
  for (size_t i = 0; i < key.count; ++i) {
    const KeyFrame& f = key.frames[i];
    char offset[32];
    snprintf(offset, sizeof offset, "+%llx ", static_cast<unsigned long long>(f.offset));
    out += f.object == kGeneratedCode ? "? " : objects.at(f.object).id + offset;
  }
  return out;
}

// Stands for an entry point of malloc: what it returns to is the place.
__attribute__((noinline)) StableKey entry() {
  StableKey key = capture_key(__builtin_return_address(0), &objects);
  asm volatile("" ::: "memory");
  return key;
}

__attribute__((noinline)) StableKey inner() {
  StableKey key = entry();
  asm volatile("" ::: "memory");
  return key;
}
__attribute__((noinline)) StableKey left() {
  StableKey key = inner();
  asm volatile("# left" ::: "memory");
  return key;
}
// Not the same as left(), or the compiler makes one of them.
__attribute__((noinline)) StableKey right() {
  StableKey key = inner();
  asm volatile("# right" ::: "memory");
  return key;
}

TEST(StableKeyTest, FramesFromThePlaceOutwards) {
  const StableKey a = left(), b = right();
  ASSERT_EQ(a.count, kKeyFrames);
  ASSERT_EQ(b.count, kKeyFrames);
  EXPECT_TRUE(a.frames[0] == b.frames[0]);   // within inner()
  EXPECT_FALSE(a.frames[1] == b.frames[1]);  // within left() and right()
  EXPECT_EQ(a.frames[0].object, a.frames[1].object);
  std::string twice[2];
  for (std::string& text : twice) text = text_of(left());
  EXPECT_EQ(twice[0], twice[1]);
}

TEST(StableKeyTest, ObjectsAreNamedByBuildId) {
  const StableKey key = inner();
  const CodeObject object = objects.at(key.frames[0].object);
  EXPECT_EQ(object.id.compare(0, 6, "build:"), 0) << object.id;
  EXPECT_EQ(object.id.size(), 6u + 40u);
  char self[4096];
  const ssize_t bytes = readlink("/proc/self/exe", self, sizeof self);
  ASSERT_GT(bytes, 0);
  EXPECT_EQ(object.path, std::string(self, static_cast<size_t>(bytes)));
}

// A site that is not on the stack (a frame that a tail call took away) is all that is known.
TEST(StableKeyTest, APlaceThatIsNotOnTheStack) {
  const void* out[kKeyFrames];
  // Not a function that sanitizers put theirs in the place of.
  const void* elsewhere = reinterpret_cast<const char*>(&gnu_get_libc_version) + 1;
  EXPECT_EQ(walk_from(elsewhere, out, kKeyFrames), 1u);
  EXPECT_EQ(out[0], elsewhere);
  const StableKey key = capture_key(elsewhere, &objects);
  EXPECT_NE(objects.at(key.frames[0].object).path.find("libc"), std::string::npos);
}

TEST(StableKeyTest, GeneratedCodeHasNoObject) {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  const KeyFrame frame = objects.frame_of(static_cast<char*>(page) + 64);
  EXPECT_EQ(frame.object, kGeneratedCode);
  EXPECT_EQ(frame.offset, 0u);
  EXPECT_EQ(objects.frame_of(nullptr).object, kGeneratedCode);
  munmap(page, 4096);
}

TEST(StableKeyTest, ThreadsMayMeetAnObjectAtOnce) {
  static CodeObjects shared;
  std::vector<std::thread> threads;
  std::vector<std::string> ids(8);
  for (size_t i = 0; i < ids.size(); ++i) {
    threads.emplace_back([i, &ids] {
      const void* code = i % 2 == 0 ? reinterpret_cast<const void*>(&puts)
                                    : reinterpret_cast<const void*>(&text_of);
      const KeyFrame frame = shared.frame_of(static_cast<const char*>(code) + 1);
      ids[i] = shared.at(frame.object).id;
    });
  }
  for (std::thread& t : threads) t.join();
  for (size_t i = 2; i < ids.size(); ++i) EXPECT_EQ(ids[i], ids[i % 2]);
  EXPECT_NE(ids[0], ids[1]);
  EXPECT_LE(shared.size(), 8u);
}

// Runs this program again: one line "ADDRESS KEY" of a key with a frame in a plugin.
std::string run_again(const std::string& plugin) {
  char self[4096];
  const ssize_t bytes = readlink("/proc/self/exe", self, sizeof self - 1);
  if (bytes <= 0) return "";
  self[bytes] = '\0';
  const std::string command = "HMS_TEST_PLUGIN=" + plugin + " " + self +
                              " --gtest_also_run_disabled_tests"
                              " --gtest_filter=StableKeyTest.DISABLED_PrintKey";
  std::string line;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  char text[4096];
  while (fgets(text, sizeof text, pipe) != nullptr) {
    if (strncmp(text, "KEY ", 4) == 0) line = text + 4;
  }
  pclose(pipe);
  return line;
}

int print_key(void*) {
  const StableKey key = inner();
  printf("KEY %p %s\n", reinterpret_cast<const void*>(&print_key), text_of(key).c_str());
  return 0;
}

TEST(StableKeyTest, DISABLED_PrintKey) {
  void* plugin = dlopen(getenv("HMS_TEST_PLUGIN"), RTLD_NOW);
  ASSERT_NE(plugin, nullptr) << dlerror();
  using Call = int (*)(int (*)(void*), void*);
  auto call = reinterpret_cast<Call>(dlsym(plugin, "hms_test_call"));
  ASSERT_NE(call, nullptr);
  call(print_key, nullptr);
}

std::vector<std::string> words(const std::string& line) {
  std::vector<std::string> out;
  for (size_t at = 0; at < line.size();) {
    const size_t end = line.find_first_of(" \n", at);
    if (end == std::string::npos) break;
    if (end > at) out.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

TEST(StableKeyTest, SurvivesAnotherLayoutOfTheAddressSpace) {
  if ((personality(0xffffffff) & ADDR_NO_RANDOMIZE) != 0) {
    GTEST_SKIP() << "addresses are not random here (setarch -R)";
  }
  const std::vector<std::string> once = words(run_again(HMS_TEST_PLUGIN_ONE));
  ASSERT_EQ(once.size(), 1 + kKeyFrames);
  // One address in a few thousand comes twice; never three times in a row.
  bool moved = false;
  for (int i = 0; i < 3; ++i) {
    std::vector<std::string> again = words(run_again(HMS_TEST_PLUGIN_ONE));
    ASSERT_EQ(again.size(), once.size());
    moved = moved || again[0] != once[0];
    again[0] = once[0];
    EXPECT_EQ(again, once);
  }
  EXPECT_TRUE(moved);
}

TEST(StableKeyTest, SurvivesARebuildOfAnotherObject) {
  const std::vector<std::string> one = words(run_again(HMS_TEST_PLUGIN_ONE));
  const std::vector<std::string> two = words(run_again(HMS_TEST_PLUGIN_TWO));
  ASSERT_EQ(one.size(), 1 + kKeyFrames);
  ASSERT_EQ(two.size(), one.size());
  // inner(), print_key(), the plugin, the test: only the plugin is another one.
  EXPECT_EQ(one[1], two[1]);
  EXPECT_EQ(one[2], two[2]);
  EXPECT_NE(one[3], two[3]);
  EXPECT_EQ(one[4], two[4]);
}

}  // namespace
}  // namespace hms::tiering
