// Finding the host's C++ runtime: see host_cxx.h. Only failing requests come here, so nothing is
// cached but what dlopen caches itself.
#include "allocator/entry/host_cxx.h"

#include <dlfcn.h>

#include "allocator/entry/gate.h"
#include "runtime/support/log.h"

namespace hms::entry {
namespace {

// In the global scope, or, when a C program has loaded C++ as a plug-in, in the runtime's own. The
// global scope may offer our own operators; these are not what is looked for.
void* find_in_runtime(const char* name) {
  InnerScope inner;
  for (const char* library : {"libstdc++.so.6", "libc++.so.1"}) {
    void* handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == nullptr) continue;
    void* address = dlsym(handle, name);
    dlclose(handle);
    if (address != nullptr) return address;
  }
  return nullptr;
}

void* find_in_host(const char* name) {
  InnerScope inner;
  void* address = dlsym(RTLD_DEFAULT, name);
  return address != nullptr ? address : find_in_runtime(name);
}

}  // namespace

std::new_handler host_new_handler() {
  using Get = std::new_handler (*)();
  auto get = reinterpret_cast<Get>(find_in_host("_ZSt15get_new_handlerv"));
  return get != nullptr ? get() : nullptr;
}

void throw_host_bad_alloc() {
  using Throw = void (*)();
  auto throw_bad_alloc = reinterpret_cast<Throw>(find_in_host("_ZSt17__throw_bad_allocv"));
  if (throw_bad_alloc != nullptr) throw_bad_alloc();
  log_once(
      LogLevel::kError, "no runtime",
      "operator new failed in a process without a shared C++ runtime, so std::bad_alloc cannot "
      "be thrown; the program gets a null pointer");
}

NothrowNew host_nothrow_new() {
  return reinterpret_cast<NothrowNew>(find_in_runtime("_ZnwmRKSt9nothrow_t"));
}

AlignedNothrowNew host_aligned_nothrow_new() {
  return reinterpret_cast<AlignedNothrowNew>(find_in_runtime("_ZnwmSt11align_val_tRKSt9nothrow_t"));
}

}  // namespace hms::entry
