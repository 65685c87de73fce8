// Compiled rules against the rules as written: sizes around every limit, threads, call sites.
#include "allocator/routing/rules.h"

#include <dlfcn.h>
#include <errno.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "allocator/routing/call_site.h"
#include "allocator/routing/site_cache.h"

namespace hms::routing {
namespace {

RuleTable compile(const std::string& text) {
  Config config;
  parse_config(text, "TEXT", &config);
  for (const std::string& problem : config.problems) ADD_FAILURE() << problem;
  std::vector<alloc::PlacementId> ids;
  for (size_t i = 0; i < config.rules.size(); ++i) {
    ids.push_back(static_cast<alloc::PlacementId>(i + 1));
  }
  return RuleTable(config.rules, ids);
}

// What the table says, or what the rules say where the table asks them.
alloc::PlacementId answer(const RuleTable& rules, uint64_t threads, size_t size) {
  Verdicts verdicts;
  rules.fill(threads, &verdicts);
  alloc::PlacementId id = size > alloc::kMaxCachedSize
                              ? kAskRules
                              : verdicts.of_class[alloc::cached_class(size)].of(size);
  return id != kAskRules ? id : rules.first(rules.size_mask(size) & threads);
}

TEST(Rules, FirstMatchWinsByExactSize) {
  RuleTable rules = compile("size=100..200:a;size>=150:b;size<10:c;size=4096:d");
  const struct {
    size_t size;
    alloc::PlacementId id;
  } kCases[] = {{0, 3},   {9, 3},   {10, 0},  {99, 0},   {100, 1},  {149, 1},
                {150, 1}, {200, 1}, {201, 2}, {4095, 2}, {4096, 2}, {SIZE_MAX, 2}};
  for (const auto& c : kCases) EXPECT_EQ(answer(rules, ~uint64_t{0}, c.size), c.id) << c.size;
}

// Any set of size rules, at and around each of its limits, against the definition.
TEST(Rules, AgreeWithTheDefinition) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Rule> rules(1 + random() % 8);
    std::vector<alloc::PlacementId> ids;
    std::vector<size_t> probes = {0, SIZE_MAX};
    for (Rule& rule : rules) {
      uint64_t a = random() >> (40 + random() % 24), b = random() >> (random() % 64);
      rule.min_size = std::min(a, b);
      rule.max_size = random() % 4 == 0 ? UINT64_MAX : std::max(a, b);
      ids.push_back(static_cast<alloc::PlacementId>(ids.size() + 1));
      for (uint64_t limit : {rule.min_size, rule.max_size}) {
        for (uint64_t near : {limit - 1, limit, limit + 1}) probes.push_back(near);
      }
    }
    RuleTable table(rules, ids);
    for (size_t size : probes) {
      alloc::PlacementId expected = 0;
      for (size_t i = 0; i < rules.size() && expected == 0; ++i) {
        if (rules[i].min_size <= size && size <= rules[i].max_size) expected = ids[i];
      }
      ASSERT_EQ(answer(table, ~uint64_t{0}, size), expected) << size;
    }
  }
}

Verdict verdict_on(const std::string& text, size_t size, const char* thread = "any") {
  RuleTable rules = compile(text);
  Verdicts verdicts;
  rules.fill(rules.thread_mask(thread), &verdicts);
  return verdicts.of_class[alloc::cached_class(size)];
}

TEST(Rules, OneLimitInsideAClassNeedsNoSearch) {
  Verdict cut = verdict_on("size>=4096:a", 4096);
  EXPECT_EQ(cut.of(4095), 0);
  EXPECT_EQ(cut.of(4096), 1);
  EXPECT_FALSE(cut.lasting);
  Verdict two = verdict_on("size=4000..4090:a", 4096);
  EXPECT_EQ(two.of(4001), kAskRules);
  EXPECT_FALSE(two.lasting);
}

// What a thread may remember for good: neither a limit, nor a name, nor a call site has a part.
TEST(Rules, LastingAnswers) {
  EXPECT_TRUE(verdict_on("size>=4096:a", 4097).lasting);
  EXPECT_TRUE(verdict_on("size>=4096:a", 3584).lasting);
  EXPECT_TRUE(verdict_on("size>4096:a", 4096).lasting);
  EXPECT_TRUE(verdict_on("a;thread=main:b", 8).lasting);
  for (const char* thread : {"main", "other"}) {
    EXPECT_FALSE(verdict_on("thread=main:b;a", 8, thread).lasting);
    EXPECT_FALSE(verdict_on("size>=100:a;thread=main:b", 8, thread).lasting);
    EXPECT_TRUE(verdict_on("size>=100:a;thread=main:b", 200, thread).lasting);
  }
  EXPECT_FALSE(verdict_on("object=libc*:a", 8).lasting);
  EXPECT_TRUE(verdict_on("a;object=libc*:b", 8).lasting);
}

TEST(Rules, ThreadsByGlob) {
  RuleTable rules = compile("thread=bio_*:a;thread=main:b;c");
  EXPECT_TRUE(rules.has_thread_rules());
  EXPECT_EQ(answer(rules, rules.thread_mask("bio_close"), 8), 1);
  EXPECT_EQ(answer(rules, rules.thread_mask("main"), 8), 2);
  EXPECT_EQ(answer(rules, rules.thread_mask("other"), 8), 3);
}

const void* libc_site(const char* function) {
  void* libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
  return static_cast<const char*>(dlsym(libc, function)) + 5;
}

alloc::PlacementId at_site(const RuleTable& rules, const void* site) {
  uint64_t mask = rules.size_mask(8);
  return rules.first(mask & match_site(rules, site));
}

TEST(CallSite, ObjectsByFileName) {
  RuleTable rules = compile("object=libc.so.*:a;object=nothing.so:b");
  EXPECT_EQ(at_site(rules, libc_site("lfind")), 1);
  static int variable;
  EXPECT_EQ(at_site(rules, &variable), 0);  // the program itself
  int on_stack;
  EXPECT_EQ(at_site(rules, &on_stack), 0);  // in no object
  EXPECT_EQ(at_site(rules, nullptr), 0);
}

TEST(CallSite, TheProgramHasItsOwnName) {
  std::string program = program_invocation_short_name;
  RuleTable rules = compile("object=\"" + program + "\":a");
  static int variable;
  EXPECT_EQ(at_site(rules, &variable), 1);
  EXPECT_EQ(at_site(rules, libc_site("lfind")), 0);
}

TEST(CallSite, SymbolsAndTheirAliases) {
  RuleTable rules = compile("symbol=lfin?:a;symbol=lsearch:b");
  EXPECT_EQ(at_site(rules, libc_site("lfind")), 1);
  EXPECT_EQ(at_site(rules, libc_site("lsearch")), 2);
  EXPECT_EQ(at_site(rules, libc_site("insque")), 0);
  RuleTable both = compile("object=libm*,symbol=lfind:a;object=libc*,symbol=lfind:b");
  EXPECT_EQ(at_site(both, libc_site("lfind")), 2);
}

TEST(CallSite, CxxFunctionsByTheirSourceName) {
  void* library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(library, nullptr);
  const char* name = "_ZNSt6thread20hardware_concurrencyEv";
  const void* site = static_cast<const char*>(dlsym(library, name)) + 2;
  EXPECT_EQ(at_site(compile("symbol=\"std::thread::hardware*\":a"), site), 1);
  EXPECT_EQ(at_site(compile("symbol=_ZNSt6thread*:a"), site), 1);
  EXPECT_EQ(at_site(compile("symbol=hardware*:a"), site), 0);
}

TEST(CallSite, OnlyRulesThatNeedItAsk) {
  RuleTable rules = compile("size>=4096:a;object=libc*:b;c");
  EXPECT_FALSE(rules.needs_site(rules.size_mask(8192)));
  EXPECT_TRUE(rules.needs_site(rules.size_mask(16)));
}

TEST(Program, MatchesHowItWasCalled) {
  EXPECT_TRUE(match_program(program_invocation_short_name));
  EXPECT_TRUE(match_program("*unit_routing*"));
  EXPECT_FALSE(match_program("redis-server"));
}

TEST(SiteCache, RemembersFromManyThreads) {
  static SiteCache cache;
  constexpr uintptr_t kSites = 4000;
  auto mask_of = [](uintptr_t site) { return uint64_t{site * 31}; };
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (uintptr_t i = 1; i <= kSites; ++i) {
        const void* site = reinterpret_cast<const void*>(i * 64);
        cache.insert(site, mask_of(i));
        uint64_t mask = 0;
        if (cache.find(site, &mask) && mask != mask_of(i)) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  size_t known = 0;
  for (uintptr_t i = 1; i <= kSites; ++i) {
    uint64_t mask = 0;
    known += cache.find(reinterpret_cast<const void*>(i * 64), &mask) ? 1 : 0;
  }
  EXPECT_GT(known, kSites * 9 / 10);
}

// Far more sites than slots: no wrong answer, no endless search.
TEST(SiteCache, FullIsFull) {
  static SiteCache cache;
  for (uintptr_t i = 1; i <= 100000; ++i) {
    const void* site = reinterpret_cast<const void*>(i * 16);
    cache.insert(site, i);
    uint64_t mask = i;
    cache.find(site, &mask);
    ASSERT_EQ(mask, i);
  }
}

}  // namespace
}  // namespace hms::routing
