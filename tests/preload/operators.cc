// operators.cc - [new.delete] of C++17: every replaceable form, as a program with its own shared
// libstdc++ sees them.
#include <dlfcn.h>

#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

// The forms with a hint of heat, which no header declares. Weak: plain runtimes lack them.
enum class __hot_cold_t : uint8_t {};  // NOLINT(bugprone-reserved-identifier)
#define WEAK __attribute__((weak))
WEAK void* operator new(size_t, __hot_cold_t);
WEAK void* operator new[](size_t, __hot_cold_t);
WEAK void* operator new(size_t, std::align_val_t, __hot_cold_t);
WEAK void* operator new[](size_t, std::align_val_t, __hot_cold_t);
WEAK void* operator new(size_t, const std::nothrow_t&, __hot_cold_t) noexcept;
WEAK void* operator new[](size_t, const std::nothrow_t&, __hot_cold_t) noexcept;
WEAK void* operator new(size_t, std::align_val_t, const std::nothrow_t&, __hot_cold_t) noexcept;
WEAK void* operator new[](size_t, std::align_val_t, const std::nothrow_t&, __hot_cold_t) noexcept;

namespace {

// Volatile, so that the compiler neither folds the request nor warns about it.
volatile size_t too_large = SIZE_MAX / 2 + 1;

template <typename Function>
bool throws_bad_alloc(Function function) {
  try {
    opaque(function());
  } catch (const std::bad_alloc& error) {
    return std::string(error.what()) == "std::bad_alloc";
  }
  return false;
}

void throwing_forms() {
  constexpr std::align_val_t kAlignment{128};
  CHECK(throws_bad_alloc([] { return operator new(too_large); }));
  CHECK(throws_bad_alloc([] { return operator new[](too_large); }));
  CHECK(throws_bad_alloc([=] { return operator new(too_large, kAlignment); }));
  CHECK(throws_bad_alloc([=] { return operator new[](too_large, kAlignment); }));
  // As a whole expression, and out of a thread.
  bool caught = false;
  std::thread([&] { caught = throws_bad_alloc([] { return new char[too_large]; }); }).join();
  CHECK(caught);
  CHECK(std::uncaught_exceptions() == 0);
}

void nothrow_forms() {
  constexpr std::align_val_t kAlignment{128};
  CHECK(operator new(too_large, std::nothrow) == nullptr);
  CHECK(operator new[](too_large, std::nothrow) == nullptr);
  CHECK(operator new(too_large, kAlignment, std::nothrow) == nullptr);
  CHECK(operator new[](too_large, kAlignment, std::nothrow) == nullptr);
}

int handler_calls = 0;

void give_up_after_three() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

struct HandlerError : std::bad_alloc {};

void throw_own() {
  ++handler_calls;
  throw HandlerError();
}

// [new.delete.single] p4: the handler is called until it makes room, throws, or is removed.
void new_handler() {
  std::set_new_handler(give_up_after_three);
  CHECK(throws_bad_alloc([] { return operator new(too_large); }));
  CHECK(handler_calls == 3);

  handler_calls = 0;
  std::set_new_handler(throw_own);
  bool own = false;
  try {
    opaque(operator new(too_large));
  } catch (const HandlerError&) {
    own = true;
  }
  CHECK(own && handler_calls == 1);
  // The nothrow forms call it as well, and turn what it throws into null.
  CHECK(operator new(too_large, std::nothrow) == nullptr&& handler_calls == 2);
  CHECK(operator new[](too_large, std::nothrow) == nullptr&& handler_calls == 3);
  CHECK(operator new (too_large, std::align_val_t{256}, std::nothrow) == nullptr);
  CHECK(handler_calls == 4 && std::uncaught_exceptions() == 0);
  std::set_new_handler(nullptr);
}

struct alignas(64) Line {
  char bytes[256];
};
struct alignas(4096) Page {
  char bytes[4096];
};

// A3: C++17 aligned new and delete.
void over_aligned() {
  for (int i = 0; i < 1000; i++) {
    auto* line = static_cast<Line*>(opaque(new Line));
    auto* pages = static_cast<Page*>(opaque(new Page[3]));
    CHECK(reinterpret_cast<uintptr_t>(line) % 64 == 0);
    CHECK(reinterpret_cast<uintptr_t>(pages) % 4096 == 0);
    memset(pages, 1, 3 * sizeof(Page));
    delete line;
    delete[] pages;
  }
}

void delete_forms() {
  constexpr std::align_val_t kAlignment{64};
  const pages before = [] {
    pages_now();
    return pages_now();
  }();
  for (int i = 0; i < 20000; i++) {
    operator delete(opaque(operator new(1000)));
    operator delete (opaque(operator new(1000)), size_t{1000});
    operator delete(opaque(operator new(1000, std::nothrow)), std::nothrow);
    operator delete[](opaque(operator new[](1000)));
    operator delete[](opaque(operator new[](1000)), size_t{1000});
    operator delete[](opaque(operator new[](1000, std::nothrow)), std::nothrow);
    operator delete(opaque(operator new(1000, kAlignment)), kAlignment);
    operator delete (opaque(operator new(1000, kAlignment)), size_t{1000}, kAlignment);
    operator delete(opaque(operator new(1000, kAlignment, std::nothrow)), kAlignment, std::nothrow);
    operator delete[](opaque(operator new[](1000, kAlignment)), kAlignment);
    operator delete[](opaque(operator new[](1000, kAlignment)), size_t{1000}, kAlignment);
    operator delete[](opaque(operator new[](1000, kAlignment, std::nothrow)), kAlignment,
                      std::nothrow);
  }
  operator delete(nullptr);
  operator delete[](nullptr, kAlignment);
  CHECK(pages_now().resident <= before.resident + 1024);
  void* empty = operator new(0);
  CHECK(empty != nullptr);
  operator delete(empty);
}

constexpr __hot_cold_t kColdest{1}, kNeutral{128}, kBoth{222}, kHottest{254};  // as LLVM passes

void need_hinted_forms() {
  auto* form = static_cast<void* (*)(size_t, __hot_cold_t)>(operator new);
  if (form == nullptr) SKIP("the C++ runtime has no operator new with a hint of heat");
}

void hinted_forms() {
  need_hinted_forms();
  constexpr std::align_val_t kAlignment{256};
  for (const __hot_cold_t heat : {kColdest, kNeutral, kBoth, kHottest}) {
    for (size_t size : {size_t{0}, size_t{1}, size_t{1000}, size_t{70000}, size_t{5} << 20}) {
      void* plain[] = {operator new(size, heat), operator new[](size, heat),
                                                 operator new(size, std::nothrow, heat),
                                                 operator new[](size, std::nothrow, heat)};
      for (void* block : plain) {
        CHECK(block != nullptr);
        memset(block, 1, size);
        operator delete(opaque(block));
      }
      void* aligned[] = {operator new(size, kAlignment, heat),
                         operator new[](size, kAlignment, heat),
                         operator new(size, kAlignment, std::nothrow, heat),
                         operator new[](size, kAlignment, std::nothrow, heat)};
      for (void* block : aligned) {
        CHECK(block != nullptr && reinterpret_cast<uintptr_t>(block) % 256 == 0);
        memset(block, 1, size);
        operator delete(opaque(block), kAlignment);
      }
    }
  }
  // As the plain forms when there is no memory.
  std::set_new_handler(give_up_after_three);
  CHECK(throws_bad_alloc([] { return operator new(too_large, kHottest); }));
  CHECK(handler_calls == 3);
  CHECK(throws_bad_alloc([] { return operator new[](too_large, kColdest); }));
  CHECK(throws_bad_alloc([=] { return operator new(too_large, kAlignment, kColdest); }));
  CHECK(throws_bad_alloc([=] { return operator new[](too_large, kAlignment, kHottest); }));
  CHECK(operator new(too_large, std::nothrow, kColdest) == nullptr);
  CHECK(operator new[](too_large, kAlignment, std::nothrow, kHottest) == nullptr);
  CHECK(std::uncaught_exceptions() == 0);
}

// Under tiering the two tiers are what the blocks are born on; else nothing is said of a tier.
void hinted_places() {
  need_hinted_forms();
  auto target_of =
      reinterpret_cast<const char* (*)(const void*)>(dlsym(RTLD_DEFAULT, "hms_target_of"));
  CHECK(target_of != nullptr);
  const bool tiering = getenv("HMS_TIERING") != nullptr;
  const bool rules = getenv("HMS_CONF") != nullptr && !tiering;
  for (size_t size : {size_t{100}, size_t{20000}, size_t{100000}}) {
    // Twice: the second is a hit of the thread's cache, if there is one for the size.
    for (int i = 0; i < 2; ++i) {
      void* cold = operator new(size, kColdest);
      void* hot = operator new(size, kHottest);
      const char* slow = tiering || (rules && size >= 4096) ? "tier:slow"
                         : rules                            ? "tier:fast"
                                                            : "default";
      const char* fast = tiering ? "tier:fast" : slow;
      CHECK(strcmp(target_of(cold), slow) == 0);
      CHECK(strcmp(target_of(hot), fast) == 0);
      // Pages of one hold nothing of the other; and what grows stays with its like.
      CHECK(!tiering ||
            (reinterpret_cast<uintptr_t>(cold) ^ reinterpret_cast<uintptr_t>(hot)) >> 12 != 0);
      cold = realloc(cold, size + 50000);
      CHECK(cold != nullptr && (!tiering || strcmp(target_of(cold), "tier:slow") == 0));
      free(cold);
      operator delete(hot);
    }
  }
}

// Exceptions and containers from several threads, memory freed by another thread than made it.
void library_use() {
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<std::string>> strings(4000);
  for (size_t t = 0; t < 4; t++) {
    threads.emplace_back([t, &strings] {
      for (size_t i = t; i < strings.size(); i += 4) {
        strings[i] = std::make_unique<std::string>(i, 'x');
        try {
          throw std::runtime_error(*strings[i]);
        } catch (const std::exception& error) {
          CHECK(strlen(error.what()) == i);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (size_t i = 0; i < strings.size(); i++) CHECK(strings[i]->size() == i);
}

// Static objects: their constructors ran before main, their destructors free after it.
struct Early {
  std::vector<std::string> words{"made", "before", "main", std::string(100000, 'x')};
};
Early early;

void static_objects() {
  CHECK(early.words.size() == 4 && early.words[3].size() == 100000);
  static std::vector<std::string> late(1000, std::string(1000, 'y'));
  exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  static const test_case cases[] = {
      {"throwing_forms", throwing_forms}, {"nothrow_forms", nothrow_forms},
      {"new_handler", new_handler},       {"over_aligned", over_aligned},
      {"delete_forms", delete_forms},     {"library_use", library_use},
      {"static_objects", static_objects}, {"hinted_forms", hinted_forms},
      {"hinted_places", hinted_places},
  };
  return RUN_CASES(cases, argc, argv);
}
