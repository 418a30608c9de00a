// For tests: what became of the records of a pass, a line for each kind of end: "2 add accepted".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "delivery/pass.h"

namespace tailrace::delivery {

inline std::vector<std::string> notes(const std::optional<Pass>& pass) {
  std::vector<std::string> texts;
  if (!pass) return texts;
  for (const auto& [key, count] : pass->counts) {
    const auto& [outcome, what, reason] = key;
    texts.push_back(
        fmt::format("{} {} {}{}{}", count, what, to_string(outcome), reason.empty() ? "" : ": ", reason));
  }
  return texts;
}

}  // namespace tailrace::delivery
