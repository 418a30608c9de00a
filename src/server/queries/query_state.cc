#include "server/queries/query_state.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/whole_file.h"
#include "model/json.h"

namespace tailrace::server {
namespace {

using sources::RowCounts;

constexpr std::array<std::pair<PastRun::Outcome, std::string_view>, 3> kOutcomes{
    {{PastRun::Outcome::done, "done"},
     {PastRun::Outcome::held, "held"},
     {PastRun::Outcome::failed, "failed"}}};

constexpr std::array<std::pair<const char*, std::uint64_t RowCounts::*>, 9> kCounts{
    {{"rows", &RowCounts::rows},
     {"before", &RowCounts::before},
     {"added", &RowCounts::added},
     {"changed", &RowCounts::changed},
     {"gone", &RowCounts::gone},
     {"unchanged", &RowCounts::unchanged},
     {"rejected", &RowCounts::rejected},
     {"ambiguous", &RowCounts::ambiguous},
     {"records", &RowCounts::records}}};

Value number(std::int64_t value) { return Value::of(Number::integer(value)); }
Value number(std::uint64_t value) { return number(static_cast<std::int64_t>(value)); }

Value write(const RowCounts& counts) {
  Value object = Value::with(Value::Kind::object);
  for (const auto& [name, member] : kCounts) object.members.emplace_back(name, number(counts.*member));
  return object;
}

Value write(const PastRun& run) {
  Value object = Value::with(Value::Kind::object);
  object.members.emplace_back("began_at", number(run.began_at.ms));
  object.members.emplace_back("ended_at", number(run.ended_at.ms));
  for (const auto& [outcome, name] : kOutcomes) {
    if (outcome == run.outcome) object.members.emplace_back("outcome", Value::of(std::string(name)));
  }
  object.members.emplace_back("reason", Value::of(run.reason));
  object.members.emplace_back("repeats", number(run.repeats));
  object.members.emplace_back("counts", write(run.counts));
  return object;
}

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Error::Code::corrupt, fmt::format("the state of a source cannot be read: {}", what));
}

// The members of an object, each of which must be there.
class Reading {
 public:
  static Result<Reading> of(const Value* value) {
    if (value == nullptr || value->kind != Value::Kind::object) return damaged("no object");
    return Reading(*value);
  }
  const Value* find(const char* name) const { return value_->find(name); }
  Result<std::int64_t> integer(const char* name) const {
    const Value* found = find(name);
    const auto decimal =
        found != nullptr && found->kind == Value::Kind::number ? found->number.as_decimal() : std::nullopt;
    if (!decimal || decimal->scale != 0) return damaged(name);
    return decimal->mantissa;
  }
  Result<std::uint64_t> count(const char* name) const {
    const std::int64_t value = TRY(integer(name));
    if (value < 0) return damaged(name);
    return static_cast<std::uint64_t>(value);
  }
  Result<std::string> text(const char* name) const {
    const Value* found = find(name);
    if (found == nullptr || found->kind != Value::Kind::string) return damaged(name);
    return found->string;
  }

 private:
  explicit Reading(const Value& value) : value_(&value) {}
  const Value* value_;
};

Result<RowCounts> read_counts(const Value* value) {
  const Reading reading = TRY(Reading::of(value));
  RowCounts counts;
  for (const auto& [name, member] : kCounts) counts.*member = TRY(reading.count(name));
  return counts;
}

Result<PastRun> read_run(const Value& value) {
  const Reading reading = TRY(Reading::of(&value));
  PastRun run;
  run.began_at = Time { TRY(reading.integer("began_at")) };
  run.ended_at = Time { TRY(reading.integer("ended_at")) };
  const std::string outcome = TRY(reading.text("outcome"));
  bool known = false;
  for (const auto& [each, name] : kOutcomes) {
    if (name == outcome) run.outcome = each;
    known |= name == outcome;
  }
  if (!known) return damaged("outcome");
  run.reason = TRY(reading.text("reason"));
  run.repeats = TRY(reading.count("repeats"));
  run.counts = TRY(read_counts(reading.find("counts")));
  return run;
}

}  // namespace

// A database that is down for a week is one line of the history.
void QueryState::add(PastRun run) {
  if (!runs.empty() && run.outcome != PastRun::Outcome::done && runs.back().outcome == run.outcome &&
      runs.back().reason == run.reason) {
    run.repeats = runs.back().repeats + 1;
    runs.back() = std::move(run);
    return;
  }
  runs.push_back(std::move(run));
  if (runs.size() > kRunsMax) runs.erase(runs.begin());
}

std::string to_text(const QueryState& state) {
  Value object = Value::with(Value::Kind::object);
  object.members.emplace_back("version", number(std::int64_t{1}));
  object.members.emplace_back("snapshot", number(state.snapshot));
  object.members.emplace_back("numbers", number(state.numbers));
  object.members.emplace_back("last_begun", number(state.last_begun.ms));
  object.members.emplace_back("paused", Value::of(state.paused));
  if (state.pending) {
    Value pending = Value::with(Value::Kind::object);
    pending.members.emplace_back("number", number(state.pending->number));
    pending.members.emplace_back("began_at", number(state.pending->began_at.ms));
    pending.members.emplace_back("sent", number(state.pending->sent));
    pending.members.emplace_back("counts", write(state.pending->counts));
    object.members.emplace_back("pending", std::move(pending));
  }
  Value runs = Value::with(Value::Kind::list);
  for (const PastRun& run : state.runs) runs.list.push_back(write(run));
  object.members.emplace_back("runs", std::move(runs));
  return to_json(object) + "\n";
}

Result<QueryState> parse_query_state(std::string_view text) {
  const auto value = parse_json(text);
  if (!value) return damaged("no JSON");
  const Reading reading = TRY(Reading::of(&*value));
  if (TRY(reading.integer("version")) != 1)
    return fail(Error::Code::unsupported, "the state of a source is of another version");
  QueryState state;
  state.snapshot = TRY(reading.count("snapshot"));
  state.numbers = TRY(reading.count("numbers"));
  state.last_begun = Time { TRY(reading.integer("last_begun")) };
  const Value* paused = reading.find("paused");
  state.paused = paused != nullptr && paused->boolean;
  if (const Value* pending = reading.find("pending")) {
    const Reading parts = TRY(Reading::of(pending));
    state.pending = QueryState::Pending {
      .number = TRY(parts.count("number"))
      , .began_at = Time { TRY(parts.integer("began_at")) }
      , .sent = TRY(parts.count("sent"))
      , .counts = TRY(read_counts(parts.find("counts")))
    };
  }
  const Value* runs = reading.find("runs");
  if (runs == nullptr || runs->kind != Value::Kind::list) return damaged("runs");
  for (const Value& run : runs->list) state.runs.push_back(TRY(read_run(run)));
  return state;
}

Result<QueryState> read_query_state(Disk& disk, const std::string& directory) {
  const std::string path = directory + "/" + std::string(kQueryStateFile);
  if (!disk.exists(path)) return QueryState{};
  return parse_query_state(TRY(read_whole(disk, path)));
}

Result<void> write_query_state(Disk& disk, const std::string& directory, const QueryState& state) {
  return write_whole(disk, directory, {.name = kQueryStateFile}, to_text(state));
}

}  // namespace tailrace::server
