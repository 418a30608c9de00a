#include "delivery/ledger_format.h"

#include <bit>

namespace tailrace::delivery::ledger_format {
namespace {

using destinations::UploadIdentifier;

void put_side(std::string& out, const GuardSide& side) {
  put(out, static_cast<std::uint8_t>(side.hold));
  put_time(out, side.held_at);
  put(out, static_cast<std::uint8_t>(side.release_asked));
  put(out, side.released);
  for (const std::uint32_t count : side.recent) put(out, count);
}

GuardSide read_side(Reader& reader) {
  GuardSide side;
  side.hold = reader.choice(GuardSide::Hold::size);
  side.held_at = reader.time();
  side.release_asked = reader.flag();
  side.released = reader.number<std::uint64_t>();
  for (std::uint32_t& count : side.recent) count = reader.number<std::uint32_t>();
  return side;
}

void put_baseline(std::string& out, const Baseline& baseline) {
  put(out, static_cast<std::uint8_t>(baseline.known));
  put_text(out, baseline.name);
  put_text(out, baseline.description);
  put(out, static_cast<std::uint8_t>(baseline.retention_days.has_value()));
  put(out, static_cast<std::uint64_t>(baseline.retention_days.value_or(0)));
  put_text(out, baseline.flag);
  put(out, baseline.delivered);
  put(out, static_cast<std::uint64_t>(baseline.size));
  put(out, static_cast<std::uint64_t>(baseline.strangers));
}

Baseline read_baseline(Reader& reader) {
  Baseline baseline;
  baseline.known = reader.flag();
  baseline.name = reader.text();
  baseline.description = reader.text();
  const bool has_retention = reader.flag();
  const auto days = static_cast<std::int64_t>(reader.number<std::uint64_t>());
  if (has_retention) baseline.retention_days = days;
  baseline.flag = reader.text();
  baseline.delivered = reader.number<std::uint64_t>();
  baseline.size = static_cast<std::int64_t>(reader.number<std::uint64_t>());
  baseline.strangers = static_cast<std::int64_t>(reader.number<std::uint64_t>());
  return baseline;
}

}  // namespace

std::string encode_membership(const Membership& membership) {
  std::string out;
  put(out, static_cast<std::uint8_t>(membership.state));
  put(out, static_cast<std::uint8_t>(membership.unanswered));
  put_time(out, membership.changed_at);
  put_time(out, membership.received_at);
  put_time(out, membership.acknowledged_at);
  put_text(out, membership.reason);
  put(out, static_cast<std::uint32_t>(membership.uploaded.size()));
  for (const UploadIdentifier& identifier : membership.uploaded) {
    put(out, static_cast<std::uint8_t>(identifier.kind));
    put(out, static_cast<std::uint8_t>(identifier.hashed));
    put(out, identifier.normalisation_version);
    put_text(out, identifier.value);
  }
  put_time(out, membership.sent_at);
  put(out, static_cast<std::uint8_t>(membership.live));
  put_time(out, membership.refused_at);
  put(out, membership.dropped);
  put_time(out, membership.renewed_at);
  put(out, membership.attributes);
  return out;
}

std::optional<Membership> decode_membership(std::string_view bytes) {
  Reader reader(bytes);
  Membership membership;
  membership.state = reader.choice(Membership::State::left);
  membership.unanswered = reader.flag();
  membership.changed_at = reader.time();
  membership.received_at = reader.time();
  membership.acknowledged_at = reader.time();
  membership.reason = reader.text();
  const auto count = reader.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    UploadIdentifier identifier;
    identifier.kind = reader.choice(kLastIdentifierKind);
    identifier.hashed = reader.flag();
    identifier.normalisation_version = reader.number<std::uint16_t>();
    identifier.value = reader.text();
    membership.uploaded.push_back(std::move(identifier));
  }
  if (!reader.failed() && reader.left() > 0) {
    membership.sent_at = reader.time();
    membership.live = reader.flag();
    membership.refused_at = reader.time();
    membership.dropped = reader.number<std::uint64_t>();
  }
  if (!reader.failed() && reader.left() > 0) membership.renewed_at = reader.time();
  if (!reader.failed() && reader.left() > 0) membership.attributes = reader.number<std::uint64_t>();
  if (!reader.ok()) return std::nullopt;
  return membership;
}

std::string encode_state(const SyncState& state) {
  std::string out;
  put_text(out, state.audience_id);
  put(out, state.sent);
  put(out, state.accepted);
  put(out, state.rejected);
  put(out, state.next_batch_id);
  put_time(out, state.last_success_at);
  put_text(out, state.stopped_reason);
  put(out, static_cast<std::uint8_t>(state.measured.has_value()));
  const destinations::Measurement measured = state.measured.value_or(destinations::Measurement{});
  put(out, static_cast<std::uint8_t>(measured.size.has_value()));
  put(out, static_cast<std::uint64_t>(measured.size.value_or(0)));
  put(out, static_cast<std::uint8_t>(measured.match_rate.has_value()));
  put(out, std::bit_cast<std::uint64_t>(measured.match_rate.value_or(0)));
  put_text(out, measured.detail);
  put_time(out, state.measured_at);
  put_text(out, state.destination);
  put_side(out, state.guards.additions);
  put_side(out, state.guards.removals);
  put(out, static_cast<std::uint64_t>(state.guards.slot));
  put(out, static_cast<std::uint8_t>(state.guards.filled));
  put_baseline(out, state.baseline);
  put(out, static_cast<std::uint8_t>(state.frozen));
  put(out, static_cast<std::uint8_t>(state.starts_over));
  put_time(out, state.reupload_asked_at);
  put(out, state.sweep.next.value);
  put(out, state.sweep.end.value);
  put_time(out, state.sweep.clear_before);
  put_time(out, state.sweep.removed_at);
  return out;
}

std::optional<SyncState> decode_state(std::string_view bytes) {
  Reader reader(bytes);
  SyncState state;
  state.audience_id = reader.text();
  state.sent = reader.number<std::uint64_t>();
  state.accepted = reader.number<std::uint64_t>();
  state.rejected = reader.number<std::uint64_t>();
  state.next_batch_id = reader.number<std::uint64_t>();
  state.last_success_at = reader.time();
  state.stopped_reason = reader.text();
  const bool is_measured = reader.flag();
  destinations::Measurement measured;
  const bool has_size = reader.flag();
  const auto size = static_cast<std::int64_t>(reader.number<std::uint64_t>());
  if (has_size) measured.size = size;
  const bool has_rate = reader.flag();
  const auto rate = std::bit_cast<double>(reader.number<std::uint64_t>());
  if (has_rate) measured.match_rate = rate;
  measured.detail = reader.text();
  if (is_measured) state.measured = std::move(measured);
  state.measured_at = reader.time();
  if (!reader.failed() && reader.left() > 0) state.destination = reader.text();
  if (!reader.failed() && reader.left() > 0) {
    state.guards.additions = read_side(reader);
    state.guards.removals = read_side(reader);
    state.guards.slot = static_cast<std::int64_t>(reader.number<std::uint64_t>());
    state.guards.filled = reader.flag();
    state.baseline = read_baseline(reader);
    state.frozen = reader.flag();
    state.starts_over = reader.flag();
  }
  if (!reader.failed() && reader.left() > 0) state.reupload_asked_at = reader.time();
  if (!reader.failed() && reader.left() > 0) {
    state.sweep.next = PersonId(reader.number<std::uint32_t>());
    state.sweep.end = PersonId(reader.number<std::uint32_t>());
    state.sweep.clear_before = reader.time();
    state.sweep.removed_at = reader.time();
  }
  if (!reader.ok()) return std::nullopt;
  return state;
}

namespace {

void put_flag(std::string& out, bool flag) { put(out, static_cast<std::uint8_t>(flag)); }

void put_walk(std::string& out, const StreamWalk& walk) {
  put(out, walk.cursor.value);
  put(out, walk.read.value);
  put(out, static_cast<std::uint32_t>(walk.unsettled.size()));
  for (const auto& [position, sent] : walk.unsettled) {
    put(out, position.value);
    put_flag(out, sent);
  }
}

StreamWalk read_walk(Reader& reader) {
  StreamWalk walk;
  walk.cursor = Position(reader.number<std::uint64_t>());
  walk.read = Position(reader.number<std::uint64_t>());
  const auto count = reader.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    const Position position(reader.number<std::uint64_t>());
    walk.unsettled.push_back({position, reader.flag()});
  }
  return walk;
}

}  // namespace

std::string encode_stream(const StreamState& state) {
  std::string out;
  put_flag(out, state.begun);
  put_walk(out, state.live);
  put_flag(out, state.replay.has_value());
  const StreamReplay replay = state.replay.value_or(StreamReplay{});
  put_walk(out, replay.walk);
  put(out, replay.begin.value);
  put(out, replay.end.value);
  put_time(out, replay.from);
  put_time(out, replay.to);
  put_flag(out, state.paused);
  put(out, state.sent);
  put(out, state.accepted);
  put(out, state.rejected);
  put_time(out, state.last_success_at);
  put_text(out, state.stopped_reason);
  return out;
}

std::optional<StreamState> decode_stream(std::string_view bytes) {
  Reader reader(bytes);
  StreamState state;
  state.begun = reader.flag();
  state.live = read_walk(reader);
  const bool replays = reader.flag();
  StreamReplay replay;
  replay.walk = read_walk(reader);
  replay.begin = Position(reader.number<std::uint64_t>());
  replay.end = Position(reader.number<std::uint64_t>());
  replay.from = reader.time();
  replay.to = reader.time();
  if (replays) state.replay = std::move(replay);
  state.paused = reader.flag();
  state.sent = reader.number<std::uint64_t>();
  state.accepted = reader.number<std::uint64_t>();
  state.rejected = reader.number<std::uint64_t>();
  state.last_success_at = reader.time();
  state.stopped_reason = reader.text();
  if (!reader.ok()) return std::nullopt;
  return state;
}

std::string encode_dead_letter(const StreamDeadLetter& letter) {
  std::string out;
  put(out, letter.person.value);
  put_text(out, letter.event);
  put_time(out, letter.at);
  put_text(out, letter.reason);
  put_flag(out, letter.ambiguous);
  return out;
}

std::optional<StreamDeadLetter> decode_dead_letter(Position position, std::string_view bytes) {
  Reader reader(bytes);
  StreamDeadLetter letter;
  letter.position = position;
  letter.person = PersonId(reader.number<std::uint32_t>());
  letter.event = reader.text();
  letter.at = reader.time();
  letter.reason = reader.text();
  letter.ambiguous = reader.flag();
  if (!reader.ok()) return std::nullopt;
  return letter;
}

std::string encode_refusals(const StreamRefusals& refusals) {
  std::string out;
  put(out, refusals.count);
  put(out, refusals.last.value);
  put(out, refusals.person.value);
  put_time(out, refusals.last_at);
  return out;
}

std::optional<StreamRefusals> decode_refusals(std::string reason, std::string_view bytes) {
  Reader reader(bytes);
  StreamRefusals refusals;
  refusals.reason = std::move(reason);
  refusals.count = reader.number<std::uint64_t>();
  refusals.last = Position(reader.number<std::uint64_t>());
  refusals.person = PersonId(reader.number<std::uint32_t>());
  refusals.last_at = reader.time();
  if (!reader.ok()) return std::nullopt;
  return refusals;
}

std::string encode_delivery(const DeliveryFact& fact) {
  std::string out;
  put_text(out, fact.sync);
  put(out, fact.person.value);
  put(out, static_cast<std::uint8_t>(fact.operation));
  put(out, static_cast<std::uint8_t>(fact.outcome));
  put(out, fact.position.value);
  put_text(out, fact.event);
  for (const Time time : {fact.changed_at, fact.received_at, fact.sent_at, fact.acknowledged_at})
    put_time(out, time);
  put_text(out, fact.reason);
  return out;
}

std::optional<DeliveryFact> decode_delivery(std::uint64_t id, std::string_view bytes) {
  Reader reader(bytes);
  DeliveryFact fact;
  fact.id = id;
  fact.sync = reader.text();
  fact.person = PersonId{reader.number<std::uint32_t>()};
  fact.operation = reader.choice(DeliveryFact::Operation::event);
  fact.outcome = reader.choice(DeliveryFact::Outcome::unknown);
  fact.position = Position{reader.number<std::uint64_t>()};
  fact.event = reader.text();
  for (Time* time : {&fact.changed_at, &fact.received_at, &fact.sent_at, &fact.acknowledged_at})
    *time = reader.time();
  fact.reason = reader.text();
  if (!reader.ok()) return std::nullopt;
  return fact;
}

std::string encode_warehouse(const WarehouseState& state) {
  std::string out;
  put(out, static_cast<std::uint8_t>(state.begun));
  put(out, state.packs);
  put(out, state.log.value);
  put(out, state.changes.value);
  put(out, state.deliveries);
  const WarehouseState::Pending pending = state.pending.value_or(WarehouseState::Pending());
  put(out, static_cast<std::uint8_t>(state.pending.has_value()));
  put(out, pending.log_end.value);
  put(out, pending.changes_end.value);
  put(out, pending.deliveries_end);
  put_time(out, pending.cut_at);
  put_text(out, state.schema);
  put(out, state.rows);
  put(out, state.bytes);
  put_time(out, state.loaded_at);
  put(out, static_cast<std::uint8_t>(state.paused));
  put_text(out, state.stopped_reason);
  return out;
}

std::optional<WarehouseState> decode_warehouse(std::string_view bytes) {
  Reader reader(bytes);
  WarehouseState state;
  state.begun = reader.flag();
  state.packs = reader.number<std::uint64_t>();
  state.log = Position{reader.number<std::uint64_t>()};
  state.changes = Position{reader.number<std::uint64_t>()};
  state.deliveries = reader.number<std::uint64_t>();
  const bool is_pending = reader.flag();
  WarehouseState::Pending pending;
  pending.log_end = Position{reader.number<std::uint64_t>()};
  pending.changes_end = Position{reader.number<std::uint64_t>()};
  pending.deliveries_end = reader.number<std::uint64_t>();
  pending.cut_at = reader.time();
  if (is_pending) state.pending = pending;
  state.schema = reader.text();
  state.rows = reader.number<std::uint64_t>();
  state.bytes = reader.number<std::uint64_t>();
  state.loaded_at = reader.time();
  state.paused = reader.flag();
  state.stopped_reason = reader.text();
  if (!reader.ok()) return std::nullopt;
  return state;
}

std::string encode_match_point(const MatchPoint& point) {
  std::string out;
  put(out, point.people);
  put(out, point.usable);
  put(out, point.members);
  put(out, point.identifiers);
  put(out, static_cast<std::uint8_t>(point.size.has_value()));
  put(out, static_cast<std::uint64_t>(point.size.value_or(0)));
  put(out, static_cast<std::uint8_t>(point.match_rate.has_value()));
  put(out, std::bit_cast<std::uint64_t>(point.match_rate.value_or(0)));
  put_time(out, point.measured_at);
  put_text(out, point.configuration);
  return out;
}

std::optional<MatchPoint> decode_match_point(Time at, std::string_view bytes) {
  Reader reader(bytes);
  MatchPoint point;
  point.at = at;
  point.people = reader.number<std::uint64_t>();
  point.usable = reader.number<std::uint64_t>();
  point.members = reader.number<std::uint64_t>();
  point.identifiers = reader.number<std::uint64_t>();
  const bool has_size = reader.flag();
  const auto size = static_cast<std::int64_t>(reader.number<std::uint64_t>());
  const bool has_rate = reader.flag();
  const auto rate = std::bit_cast<double>(reader.number<std::uint64_t>());
  point.measured_at = reader.time();
  point.configuration = reader.text();
  if (!reader.ok()) return std::nullopt;
  if (has_size) point.size = size;
  if (has_rate) point.match_rate = rate;
  return point;
}

}  // namespace tailrace::delivery::ledger_format
