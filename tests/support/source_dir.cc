// The one file that is compiled with the checkout's place, so that all others are the same in every checkout
// and a compiler cache serves them all.
#include "support/source_dir.h"

namespace tailrace::testing {

std::string source_dir() { return TAILRACE_SOURCE_DIR; }

}  // namespace tailrace::testing
