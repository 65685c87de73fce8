// The examples of docs/api.md, compiled and run. A test compares the page with this file: each
// block there stands here between its [name] marks, word for word.
#include <gtest/gtest.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <hms/hms.hpp>

#include <fstream>
#include <map>
#include <memory_resource>
#include <sstream>
#include <string>
#include <vector>

namespace {

// The marked blocks are in C, which C++ also takes, but not without this warning.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
// clang-format off
int c_examples() {
  // [find]
  hms_topology* topology = NULL;
  if (hms_topology_load("tiers:fast=1M,slow=64M", &topology) != HMS_OK) {
    fprintf(stderr, "%s\n", hms_last_error());
    return 1;
  }
  hms_query_spec query = {0};
  query.size = sizeof query;
  query.order = HMS_BY_BANDWIDTH;
  query.min_bytes = 256 * 1024;
  hms_id best[8];
  size_t count = 8;
  if (hms_find(topology, &query, best, &count) != HMS_OK) return 1;
  for (size_t i = 0; i < count && i < 8; ++i) {
    hms_target_info info = {0};
    info.size = sizeof info;
    hms_target_get(topology, best[i], &info);
    printf("%zu. %s, %llu bytes\n", i + 1, info.key, (unsigned long long)info.bytes);
  }
  // [end]
  // [bind]
  size_t length = 4 << 20; /* four times what the first target holds */
  void* data = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return 1;
  hms_id list[2] = {hms_topology_find_key(topology, "fast"), hms_topology_find_key(topology, "slow")};
  if (hms_bind(topology, data, length, list, 2, 0) != HMS_OK) return 1;
  memset(data, 1, length); /* the first MiB is on "fast", the rest on "slow" */
  // [end]
  // [residency]
  hms_moved on[8];
  size_t targets = 8;
  uint64_t absent = 0, elsewhere = 0;
  if (hms_residency(topology, data, length, on, &targets, &absent, &elsewhere) != HMS_OK) return 1;
  for (size_t i = 0; i < targets && i < 8; ++i) {
    printf("%llu pages on target %u\n", (unsigned long long)on[i].pages, on[i].target);
  }
  printf("%llu do not exist, %llu are elsewhere\n", (unsigned long long)absent,
         (unsigned long long)elsewhere);
  // [end]
  EXPECT_EQ(targets, 2u);
  EXPECT_EQ(on[0].pages, on[0].target == list[0] ? 256u : 768u);
  EXPECT_EQ(on[1].pages, on[1].target == list[0] ? 256u : 768u);
  // [migrate]
  hms_moved moved[1];
  hms_status status = hms_migrate(topology, data, length, &list[0], 1, 0, moved);
  if (status == HMS_EPARTIAL) {
    /* "fast" is full: what did not fit stays where it is */
    printf("%llu pages moved; %s\n", (unsigned long long)moved[0].pages, hms_last_error());
  } else if (status != HMS_OK) {
    return 1;
  }
  // [end]
  EXPECT_EQ(status, HMS_EPARTIAL);
  EXPECT_EQ(moved[0].pages, 0u);
  // [strict]
  void* more = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (more == MAP_FAILED) return 1;
  status = hms_bind(topology, more, length, &list[0], 1, HMS_STRICT);
  if (status == HMS_ENOMEM) printf("not on fast alone: %s\n", hms_last_error());
  munmap(more, length);
  // [end]
  EXPECT_EQ(status, HMS_ENOMEM);
  // [submit]
  hms_op ops[2] = {{0}, {0}};
  for (size_t i = 0; i < 2; ++i) {
    ops[i].size = sizeof ops[i];
    ops[i].code = i == 0 ? HMS_OP_MIGRATE : HMS_OP_BIND;
    ops[i].address = data;
    ops[i].length = length;
    ops[i].targets = &list[1];
    ops[i].target_count = 1;
  }
  if (hms_submit(topology, ops, 2) != HMS_OK) return 1;
  printf("%llu pages looked at\n", (unsigned long long)ops[0].pages_present);
  // [end]
  // [check]
  hms_check_result seen = {0};
  seen.size = sizeof seen;
  char problems[1024];
  if (hms_check(0, &seen, problems, sizeof problems) != HMS_OK) return 1;
  if (seen.contradictions > 0) printf("%s", problems);
  // [end]
  EXPECT_EQ(seen.contradictions, 0u) << problems;
  // [hint]
  const hms_placement *hot = NULL, *scratch = NULL;
  if (hms_placement_hinted(HMS_HEAT_HOT, HMS_LIFE_LONG, &hot) != HMS_OK) return 1;
  if (hms_placement_hinted(HMS_HEAT_UNKNOWN, HMS_LIFE_SHORT, &scratch) != HMS_OK) return 1;
  double* index = (double*)hms_malloc(1000 * sizeof(double), hot);
  char* line = (char*)hms_malloc(200, scratch); /* never on a page with `index` */
  if (index == NULL || line == NULL) return 1;
  // [end]
  // [pin]
  size_t buffer_bytes = 1 << 20;
  char* buffer = (char*)malloc(buffer_bytes);
  if (hms_tiering_pin(buffer, buffer_bytes) != HMS_OK) return 1;
  /* a device may be told where the pages of the buffer are */
  if (hms_tiering_unpin(buffer, buffer_bytes) != HMS_OK) return 1;
  free(buffer);
  // [end]
  hms_free(index);
  hms_free(line);
  // [unmap]
  hms_unbind(data, length); /* forgets policy, moves nothing */
  if (hms_munmap(data, length) != 0) return 1;
  hms_topology_free(topology);
  // [end]
  return 0;
}

void cpp_example() {
  // [cpp]
  hms::Topology topology("tiers:cpp-fast=1M,cpp-slow=64M");
  hms_id fast = topology.at("cpp-fast"), slow = topology.at("cpp-slow");
  std::vector<char> buffer(4 << 20);
  hms::Range range = hms::Range::pages_of(buffer);
  range.bind(topology, {fast, slow});
  hms::Migration up = range.migrate(topology, {fast});
  if (!up.complete()) std::printf("%zu pages stayed\n", static_cast<std::size_t>(up.pages_failed));
  for (const hms_moved& on : range.residency(topology).on) {
    std::printf("%zu pages on %s\n", static_cast<std::size_t>(on.pages),
                topology.target(on.target).key);
  }
  try {
    range.bind(topology, {fast}, hms::Strictness::kStrict);
  } catch (const hms::Error& error) {
    std::printf("%s\n", error.what());
  }
  range.unbind();
  // [end]
  EXPECT_FALSE(up.complete());
  // [alloc]
  hms::Placement quick(topology, "cpp-fast>cpp-slow");
  std::vector<int, hms::Allocator<int>> numbers(quick);
  numbers.assign(1000, 42);
  hms::MemoryResource resource(quick);
  std::pmr::vector<std::pmr::string> words(&resource); /* the strings follow the vector */
  words.emplace_back("a string that is too long to live within its object");
  std::printf("on %s\n", hms_target_of(numbers.data()));
  // [end]
  EXPECT_STREQ(hms_target_of(numbers.data()), hms_target_of(words[0].data()));
  // [hint-cpp]
  hms::Placement rarely(hms::Heat::kCold);
  std::vector<char, hms::Allocator<char>> archive(1 << 20, 'x', rarely);
  hms::Range pages = hms::Range::pages_of(archive);
  pages.pin();
  pages.unpin();
  // [end]
  EXPECT_STREQ(hms_target_of(archive.data()), "default");
}
// clang-format on

TEST(ApiExamples, RunInC) { EXPECT_EQ(c_examples(), 0) << hms_last_error(); }

TEST(ApiExamples, RunInCpp) { cpp_example(); }

std::string without_indent(const std::string& line, size_t columns) {
  return line.size() > columns ? line.substr(columns) : "";
}

// Marked blocks of this file, by name.
std::map<std::string, std::string> blocks_of_source(const std::string& path) {
  std::map<std::string, std::string> out;
  std::ifstream file(path);
  std::string line, name;
  const std::string mark = "  // [";
  while (std::getline(file, line)) {
    if (line.compare(0, mark.size(), mark) == 0 && line.back() == ']') {
      name = line.substr(mark.size(), line.size() - mark.size() - 1);
    } else if (name != "end" && !name.empty()) {
      out[name] += without_indent(line, 2) + "\n";
    }
  }
  return out;
}

// Code blocks of the page, by the name in the comment above them; "" for one without.
std::map<std::string, std::string> blocks_of_page(const std::string& path) {
  std::map<std::string, std::string> out;
  std::ifstream file(path);
  std::string line, name;
  bool inside = false;
  while (std::getline(file, line)) {
    if (line.compare(0, 5, "<!-- ") == 0) {
      name = line.substr(5, line.find(" -->") - 5);
    } else if (line.compare(0, 3, "```") == 0) {
      if (inside) name.clear();
      inside = !inside;
      if (inside) out[name];
    } else if (inside) {
      out[name] += line + "\n";
    }
  }
  return out;
}

TEST(ApiExamples, ThePageSaysWhatIsTested) {
  const std::string root = std::string(HMS_TEST_DATA) + "/../..";
  auto source = blocks_of_source(root + "/tests/unit/hbind/api_examples_test.cc");
  auto page = blocks_of_page(root + "/docs/api.md");
  EXPECT_GE(page.size(), 8u);
  for (const auto& [name, text] : page) EXPECT_EQ(text, source[name]) << "block '" << name << "'";
}

}  // namespace
