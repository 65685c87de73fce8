// Whose code is at an address: the shared object and the function, without the dynamic linker's
// lock (runtime/support/loaded_object.h says why). The symbol table of an object whose code is on
// the call stack cannot go away.
#pragma once

#include <cstdint>

#include "allocator/routing/rules.h"

namespace hms::routing {

// Bits of the rules whose object and symbol conditions hold for the code at `site`, a return
// address; rules without such conditions always hold. May allocate (demangling).
uint64_t match_site(const RuleTable& rules, const void* site);

// True if the program's file name matches: by how it was called or by what the link leads to.
bool match_program(const char* glob);

}  // namespace hms::routing
