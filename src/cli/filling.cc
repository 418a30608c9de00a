#include "cli/filling.h"

#include <cmath>

#include <fmt/format.h>

#include "cli/chart.h"
#include "cli/table.h"

namespace tailrace::cli {

std::string filling_in_words(const engine::Engine::Progress& progress, Millis elapsed) {
  using Step = engine::Engine::Progress::Step;
  std::string step;
  switch (progress.step) {
    case Step::none:
      return "";
    case Step::columns:
      step = fmt::format("step 1 of 3: columns of {}, people", progress.filling);
      break;
    case Step::records:
      step = fmt::format("step 2 of 3: records of {} read again,", progress.filling);
      break;
    case Step::people:
      step = "step 3 of 3: people evaluated,";
      break;
  }
  // Of the first moments nothing can be said.
  std::string left;
  if (progress.share > 0.01 && elapsed.count > 0) {
    const double seconds = static_cast<double>(elapsed.count) * (1 - progress.share) / progress.share / 1000;
    left = fmt::format(", about {} left", in_words(kSecond * std::llround(std::ceil(seconds))));
  }
  return fmt::format("a new workspace is being filled: {:.0f} %{} ({} {} of {})",
                     std::floor(progress.share * 100), left, step, grouped(progress.done),
                     grouped(progress.total));
}

}  // namespace tailrace::cli
