// reupload: adds everybody again who stands in a sync's audience, and removes others.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/deliveries.h"
#include "cli/table.h"

namespace tailrace::cli {
namespace {

Result<std::string> reupload(const Run& run) {
  const auto workspace = TRY(applied_workspace(run.core));
  const SyncId sync = TRY(find_sync(workspace, run.command.sync));
  using delivery::Delivery;
  const auto others = run.command.remove_others ? Delivery::Others::remove : Delivery::Others::leave;
  const auto asked = TRY(with_delivery(run.core, workspace, [&](Delivery& delivery) {
    return delivery.reupload(sync, others, run.core.now());
  }));
  std::string text = fmt::format("{} people are added again, behind all changes{}.\n", grouped(asked.people),
                                 run.core.courier() == nullptr ? ", when `tailrace serve` runs" : "");
  if (!run.command.remove_others) return text;
  text += fmt::format(
      "Then the other people who are known ({} at most) are removed from the audience, which names them to "
      "the "
      "platform.\n",
      grouped(asked.others));
  if (asked.clears_from) {
    text += fmt::format("From {} on the platform is asked to let go of whoever it was told of before.\n",
                        format_time(*asked.clears_from));
  } else {
    text += "Whoever is not known here stays: this platform cannot be asked to let go of them.\n";
  }
  return text;
}

}  // namespace

int run_reupload(const Run& run) {
  const auto said = reupload(run);
  if (!said) return run.fail(said.error());
  run.console.out(*said);
  return kDone;
}

}  // namespace tailrace::cli
