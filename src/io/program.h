// Runs another program for what it prints: for credentials that a command gives out.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace tailrace::io {

struct ProgramLimits {
  Millis time_max{10'000};  // after it the program and what it started are killed
  std::size_t bytes_max = 64u << 10;
};

// What the program wrote to its standard output. words: the program (found in PATH where it has no slash) and
// its arguments, which reach it as they stand: there is no shell. It runs in `folder`, reads nothing, and
// what it says on standard error is thrown away, for it may hold a secret. Errors, which name the program and
// never its output: not_found (no such program), unavailable (it took too long), invalid_argument (it ended
// with another status than 0, or printed more than bytes_max), io.
Result<std::string> run_program(std::span<const std::string> words, const std::string& folder,
                                ProgramLimits limits = {});

}  // namespace tailrace::io
