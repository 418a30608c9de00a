// reupload: adds everybody again who stands in a sync's audience.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/deliveries.h"
#include "cli/table.h"

namespace tailrace::cli {
namespace {

Result<std::string> reupload(const Run& run) {
  const auto workspace = TRY(applied_workspace(run.core));
  const SyncId sync = TRY(find_sync(workspace, run.command.sync));
  const std::uint64_t people = TRY(with_delivery(run.core, workspace, [&](delivery::Delivery& delivery) {
    return delivery.reupload(sync, run.core.now());
  }));
  return fmt::format("{} people are added again, behind all changes{}.\n", grouped(people),
                     run.core.courier() == nullptr ? ", when `tailrace serve` runs" : "");
}

}  // namespace

int run_reupload(const Run& run) {
  const auto said = reupload(run);
  if (!said) return run.fail(said.error());
  run.console.out(*said);
  return kDone;
}

}  // namespace tailrace::cli
