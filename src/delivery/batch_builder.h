// Turns pending people into a batch: asks for their identifiers, compares them with what was uploaded, and
// writes the intent into the ledger before it hands the batch out. What needs no request (nothing usable to
// upload, or everything held by somebody else too) is settled in the same write.
#pragma once

#include <memory>

#include "delivery/sync_run.h"

namespace tailrace::delivery {

class BatchBuilder {
 public:
  BatchBuilder(Ledger& ledger, ProfileSource& profiles) : ledger_(ledger), profiles_(profiles) {}

  struct Built {
    std::unique_ptr<ActiveBatch> batch;  // null when nobody needs a request
    std::size_t people = 0;              // taken care of, by the batch or without it
    std::size_t postponed = 0;           // parked, or to be removed instead of added
  };
  // Up to people_max people. Errors: of the ledger; then nothing has changed.
  Result<Built> build(SyncRun& run, Direction direction, std::size_t people_max, Time now);

  // The same of members who stay, to be added again as they are.
  Result<Built> build_renewals(SyncRun& run, std::size_t people_max, Time now);

  // Marks those among `people`, members or refused, for whom something else is to be uploaded now than was.
  Result<void> verify(SyncRun& run, std::span<const PersonId> people);

 private:
  struct Draft;
  struct Difference;
  Result<void> draft_adds(SyncRun& run, std::span<const PersonId> people, Time now, Draft& draft);
  Result<void> draft_removals(SyncRun& run, std::span<const PersonId> people, Time now, Draft& draft);
  Result<void> draft_changes(SyncRun& run, std::span<const PersonId> people, Time now, Draft& draft);
  Result<void> draft_removal(SyncRun& run, Item item, std::vector<destinations::UploadIdentifier> gone,
                             const PersonProfile& profile, Time now, Draft& draft);
  Result<Built> commit(SyncRun& run, Draft& draft);

  Ledger& ledger_;
  ProfileSource& profiles_;
};

}  // namespace tailrace::delivery
