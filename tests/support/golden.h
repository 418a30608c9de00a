// Golden files: cases as text that a person can read, which rewrite themselves on request
// (TAILRACE_UPDATE_GOLDEN=1; then read the difference before committing it).
//
//   ### the title of a case
//   input lines, as the test wants them
//   ----
//   what came out
//
// Lines before the first case are kept as they are. Neither input nor output may hold a line that begins with
// "### " or is "----"; blank lines at their ends do not count.
#pragma once

#include <functional>
#include <string>

namespace tailrace::testing {

// True when TAILRACE_UPDATE_GOLDEN is set to something.
bool updating_golden();

// Runs every case of the file and compares; a failure names the case and shows both texts.
void run_golden(const std::string& path, const std::function<std::string(const std::string& input)>& run);

// Compares a whole file with a text (or writes it, when updating).
void expect_file(const std::string& path, const std::string& text);

}  // namespace tailrace::testing
