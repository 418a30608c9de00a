// release: lets through what the guards of a sync hold back.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/deliveries.h"
#include "cli/table.h"

namespace tailrace::cli {
namespace {

// Where no delivery runs: it is followed when one does.
Result<void> ask_in_ledger(delivery::Ledger& ledger, const std::string& sync) {
  delivery::SyncState state = TRY(ledger.state(sync));
  bool any = false;
  for (auto* side : {&state.guards.additions, &state.guards.removals}) {
    side->release_asked = side->hold != delivery::GuardSide::Hold::none;
    any = any || side->release_asked;
  }
  if (state.frozen) {
    any = true;
    state.frozen = false;
    state.baseline = {};
  }
  if (!any) return fail(Error::Code::conflict, fmt::format("the sync \"{}\" holds nothing back", sync));
  return ledger.write_state(sync, state);
}

Result<std::string> release(const Run& run) {
  const auto workspace = TRY(applied_workspace(run.core));
  const SyncId sync = TRY(find_sync(workspace, run.command.sync));
  if (run.core.courier() == nullptr) {
    TRY(run.core.with_ledger(
        [&](delivery::Ledger& ledger) { return ask_in_ledger(ledger, run.command.sync); }));
    return "Released. What waits goes when `tailrace serve` runs.\n";
  }
  const std::uint64_t people =
      TRY(run.core.courier()->call([&](delivery::Delivery* delivery) -> Result<std::uint64_t> {
        if (delivery == nullptr) return no_workspace();
        return delivery->release(sync, run.core.now());
      }));
  return fmt::format("Released: {} people.\n", grouped(people));
}

}  // namespace

int run_release(const Run& run) {
  const auto said = release(run);
  if (!said) return run.fail(said.error());
  run.console.out(*said);
  return kDone;
}

}  // namespace tailrace::cli
