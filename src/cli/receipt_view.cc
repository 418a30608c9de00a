#include <fmt/format.h>

#include "cli/receipt.h"

namespace tailrace::cli {
namespace {

using delivery::Membership;
using delivery::Receipt;
using destinations::BatchKind;

std::optional<Time> known(Time time) { return time.ms == 0 ? std::nullopt : std::optional(time); }

bool is_addition(const Membership& membership) {
  return membership.state != Membership::State::left && membership.state != Membership::State::removing;
}

void take_times(const Membership& membership, ReceiptLine& line) {
  line.change = is_addition(membership) ? "addition" : "removal";
  line.changed_at = known(membership.changed_at);
  line.received_at = known(membership.received_at);
  line.sent_at = known(membership.sent_at);
  const bool is_over =
      membership.state == Membership::State::member || membership.state == Membership::State::left;
  if (is_over) line.acknowledged_at = known(membership.acknowledged_at);
}

// The steps that have happened, in order.
struct Step {
  const char* name;
  Time at;
  std::string more;
};
std::vector<Step> steps_of(const ReceiptLine& line) {
  std::vector<Step> steps;
  const auto add = [&](const char* name, std::optional<Time> at, std::string more = "") {
    if (at) steps.push_back({name, *at, std::move(more)});
  };
  add("event", line.event_at, line.event);
  add("received", line.received_at);
  const bool is_removal = line.change == "removal";
  add(is_removal ? "left" : "entered", line.changed_at);
  add("sent", line.sent_at);
  add("acknowledged", line.acknowledged_at);
  return steps;
}

std::optional<Millis> between(std::optional<Time> from, std::optional<Time> to) {
  if (!from || !to) return std::nullopt;
  return *to - *from;
}

}  // namespace

ReceiptLine receipt_line(const workspace::SyncConfig& sync, const Receipt& receipt) {
  ReceiptLine line;
  line.sync = sync.name;
  line.destination = sync.destination;
  line.effect = sync.effect;
  line.standing = "not in the audience";
  // Who was refused and has left since never was in it.
  const bool was_there = receipt.membership && receipt.membership->state != Membership::State::rejected;
  if (was_there || receipt.refused) {
    line.standing = "acknowledged";
    take_times(*receipt.membership, line);
    if (receipt.refused) line.standing = "refused: " + receipt.membership->reason;
  }
  if (!receipt.pending) return line;
  line.standing = "pending: " + receipt.waiting;
  if (receipt.compared) {
    line.change = "exchange of identifiers";
    line.changed_at = line.received_at = line.sent_at = line.acknowledged_at = std::nullopt;
    return line;
  }
  const bool is_addition_pending = *receipt.pending == BatchKind::add;
  line.change = is_addition_pending ? "addition" : "removal";
  // The ledger speaks of this step only once its request was written down.
  const auto begun = is_addition_pending ? Membership::State::adding : Membership::State::removing;
  if (receipt.membership && receipt.membership->state == begun && !receipt.changed_at) return line;
  line.changed_at = receipt.changed_at;
  line.received_at = receipt.received_at;
  line.sent_at = line.acknowledged_at = std::nullopt;
  return line;
}

std::string receipt_text(std::span<const ReceiptLine> lines) {
  std::string out;
  for (const ReceiptLine& line : lines) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{}, at {}: {}{}{}{}\n", line.sync, line.destination, line.change,
                       line.change.empty() ? "" : ", ", line.standing, line.held_out ? "; held out" : "");
    std::optional<Time> before;
    for (const Step& step : steps_of(line)) {
      out += fmt::format("  {:<13} {}  {:>14}  {}\n", step.name, format_time(step.at),
                         before ? "+" + format_duration(step.at - *before) : "", step.more);
      while (out.ends_with(" \n")) out.erase(out.size() - 2, 1);
      before = step.at;
    }
    if (const auto total = between(line.received_at, line.acknowledged_at))
      out += fmt::format("  from received to acknowledged: {}\n", format_duration(*total));
    if (line.processing && line.acknowledged_at)
      out += fmt::format("  apart from that: the platform may take {} until it shows ({})\n",
                         format_duration(line.processing->most), line.processing->source);
  }
  return out;
}

Table receipt_table(std::span<const ReceiptLine> lines) {
  Table table({"sync", "destination", "effect", "change", "standing", "held_out", "event", "event_at",
               "received_at", "changed_at", "sent_at", "acknowledged_at", "event_to_received_ms",
               "received_to_changed_ms", "changed_to_sent_ms", "sent_to_acknowledged_ms",
               "received_to_acknowledged_ms", "platform_processing_ms", "platform_processing_source"});
  const auto text = [](const std::string& one) { return one.empty() ? Value() : Value::of(one); };
  const auto time = [](std::optional<Time> one) { return one ? Value::of(format_time(*one)) : Value(); };
  const auto lag = [](std::optional<Time> from, std::optional<Time> to) {
    const auto length = between(from, to);
    return length ? Value::of(Number::integer(length->count)) : Value();
  };
  for (const ReceiptLine& line : lines) {
    table.add({Value::of(line.sync), Value::of(line.destination),
               Value::of(line.effect == workspace::Effect::suppress ? "suppress" : "target"),
               text(line.change), Value::of(line.standing), Value::of(line.held_out), text(line.event),
               time(line.event_at), time(line.received_at), time(line.changed_at), time(line.sent_at),
               time(line.acknowledged_at), lag(line.event_at, line.received_at),
               lag(line.received_at, line.changed_at), lag(line.changed_at, line.sent_at),
               lag(line.sent_at, line.acknowledged_at), lag(line.received_at, line.acknowledged_at),
               line.processing ? Value::of(Number::integer(line.processing->most.count)) : Value(),
               line.processing ? Value::of(std::string(line.processing->source)) : Value()});
  }
  return table;
}

}  // namespace tailrace::cli
