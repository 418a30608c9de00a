// Where the sources of this checkout are: golden files, examples and documents are found from there.
#pragma once

#include <string>

namespace tailrace::testing {

std::string source_dir();  // absolute, without a slash at its end

}  // namespace tailrace::testing
