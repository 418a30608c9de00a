#include "delivery/receipt.h"

#include "delivery/sync_run.h"

namespace tailrace::delivery {

Result<Receipt> receipt_of(const SyncRun& run, Ledger& ledger, PersonId person) {
  Receipt receipt;
  receipt.membership = TRY(ledger.find(run.name(), person));
  const Plan& plan = run.plan;
  receipt.desired = plan.is_desired(person);
  receipt.in_flight = plan.is_busy(person);
  for (const auto& batch : run.active) {
    for (const Item& item : batch->items) {
      if (item.person != person) continue;
      receipt.pending = batch->direction;
      receipt.compared = item.kind == Item::Kind::identifiers;
    }
  }
  if (!receipt.pending && plan.is_pending(person))
    receipt.pending = plan.is_pending_removal(person) ? Direction::remove : Direction::add;
  if (!receipt.pending && plan.needs_more(person)) {
    receipt.pending = Direction::add;
    receipt.compared = true;
  }
  receipt.refused = !receipt.pending && receipt.membership && !receipt.membership->reason.empty() &&
                    (plan.is_rejected(person) || plan.is_removal_refused(person) ||
                     receipt.membership->state == Membership::State::member);
  if (const auto cause = run.causes.find(person); receipt.pending && cause != run.causes.end()) {
    receipt.changed_at = cause->second.changed_at;
    receipt.received_at = cause->second.received_at;
  }
  return receipt;
}

}  // namespace tailrace::delivery
