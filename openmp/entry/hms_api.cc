// The library's own OpenMP calls (include/hms/hms_omp.h), and what OMP_DISPLAY_ENV shows.
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <exception>

#include "hms/hms.h"
#include "openmp/defaults.h"
#include "openmp/spaces.h"
#include "runtime/support/last_error.h"
#include "runtime/support/os.h"

namespace hms::omp {
namespace {

hms_status finish(const Status& status) { return status.ok() ? HMS_OK : fail(status); }

void print(const std::string& line) {
  const std::string text = line + "\n";
  os::write_all(2, text.data(), text.size());
}

// The runtimes print what they understood of OMP_ALLOCATOR, which old ones cannot say for traits
// and spaces; this says what is in force, in the same form.
void display_environment() {
  const char* wanted = secure_getenv("OMP_DISPLAY_ENV");
  if (wanted == nullptr) return;
  if (strcasecmp(wanted, "true") != 0 && strcasecmp(wanted, "verbose") != 0) return;
  const char* allocator = secure_getenv("OMP_ALLOCATOR");
  print("\nLIBHMS OPENMP DISPLAY ENVIRONMENT BEGIN");
  print("  [host] OMP_ALLOCATOR = '" +
        std::string(environment_names_allocator() ? allocator : "omp_default_mem_alloc") + "'");
  for (const std::string& space : describe_spaces()) print("  [host] memory space " + space);
  print("LIBHMS OPENMP DISPLAY ENVIRONMENT END");
}

__attribute__((constructor)) void on_load() {
  try {
    display_environment();
  } catch (const std::exception& failure) {
    print(std::string("libhms: OMP_DISPLAY_ENV: ") + failure.what());
  }
}

}  // namespace
}  // namespace hms::omp

extern "C" {

HMS_API hms_status hms_omp_space(const char* name, uintptr_t* out) try {
  if (name == nullptr || out == nullptr) {
    return hms::omp::finish({HMS_EINVAL, "hms_omp_space: a null argument"});
  }
  auto space = hms::omp::space_named(name);
  if (space.ok()) *out = space.value()->handle;
  return hms::omp::finish(space.status());
} catch (const std::exception&) {
  return HMS_ENOMEM;
}

HMS_API hms_status hms_omp_define_space(const char* name, const char* spec) try {
  if (name == nullptr || spec == nullptr) {
    return hms::omp::finish({HMS_EINVAL, "hms_omp_define_space: a null argument"});
  }
  return hms::omp::finish(hms::omp::define_space(name, spec));
} catch (const std::exception&) {
  return HMS_ENOMEM;
}

HMS_API hms_status hms_omp_allocator(const char* words, uintptr_t* out) try {
  if (words == nullptr || out == nullptr) {
    return hms::omp::finish({HMS_EINVAL, "hms_omp_allocator: a null argument"});
  }
  auto made = hms::omp::allocator_from_words(words);
  if (made.ok()) *out = made.value();
  return hms::omp::finish(made.status());
} catch (const std::exception&) {
  return HMS_ENOMEM;
}
}
