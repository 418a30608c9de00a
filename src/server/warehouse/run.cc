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

// Records of the log, and what the engine says of each. Its memory is used again for the next.
struct Slice {
  struct Judged {
    Position position;
    std::size_t end = 0;  // of its bytes; they begin where those of the one before end
    bool is_event = false;
    PersonId person;
    std::string event;
  };
  std::string bytes;
  std::vector<Judged> all;
  std::size_t size = 0;  // in use, of `all`

  Result<RecordView> record(std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : all[i - 1].end;
    return decode_record(std::string_view(bytes).substr(begin, all[i].end - begin));
  }
  void clear() {
    bytes.clear();
    size = 0;
  }
  void add(const log::Frame& frame) {
    bytes += frame.record;
    if (size == all.size()) all.emplace_back();
    Judged& each = all[size++];
    each.position = frame.position;
    each.end = bytes.size();
    each.is_event = false;
  }
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
  std::optional<Range> range;
  std::optional<Pack> pack;
  if (known.pending) {
    range = Range{
        known.log,        known.pending->log_end,        known.changes,        known.pending->changes_end,
        known.deliveries, known.pending->deliveries_end, known.pending->cut_at};
    auto kept = warehouse::read_pack(pack_directory(known.packs + 1));
    if (kept) {
      pack = std::move(*kept);
    } else if (kept.error().code != Error::Code::not_found && kept.error().code != Error::Code::corrupt) {
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
  // The names of files hold the end of the range, so the end is found first.
  const bool is_fixed = state.pending.has_value();
  if (!is_fixed) {
    const auto reader = TRY(core_.store().log().read_from(range.log_begin));
    log::Frame frame;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    Position next = range.log_begin;
    while (records < options_.records_max && bytes < options_.bytes_max && TRY(reader->next(frame)) &&
           frame.position < range.log_end) {
      ++records;
      bytes += frame.record.size();
      next = frame.next;
    }
    range.log_end = std::min(range.log_end, next);
  }
  auto writer = TRY(PackWriter::create({.directory = pack_directory(state.packs + 1),
                                        .workspace = workspace_.name,
                                        .sync = sync().name,
                                        .sequence = state.packs + 1,
                                        .begin = range.log_begin,
                                        .end = range.log_end,
                                        .at = range.at},
                                       std::move(tables), workspace_));
  std::vector<bool> touched;
  TRY(write_events(*writer, range, touched));
  TRY(write_changes(*writer, range, touched));
  TRY(write_deliveries(*writer, range));
  TRY(write_people(*writer, touched));
  return writer->finish();
}

Result<void> WarehouseRun::write_events(PackWriter& writer, const Range& range, std::vector<bool>& touched) {
  const auto reader = TRY(core_.store().log().read_from(range.log_begin));
  log::Frame frame;
  bool at_end = false;
  Slice slice;
  while (!at_end) {
    slice.clear();
    while (slice.size < options_.records_per_slice && slice.bytes.size() < (4u << 20)) {
      const bool is_there = TRY(reader->next(frame));
      if (!is_there || frame.position >= range.log_end) {
        at_end = true;
        break;
      }
      slice.add(frame);
    }
    TRY(core_.call([&](engine::Engine& engine) -> Result<void> {
      if (core_.failed()) return fail(Error::Code::unavailable, "the engine stopped; see the log");
      for (std::size_t i = 0; i < slice.size; ++i) {
        Slice::Judged& each = slice.all[i];
        const auto admitted = engine.admitted(each.position, TRY(slice.record(i)));
        if (!admitted) continue;
        each.is_event = true;
        each.person = admitted->person;
        each.event = admitted->event;
      }
      return {};
    }));
    for (std::size_t i = 0; i < slice.size; ++i) {
      const Slice::Judged& each = slice.all[i];
      const RecordView record = TRY(slice.record(i));
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
  // It is read where it is written: on the core thread, in slices.
  constexpr std::size_t kEntriesPerSlice = 10'000;
  Position at = range.changes_begin;
  std::uint64_t entries = 0;
  while (at < range.changes_end && entries < options_.entries_max) {
    at = TRY(core_.call([&](engine::Engine&) -> Result<Position> {
      ChangeLog* changes = core_.store().changes();
      if (changes == nullptr) return range.changes_end;
      return changes->read(at, range.changes_end, kEntriesPerSlice, visit);
    }));
    entries += kEntriesPerSlice;
    if (!transport_.wait({0})) return fail(Error::Code::unavailable, "given up, because tailrace stops");
  }
  range.changes_end = std::min(at, range.changes_end);
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
