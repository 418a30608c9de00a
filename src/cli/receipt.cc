// receipt: what happened last between a person and each sync, step by step with how long each took.
#include "cli/receipt.h"

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/deliveries.h"
#include "cli/table.h"
#include "model/record.h"
#include "workspace/audience.h"

namespace tailrace::cli {
namespace {

using delivery::Membership;
using delivery::Receipt;
using destinations::BatchKind;

// The first event among what decides the audience that was received at this instant.
std::optional<Position> decided_by(server::Store& store, const segments::Explanation& part,
                                   Time received_at) {
  if (part.parts.empty() && part.evidence.position) {
    std::string bytes;
    const auto record = store.record(*part.evidence.position, bytes);
    if (record && record->received_at == received_at) return part.evidence.position;
  }
  for (const auto& inner : part.parts) {
    if (const auto found = decided_by(store, inner, received_at)) return found;
  }
  return std::nullopt;
}

// The event that caused the change; nothing where time alone did, or something else than an event.
Result<void> find_event(server::Store& store, engine::Engine& engine, const workspace::Workspace& workspace,
                        const language::ExprPtr& audience, PersonId person, ReceiptLine& line) {
  if (!line.received_at || !line.changed_at) return {};
  const auto explanation = TRY(engine.explain(workspace, audience, person, *line.changed_at));
  const auto position = decided_by(store, explanation, *line.received_at);
  if (!position) return {};
  std::string bytes;
  const auto record = TRY(store.record(*position, bytes));
  line.event = fmt::format("{}, message {}", record.event, record.message_id);
  line.event_at = record.time;
  return {};
}

// Pending since before delivery started: when the timeline of the audience has it.
Result<void> find_change(engine::Engine& engine, const workspace::Workspace& workspace,
                         const language::ExprPtr& audience, PersonId person, ReceiptLine& line) {
  const auto changes = TRY(engine.transitions(workspace, audience, kTimeMin, engine.now(), person));
  if (changes.empty()) return {};
  line.changed_at = changes.back().at;
  return {};
}

Result<std::vector<ReceiptLine>> receipts(const Run& run) {
  const auto workspace = TRY(applied_workspace(run.core));
  const auto syncs = TRY(asked_syncs(workspace, run.command.sync));
  const auto person =
      run.core.call([&](engine::Engine& engine) { return engine.find_person(run.command.person); });
  if (!person)
    return fail(Error::Code::not_found, fmt::format("nobody is known as `{}`", run.command.person));
  auto found = TRY(
      with_delivery(run.core, workspace, [&](delivery::Delivery& delivery) -> Result<std::vector<Receipt>> {
        std::vector<Receipt> all;
        for (const SyncId sync : syncs) all.push_back(TRY(delivery.receipt(sync, *person)));
        return all;
      }));
  const Zone zone = TRY(Zone::named(workspace.time_zone));
  std::vector<ReceiptLine> lines;
  for (std::size_t i = 0; i < syncs.size(); ++i) {
    const auto& sync = workspace.syncs[syncs[i].value];
    Receipt& receipt = found[i];
    if (run.core.courier() == nullptr && receipt.pending && !receipt.waiting.starts_with("stopped"))
      receipt.waiting = kNotRunning;
    ReceiptLine line = receipt_line(sync, receipt);
    line.held_out = server::held_out(sync, *person);
    if (const auto* config = workspace.find_destination(sync.destination)) {
      const auto* type = destinations::find(config->type);
      if (type != nullptr) line.processing = type->processing();
    }
    const auto audience = workspace::audience_expression(sync, zone);
    TRY(run.core.call([&](engine::Engine& engine) -> Result<void> {
      if (receipt.pending && !receipt.compared && !line.changed_at)
        TRY(find_change(engine, workspace, audience, *person, line));
      return find_event(run.core.store(), engine, workspace, audience, *person, line);
    }));
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

int run_receipt(const Run& run) {
  const auto lines = receipts(run);
  if (!lines) return run.fail(lines.error());
  run.console.out(run.command.format == Format::text ? receipt_text(*lines)
                                                     : receipt_table(*lines).print(run.command.format));
  return kDone;
}

}  // namespace tailrace::cli
