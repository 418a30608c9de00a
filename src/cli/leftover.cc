#include "cli/leftover.h"

#include <fmt/format.h>

#include "base/grouped.h"

namespace tailrace::cli {

Result<Leftover> leftover_of(const workspace::SyncConfig& sync, delivery::Ledger& ledger) {
  const delivery::SyncState state = TRY(ledger.state(sync.name));
  Leftover leftover{.sync = sync.name,
                    .destination = state.destination.empty() ? sync.destination : state.destination,
                    .audience_id = state.audience_id,
                    .effect = sync.effect,
                    .is_retired = sync.is_retired(),
                    .people = 0};
  TRY(ledger.for_each(sync.name, [&](PersonId, const delivery::Membership& membership) {
    leftover.people += !membership.uploaded.empty();
  }));
  return leftover;
}

std::string leftover_in_words(const Leftover& leftover) {
  const bool one = leftover.people == 1;
  std::string text =
      fmt::format("The sync \"{}\" goes away: {} {} in its audience{} at \"{}\", and {}.", leftover.sync,
                  grouped(leftover.people), one ? "person stays" : "people stay",
                  leftover.audience_id.empty() ? "" : " " + leftover.audience_id, leftover.destination,
                  leftover.effect == workspace::Effect::target ? "its ads go on reaching them"
                                                               : "ads stay stopped for them");
  text += leftover.is_retired
              ? " It is retired already: wait until `tailrace status` says that nobody is in it."
              : " To empty it, keep the sync, write `lifecycle: retired` into it and apply that first.";
  return text;
}

}  // namespace tailrace::cli
