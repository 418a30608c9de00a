// The delivery of a store, for commands that ask it: the running one of `serve`, or one that rests, made of
// the ledger and the segments, which sends nothing.
#pragma once

#include "base/random.h"
#include "cli/command.h"
#include "delivery/delivery.h"

namespace tailrace::cli {

// A delivery at rest. It asks no credentials, as it never sends. Errors: of the ledger; invalid_argument (a
// destination that this version does not know).
struct RestingDelivery {
  Random random{0};  // of retries, which never come
  std::unique_ptr<delivery::Delivery> delivery;
};
Result<std::unique_ptr<RestingDelivery>> resting_delivery(server::Core& core,
                                                          const workspace::Workspace& workspace);

// Whether the delivery is of this workspace's syncs. Error: unavailable (another was applied meanwhile).
Result<void> check_syncs(const delivery::Delivery& delivery, const workspace::Workspace& workspace);

// Work on the delivery, which for a running one happens on its thread: work(delivery::Delivery&) ->
// Result<T>. Errors: of the above; unavailable (the running one could not be taken up); of the work.
template <class Work>
auto with_delivery(server::Core& core, const workspace::Workspace& workspace, const Work& work)
    -> decltype(work(std::declval<delivery::Delivery&>())) {
  if (core.courier() != nullptr) {
    return core.courier()->call([&](delivery::Delivery* running) -> decltype(work(
                                                                     std::declval<delivery::Delivery&>())) {
      if (running == nullptr)
        return fail(Error::Code::unavailable, "delivery does not run; the log of `tailrace serve` says why");
      TRY(check_syncs(*running, workspace));
      return work(*running);
    });
  }
  const auto resting = TRY(resting_delivery(core, workspace));
  return work(*resting->delivery);
}

// The sync of this name and its place. Error: not_found.
Result<SyncId> find_sync(const workspace::Workspace& workspace, const std::string& name);
// That one, or all where the name is empty.
Result<std::vector<SyncId>> asked_syncs(const workspace::Workspace& workspace, const std::string& name);

// What is written instead of "waiting for its turn" while nothing runs.
constexpr std::string_view kNotRunning = "not running: start `tailrace serve`";

}  // namespace tailrace::cli
