#include "server/warehouse/run.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/hash.h"
#include "model/json.h"
#include "warehouse/tables.h"

namespace tailrace::server {
namespace {

using delivery::WarehouseState;
using destinations::Pack;
using warehouse::PackWriter;

void touch(std::vector<bool>& touched, PersonId person) {
  if (touched.size() <= person.value) touched.resize(person.value + 1);
  touched[person.value] = true;
}

// A record of the log, and what the engine says of it.
struct Judged {
  Position position;
  std::string bytes;
  bool is_event = false;
  PersonId person;
  std::string event;
};

}  // namespace

WarehouseRun::WarehouseRun(Core& core, workspace::Workspace workspace, WarehouseConnection connection,
                           destinations::Transport& transport, Options options)
    : core_(core),
      workspace_(std::move(workspace)),
      connection_(std::move(connection)),
      transport_(transport),
      options_(std::move(options)) {}

Result<WarehouseState> WarehouseRun::state() {
  return core_.with_ledger([&](delivery::Ledger& ledger) { return ledger.warehouse_state(sync().name); });
}

Result<void> WarehouseRun::write(const WarehouseState& state) {
  return core_.with_ledger(
      [&](delivery::Ledger& ledger) { return ledger.write_warehouse(sync().name, state); });
}

Result<void> WarehouseRun::set_paused(bool paused) {
  WarehouseState known = TRY(state());
  known.paused = paused;
  if (!paused) known.stopped_reason.clear();
  return write(known);
}

std::string WarehouseRun::pack_directory(std::uint64_t sequence) const {
  return fmt::format("{}/{}-{}", options_.directory, sha256_hex(sync().name).substr(0, 16), sequence);
}

Result<bool> WarehouseRun::step() {
  WarehouseState known = TRY(state());
  if (!known.begun) TRY(begin(known));
  TRY(meet_changes(known));
  std::optional<Range> range;
  std::optional<Pack> pack;
  if (known.pending) {
    range = Range{
        known.log,        known.pending->log_end,        known.changes,        known.pending->changes_end,
        known.deliveries, known.pending->deliveries_end, known.pending->cut_at};
    auto kept = warehouse::read_pack(pack_directory(known.packs + 1));
    if (kept) {
      pack = std::move(*kept);
    } else if (kept.error().code != Error::Code::not_found) {
      return std::unexpected(kept.error());
    }
  } else {
    range = TRY(next_range(known));
    if (!range) return false;
  }
  if (!pack) pack = TRY(build(known, *range));
  if (!known.pending) {
    known.pending = WarehouseState::Pending{.log_end = range->log_end,
                                            .changes_end = range->changes_end,
                                            .deliveries_end = range->deliveries_end,
                                            .cut_at = range->at};
    TRY(write(known));
  }
  if (auto loaded = connection_.destination->load(*pack, connection_.config, transport_); !loaded) {
    if (loaded.error().code != Error::Code::unavailable && known.stopped_reason != loaded.error().message) {
      known.stopped_reason = loaded.error().message;
      TRY(write(known));
    }
    return std::unexpected(loaded.error());
  }
  known.packs = pack->sequence;
  known.log = range->log_end;
  known.changes = range->changes_end;
  known.deliveries = range->deliveries_end;
  known.pending.reset();
  known.schema = to_json(warehouse::tables_to_value(pack->tables));
  for (const auto& file : pack->files) {
    known.rows += file.rows;
    known.bytes += file.bytes;
  }
  known.loaded_at = core_.now();
  known.stopped_reason.clear();
  TRY(write(known));
  std::error_code error;
  std::filesystem::remove_all(pack_directory(pack->sequence),
                              error);  // what stays is overwritten or removed later
  return true;
}

Result<void> WarehouseRun::begin(WarehouseState& state) {
  const bool from_now = sync().start == workspace::StreamConfig::Start::now;
  struct Ends {
    Position log_begin, log_end, changes_begin, changes_end;
  };
  const Ends ends = TRY(core_.call([&](engine::Engine&) -> Result<Ends> {
    ChangeLog* changes = core_.store().changes();
    if (changes == nullptr) return fail(Error::Code::unavailable, "the workspace went live just now");
    TRY(changes->commit());
    return Ends{core_.store().log().begin(), core_.applied(), changes->begin(), changes->end()};
  }));
  const std::uint64_t deliveries =
      TRY(core_.with_ledger([](delivery::Ledger& ledger) { return ledger.deliveries_end(); }));
  state.begun = true;
  state.log = from_now ? ends.log_end : ends.log_begin;
  state.changes = from_now ? ends.changes_end : ends.changes_begin;
  state.deliveries = from_now ? deliveries : 0;
  return write(state);
}

// A store restored from a backup that had no log of changes begins a new one, behind which the cursor would
// be for long: what is said from now on must not be taken for said. What was said before is in the warehouse.
Result<void> WarehouseRun::meet_changes(WarehouseState& state) {
  const Position end = TRY(core_.call([&](engine::Engine&) -> Result<Position> {
    ChangeLog* changes = core_.store().changes();
    if (changes == nullptr) return fail(Error::Code::unavailable, "the workspace went live just now");
    TRY(changes->commit());
    return changes->end();
  }));
  const Position known = state.pending ? std::max(state.changes, state.pending->changes_end) : state.changes;
  if (known <= end) return {};
  state.changes = std::min(state.changes, end);
  if (state.pending) state.pending->changes_end = std::min(state.pending->changes_end, end);
  return write(state);
}

// All there is at this moment; build() ends it earlier where that is too much for one pack.
Result<std::optional<WarehouseRun::Range>> WarehouseRun::next_range(const WarehouseState& state) {
  struct Ends {
    Position log, changes;
  };
  const Ends ends = TRY(core_.call([&](engine::Engine&) -> Result<Ends> {
    if (core_.failed()) return fail(Error::Code::unavailable, "the engine stopped; see the log");
    ChangeLog* changes = core_.store().changes();
    if (changes == nullptr) return fail(Error::Code::unavailable, "the workspace went live just now");
    TRY(changes->commit());
    return Ends{core_.applied(), changes->end()};
  }));
  const std::uint64_t deliveries =
      TRY(core_.with_ledger([](delivery::Ledger& ledger) { return ledger.deliveries_end(); }));
  if (ends.log <= state.log && ends.changes <= state.changes &&
      deliveries <= std::max<std::uint64_t>(state.deliveries, 1))
    return std::nullopt;
  return Range{state.log,        std::max(ends.log, state.log),
               state.changes,    std::max(ends.changes, state.changes),
               state.deliveries, std::max(deliveries, state.deliveries),
               core_.now()};
}

Result<Pack> WarehouseRun::build(const WarehouseState& state, Range& range) {
  std::vector<WarehouseTable> tables = warehouse::tables_of(workspace_, sync().tables);
  if (!state.schema.empty())
    tables = warehouse::grown(TRY(warehouse::tables_from_value(TRY(parse_json(state.schema)))), tables);
  auto writer = TRY(PackWriter::create({.directory = pack_directory(state.packs + 1),
                                        .workspace = workspace_.name,
                                        .sync = sync().name,
                                        .sequence = state.packs + 1,
                                        .begin = range.log_begin,
                                        .at = range.at,
                                        .memory_bytes = options_.memory_bytes},
                                       std::move(tables), workspace_));
  std::vector<bool> touched;
  TRY(write_events(*writer, state.pending.has_value(), range, touched));
  writer->end_at(range.log_end);
  TRY(write_changes(*writer, range, touched));
  TRY(write_deliveries(*writer, range));
  TRY(write_people(*writer, touched));
  return writer->finish();
}

// is_fixed: the range ends where it says; else earlier, where that is enough for a pack.
Result<void> WarehouseRun::write_events(PackWriter& writer, bool is_fixed, Range& range,
                                        std::vector<bool>& touched) {
  const auto reader = TRY(core_.store().log().read_from(range.log_begin));
  log::Frame frame;
  bool at_end = false;
  std::uint64_t records = 0;
  std::uint64_t pack_bytes = 0;
  Position next = range.log_begin;
  while (!at_end) {
    std::vector<Judged> slice;
    std::size_t bytes = 0;
    while (slice.size() < options_.records_per_slice && bytes < (4u << 20)) {
      const bool is_enough =
          !is_fixed && (records >= options_.records_max || pack_bytes >= options_.bytes_max);
      if (is_enough || !TRY(reader->next(frame)) || frame.position >= range.log_end) {
        at_end = true;
        break;
      }
      ++records;
      pack_bytes += frame.record.size();
      next = frame.next;
      bytes += frame.record.size();
      slice.push_back({frame.position, std::string(frame.record), false, {}, {}});
    }
    TRY(core_.call([&](engine::Engine& engine) -> Result<void> {
      if (core_.failed()) return fail(Error::Code::unavailable, "the engine stopped; see the log");
      for (Judged& each : slice) {
        const auto admitted = engine.admitted(each.position, TRY(decode_record(each.bytes)));
        if (!admitted) continue;
        each.is_event = true;
        each.person = admitted->person;
        each.event = admitted->event;
      }
      return {};
    }));
    for (const Judged& each : slice) {
      const RecordView record = TRY(decode_record(each.bytes));
      if (each.is_event) {
        touch(touched, each.person);
        TRY(writer.event({each.position, each.person, each.event, &record}));
      } else if (record.kind == RecordKind::workspace) {
        const auto value = parse_json(record.payload);
        // One that could not be read was quarantined, and means nothing.
        const auto applied = value ? workspace::from_value(*value) : std::unexpected(value.error());
        if (applied) TRY(writer.definitions(each.position, record.received_at, *applied));
      }
    }
    if (!transport_.wait({0})) return fail(Error::Code::unavailable, "given up, because tailrace stops");
  }
  if (!is_fixed) range.log_end = std::min(range.log_end, next);
  return {};
}

Result<void> WarehouseRun::write_changes(PackWriter& writer, Range& range, std::vector<bool>& touched) {
  using Change = ChangeEntry::Change;
  using Fact = warehouse::MembershipFact;
  const auto visit = [&](const ChangeEntry& entry) -> Result<void> {
    if (entry.change == Change::profile || entry.change == Change::deleted) {
      touch(touched, entry.person);
      return {};
    }
    const bool came = entry.change != Change::left && entry.change != Change::left_before;
    if (entry.of_audience) {
      const auto* audience = workspace_.find_sync(entry.name);
      if (!came || audience == nullptr || audience->holdout_per_million == 0) return {};
      return writer.holdout({entry.name, entry.person, held_out(*audience, entry.person), entry.at});
    }
    touch(touched, entry.person);
    const Fact::Change change = entry.change == Change::present ? Fact::Change::present
                                : came                          ? Fact::Change::entered
                                                                : Fact::Change::left;
    return writer.membership({entry.id, entry.name, entry.person, change, entry.at, entry.cause});
  };
  // Once there it stays, and what is committed is read beside its writer.
  const ChangeLog* changes = core_.call([&](engine::Engine&) { return core_.store().changes(); });
  constexpr std::size_t kEntriesPerSlice = 10'000;
  Position at = range.changes_begin;
  std::uint64_t entries = 0;
  while (changes != nullptr && at < range.changes_end && entries < options_.entries_max) {
    at = TRY(changes->read(at, range.changes_end, kEntriesPerSlice, visit));
    entries += kEntriesPerSlice;
    if (!transport_.wait({0})) return fail(Error::Code::unavailable, "given up, because tailrace stops");
  }
  if (changes != nullptr) range.changes_end = std::min(at, range.changes_end);
  return {};
}

Result<void> WarehouseRun::write_deliveries(PackWriter& writer, Range& range) {
  constexpr std::uint64_t kSlice = 5'000;
  range.deliveries_end = std::min(range.deliveries_end, range.deliveries_begin + options_.entries_max);
  for (std::uint64_t from = range.deliveries_begin; from < range.deliveries_end; from += kSlice) {
    const std::uint64_t to = std::min(from + kSlice, range.deliveries_end);
    std::vector<DeliveryFact> facts;
    TRY(core_.with_ledger([&](delivery::Ledger& ledger) {
      return ledger.for_each_delivery(from, to, [&](const DeliveryFact& fact) { facts.push_back(fact); });
    }));
    for (const DeliveryFact& fact : facts) TRY(writer.delivery(fact));
  }
  return {};
}

Result<void> WarehouseRun::write_people(PackWriter& writer, const std::vector<bool>& touched) {
  std::vector<PersonId> people;
  for (std::uint32_t person = 0; person < touched.size(); ++person) {
    if (touched[person]) people.emplace_back(person);
  }
  for (std::size_t begin = 0; begin < people.size(); begin += options_.people_per_slice) {
    const std::size_t end = std::min(begin + options_.people_per_slice, people.size());
    std::vector<warehouse::PersonFact> facts;
    core_.call([&](engine::Engine& engine) {
      for (std::size_t i = begin; i < end; ++i) {
        warehouse::PersonFact& fact = facts.emplace_back();
        fact.person = people[i];
        const PersonId survivor = engine.survivor(people[i]);
        if (engine.is_alive(people[i])) {
          fact.profile = engine.profile(people[i]);
          fact.attributes = engine.attributes(people[i]);
        } else if (survivor != people[i] && engine.is_alive(survivor)) {
          fact.merged_into = survivor;
        } else {
          fact.deleted = true;
        }
      }
      return true;
    });
    for (const auto& fact : facts) TRY(writer.person(fact));
    if (!transport_.wait({0})) return fail(Error::Code::unavailable, "given up, because tailrace stops");
  }
  return {};
}

}  // namespace tailrace::server
