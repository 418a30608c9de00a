#include "cli/expiry.h"

#include <fmt/format.h>

#include "cli/table.h"
#include "workspace/audience.h"

namespace tailrace::cli {

std::string expiry_in_words(const workspace::SyncConfig& sync, const Zone& zone, std::uint64_t expired,
                            Time now) {
  const bool targets = sync.effect == workspace::Effect::target;
  const std::string people = fmt::format("{} {}", grouped(expired), expired == 1 ? "person" : "people");
  const auto review = workspace::review_at(sync, zone);
  if (review && *review <= now) {
    return fmt::format("{}: the review date {} has passed; {}", sync.name,
                       format_time(*sync.review_date).substr(0, 10),
                       targets ? fmt::format("nobody is in the audience, {} would be", people)
                               : fmt::format("it suppresses, and keeps {}", people));
  }
  if (expired == 0) return "";
  return fmt::format("{}: {} entered the segment more than {} ago{}", sync.name, people,
                     format_duration(*sync.longest_stay),
                     targets ? ", out of the audience since" : "; it suppresses, and keeps them");
}

std::string expiries_in_words(const engine::Engine& engine, Time now) {
  std::string lines;
  if (engine.workspace() == nullptr) return lines;
  const auto zone = Zone::named(engine.workspace()->time_zone);
  const auto& syncs = engine.workspace()->syncs;
  for (std::uint32_t i = 0; zone && i < syncs.size(); ++i) {
    const auto expired = engine.expired(SyncId(i));
    if (!expired) continue;
    if (const std::string line = expiry_in_words(syncs[i], *zone, engine.size(*expired), now); !line.empty())
      lines += "  " + line + "\n";
  }
  return lines;
}

}  // namespace tailrace::cli
