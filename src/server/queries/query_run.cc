#include "server/queries/query_run.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "model/record.h"
#include "sources/query/comparison.h"
#include "sources/query/row_sorter.h"
#include "workspace/read.h"

namespace tailrace::server {
namespace {

using sources::Entry;
using sources::EntryReader;
using sources::EntryWriter;
using sources::RowCounts;
using sources::RowMapping;
using sources::RowSorter;
using sources::WantedType;

// However small a list is, so many may go from it without anybody being asked.
constexpr std::uint64_t kGoneAlways = 10;

WantedType wanted(language::Type type) {
  switch (type) {
    case language::Type::string:
      return WantedType::string;
    case language::Type::number:
      return WantedType::number;
    case language::Type::boolean:
      return WantedType::boolean;
    default:
      return WantedType::any;
  }
}

std::string snapshot_name(std::uint64_t number) { return fmt::format("snapshot-{}", number); }
std::string changes_name(std::uint64_t number) { return fmt::format("changes-{}", number); }

}  // namespace

std::map<std::string, WantedType> wanted_types(const workspace::Workspace& workspace,
                                               const sources::QuerySpec& spec) {
  std::map<std::string, WantedType> types;
  if (spec.rows == sources::RowsAs::people) {
    for (const auto& trait : workspace.taxonomy.traits) types[trait.name] = wanted(trait.type);
    return types;
  }
  const std::string event = workspace::event_key(spec.event);
  for (const auto& rule : workspace.taxonomy.events) {
    const bool is_it = workspace::event_key(rule.name) == event ||
                       std::ranges::any_of(rule.aliases, [&](const std::string& alias) {
                         return workspace::event_key(alias) == event;
                       });
    if (!is_it) continue;
    for (const auto& property : rule.properties) types[property.name] = wanted(property.type);
  }
  return types;
}

std::string guard_reason(const workspace::Guards& guards, const RowCounts& counts) {
  // The first run has nothing to lose.
  if (counts.before == 0) return {};
  if (counts.rows < guards.size_min) {
    return counts.rows == 0
               ? fmt::format("the query gives no rows, and gave {} before", counts.before)
               : fmt::format("the query gives {} rows, fewer than {}", counts.rows, guards.size_min);
  }
  if (counts.gone <= kGoneAlways) return {};
  if (guards.change_count && counts.gone > *guards.change_count)
    return fmt::format("{} rows would be gone, more than {}", counts.gone, *guards.change_count);
  if (!guards.change_share_per_million) return {};
  const double share = static_cast<double>(counts.gone) / static_cast<double>(counts.before) * 1e6;
  if (share <= static_cast<double>(*guards.change_share_per_million)) return {};
  return fmt::format("{} of {} rows would be gone, more than {}%", counts.gone, counts.before,
                     static_cast<double>(*guards.change_share_per_million) / 1e4);
}

Result<std::map<std::string, std::unique_ptr<File>>> standing_files(Disk& disk,
                                                                    const std::string& directory) {
  const auto path = [&](std::string_view name) { return directory + "/" + std::string(name); };
  while (disk.exists(path(kQueryStateFile))) {
    std::map<std::string, std::unique_ptr<File>> files;
    // The state as this handle has it, whatever takes its place.
    auto state_file = TRY(disk.open(path(kQueryStateFile), Disk::Mode::read));
    std::string text(TRY(state_file->size()), '\0');
    text.resize(TRY(state_file->read_at(0, text)));
    const QueryState state = TRY(parse_query_state(text));
    files.emplace(kQueryStateFile, std::move(state_file));
    std::vector<std::string> names;
    if (state.snapshot > 0) names.push_back(snapshot_name(state.snapshot));
    if (state.pending) {
      names.push_back(snapshot_name(state.pending->number));
      names.push_back(changes_name(state.pending->number));
    }
    bool is_whole = true;
    for (const std::string& name : names) {
      auto file = disk.open(path(name), Disk::Mode::read);
      is_whole &= file.has_value();
      if (file) files.emplace(name, *std::move(file));
    }
    if (is_whole) return files;
    // A run has ended in between: then the state is another one. Else a file is missing for good.
    if (TRY(read_query_state(disk, directory)) == state)
      return fail(Error::Code::corrupt, fmt::format("{} lacks a file that its state names", directory));
  }
  return std::map<std::string, std::unique_ptr<File>>{};
}

// Rows to the sorter, as records.
class QueryRun::Sink final : public RowSink {
 public:
  Sink(const workspace::QuerySource& source, RowMapping::Options mapping, RowSorter& sorter)
      : source_(source), options_(std::move(mapping)), sorter_(sorter) {}

  Result<void> columns(std::vector<sources::QueryColumn> columns) override {
    columns_ = columns.size();
    mapping_ = TRY(RowMapping::bind(source_.spec, std::move(columns), options_));
    return {};
  }
  Result<void> row(const std::vector<std::optional<std::string>>& row) override {
    if (!mapping_ || row.size() != columns_)
      return fail(Error::Code::unavailable, "the database gave a row of another length");
    if (++rows_ > source_.rows_max) {
      return invalid(fmt::format("the query gives more than {} rows; raise `rows_max` where that is meant",
                                 source_.rows_max));
    }
    return sorter_.add(mapping_->map(row));
  }
  const std::optional<RowMapping>& mapping() const { return mapping_; }

 private:
  const workspace::QuerySource& source_;
  RowMapping::Options options_;
  RowSorter& sorter_;
  std::optional<RowMapping> mapping_;
  std::size_t columns_ = 0;
  std::uint64_t rows_ = 0;
};

std::string QueryRun::snapshot_path(std::uint64_t number) const {
  return options_.directory + "/" + snapshot_name(number);
}

Result<void> QueryRun::remove_all(const std::string& directory, const std::vector<std::string>& kept) {
  for (const std::string& name : TRY(disk_.list(directory))) {
    const bool is_ours = name.starts_with("snapshot-") || name.starts_with("changes-") ||
                         name.starts_with("sorted-") || name == "answer";
    if (is_ours && std::ranges::find(kept, name) == kept.end()) TRY(disk_.remove(directory + "/" + name));
  }
  return {};
}

// What a run left that is over.
Result<void> QueryRun::clear(const QueryState& state) {
  std::vector<std::string> kept{snapshot_name(state.snapshot)};
  if (state.pending) {
    kept.push_back(snapshot_name(state.pending->number));
    kept.push_back(changes_name(state.pending->number));
  }
  return remove_all(options_.directory, kept);
}

Result<RowCounts> QueryRun::ask(const QueryState& state, QueryReader& reader, Time begun,
                                const std::string& directory, std::uint64_t number) {
  std::unique_ptr<EntryReader> before;
  RowMapping::Options mapping{.source = source_.name, .begun = begun, .types = types_, .before = {}};
  if (state.snapshot > 0) {
    auto opened = EntryReader::open(disk_, snapshot_path(state.snapshot));
    if (!opened && opened.error().code == Error::Code::not_found)
      return fail(Error::Code::corrupt, opened.error().message);
    before = TRY(std::move(opened));
    mapping.before = TRY(sources::parse_snapshot_header(before->header()));
  }
  RowSorter sorter(disk_, directory, options_.memory_bytes_max);
  Sink sink(source_, std::move(mapping), sorter);
  TRY(reader.read(source_.spec.query, sink));
  if (!sink.mapping()) return invalid("the query gives no columns");
  TRY(sorter.finish());
  const auto snapshot = TRY(EntryWriter::create(disk_, directory + "/" + snapshot_name(number),
                                                sources::to_text(sink.mapping()->header())));
  const auto changes = TRY(EntryWriter::create(disk_, directory + "/" + changes_name(number), "{}"));
  const RowCounts counts = TRY(sources::compare(
      *sink.mapping(), [&](Entry& entry) { return sorter.next(entry); },
      [&](Entry& entry) { return before == nullptr ? Result<bool>(false) : before->next(entry); },
      [&](const Entry& entry) { return snapshot->put(entry); },
      [&](const Entry& entry) { return changes->put(entry); }));
  TRY(snapshot->finish());
  TRY(changes->finish());
  TRY(disk_.sync_directory(directory));
  return counts;
}

Result<PastRun> QueryRun::run(QueryReader& reader, const PutRecords& put, const std::function<Time()>& now,
                              Held held) {
  TRY(disk_.make_directories(options_.directory));
  QueryState state = TRY(this->state());
  const Time began = state.pending ? state.pending->began_at : now();
  auto ended = attempt(state, reader, put, now, held);
  if (ended) return ended;
  // What is under way goes on at the next attempt.
  PastRun failed{.began_at = began,
                 .ended_at = now(),
                 .outcome = PastRun::Outcome::failed,
                 .reason = ended.error().message,
                 .counts = state.pending ? state.pending->counts : RowCounts{}};
  state.add(std::move(failed));
  if (auto written = write_query_state(disk_, options_.directory, state); !written)
    return std::unexpected(written.error());
  return ended;
}

Result<PastRun> QueryRun::attempt(QueryState& state, QueryReader& reader, const PutRecords& put,
                                  const std::function<Time()>& now, Held held) {
  TRY(clear(state));
  if (state.pending) return send(state, put, now);
  // Records of a later run win over those of an earlier one, whatever the clock does.
  const Time begun = std::max(now(), state.last_begun + Millis{1});
  const std::uint64_t number = state.numbers + 1;
  const RowCounts counts = TRY(ask(state, reader, begun, options_.directory, number));
  if (held == Held::by_guards) {
    if (std::string reason = guard_reason(source_.guards, counts); !reason.empty()) {
      PastRun run{.began_at = begun,
                  .ended_at = now(),
                  .outcome = PastRun::Outcome::held,
                  .reason = std::move(reason),
                  .counts = counts};
      state.add(run);
      TRY(write_query_state(disk_, options_.directory, state));
      TRY(clear(state));
      return run;
    }
  }
  QueryState next = state;
  next.numbers = number;
  next.last_begun = begun;
  next.pending = QueryState::Pending{.number = number, .began_at = begun, .sent = 0, .counts = counts};
  TRY(write_query_state(disk_, options_.directory, next));
  state = std::move(next);
  return send(state, put, now);
}

Result<PastRun> QueryRun::send(QueryState& state, const PutRecords& put, const std::function<Time()>& now) {
  const std::uint64_t number = state.pending->number;
  const auto changes = TRY(EntryReader::open(disk_, options_.directory + "/" + changes_name(number)));
  std::string bytes;
  std::vector<std::uint32_t> ends;
  const auto flush = [&]() -> Result<void> {
    if (ends.empty()) return {};
    const std::uint64_t count = ends.size();
    TRY(put(std::exchange(bytes, {}), std::exchange(ends, {})));
    state.pending->sent += count;
    return write_query_state(disk_, options_.directory, state);
  };
  Entry entry;
  for (std::uint64_t index = 0; TRY(changes->next(entry)); ++index) {
    if (index < state.pending->sent) continue;
    bytes += entry.record;
    ends.push_back(static_cast<std::uint32_t>(bytes.size()));
    if (ends.size() >= options_.batch_records_max || bytes.size() >= options_.batch_bytes_max) TRY(flush());
  }
  TRY(flush());
  PastRun run{.began_at = state.pending->began_at,
              .ended_at = now(),
              .outcome = PastRun::Outcome::done,
              .reason = {},
              .counts = state.pending->counts};
  QueryState next = state;
  next.snapshot = number;
  next.pending.reset();
  next.add(run);
  TRY(write_query_state(disk_, options_.directory, next));
  state = std::move(next);
  TRY(clear(state));
  return run;
}

Result<QueryRun::Preview> QueryRun::preview(QueryReader& reader, Time now, std::size_t records_max) {
  const std::string directory = options_.directory + "/preview";
  TRY(disk_.make_directories(directory));
  const auto alone = TRY(disk_.lock(directory + "/lock"));
  TRY(remove_all(directory, {}));
  const QueryState known = TRY(state());
  Preview preview;
  preview.counts = TRY(ask(known, reader, std::max(now, known.last_begun + Millis{1}), directory, 1));
  preview.held = guard_reason(source_.guards, preview.counts);
  {
    const auto changes = TRY(EntryReader::open(disk_, directory + "/" + changes_name(1)));
    Entry entry;
    while (preview.records.size() < records_max && TRY(changes->next(entry)))
      preview.records.push_back(std::move(entry.record));
  }
  TRY(remove_all(directory, {}));
  return preview;
}

Result<void> QueryRun::set_paused(bool paused) {
  TRY(disk_.make_directories(options_.directory));
  QueryState known = TRY(state());
  known.paused = paused;
  return write_query_state(disk_, options_.directory, known);
}

}  // namespace tailrace::server
