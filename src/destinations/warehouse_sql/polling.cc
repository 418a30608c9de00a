#include "destinations/warehouse_sql/polling.h"

#include <algorithm>

#include <fmt/format.h>

namespace tailrace::destinations {
namespace {

constexpr Millis kFirst{500};
constexpr Millis kMost{10'000};

}  // namespace

std::unexpected<Error> stopping() {
  return fail(Error::Code::unavailable, "given up, because tailrace stops");
}

Result<void> keep_looking(Transport& transport, Millis patience, std::string_view what,
                          const std::function<Result<bool>()>& look) {
  Millis wait = kFirst;
  for (Millis waited; waited < patience; waited = waited + wait, wait = std::min(wait * 2, kMost)) {
    if (!transport.wait(wait)) return stopping();
    if (TRY(look())) return {};
  }
  return fail(Error::Code::unavailable,
              fmt::format("{} takes longer than {} minutes", what, patience.count / kMinute.count));
}

}  // namespace tailrace::destinations
