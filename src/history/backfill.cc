// Filling new streams and columns with the events that are there already; see history.h.
#include <algorithm>
#include <array>

#include "base/assert.h"
#include "history/history.h"

namespace tailrace::history {
namespace {

constexpr std::size_t kFewStreams = 32;    // of more, a person rarely has rows in each
constexpr std::size_t kRunRows = 1 << 15;  // sorted at once: some milliseconds

bool later(Position a, Position b) { return b < a; }

// Of so many values that filters look at, what they said is remembered; of more, each row is judged anew.
constexpr std::size_t kRememberedMax = 6;
constexpr std::size_t kVerdictsMax = 1 << 16;

template <class T>
void add_once(std::vector<T>& all, const T& one) {
  if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
}

}  // namespace

// Which whole streams get a row of an event, by the columns of its base stream that their filters look at. Of
// most properties the same few values come again and again.
struct History::Judged {
  using Key = std::array<std::uint64_t, kRememberedMax>;
  // Of which nearly always only the first is in use.
  struct Hash {
    std::size_t operator()(const Key& key) const {
      std::uint64_t hash = 0;
      for (const std::uint64_t part : key) hash = (hash ^ part) * 0x9e3779b97f4a7c15;
      return hash ^ hash >> 32;
    }
  };
  StreamId base;
  std::vector<Column> columns;
  FilterIndex index;
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> plans;  // by stream
  boost::unordered_flat_map<Key, std::uint32_t, Hash> verdicts;   // places in `lists`
  std::vector<std::vector<std::uint32_t>> lists;                  // of plans
  std::vector<std::uint32_t> verdict;                             // where none is remembered
  // Of a single column, what was said of values met lately, by a few bits of them.
  struct Recent {
    std::uint64_t bits = 0;
    std::optional<std::uint32_t> list;
  };
  std::array<Recent, 256> recent;
  Recent& recent_of(std::uint64_t bits) { return recent[bits * 0x9e3779b97f4a7c15 >> 56]; }
};

struct History::Filling {
  // From columns of the base stream.
  struct FromColumns {
    Target target;
    StreamId base;
    // By column of the target: of the base stream; none: from the log.
    std::vector<std::optional<Column>> copied;
    std::vector<std::size_t> rows;  // of one person, that a whole stream gets; kept for their memory
  };
  std::vector<FromColumns> from_columns;
  std::vector<std::uint32_t> columns_and_sums;  // those of them that are no whole streams
  std::vector<Judged> judged;
  Judged& judged_of(StreamId base) {
    const auto same = [&](const Judged& one) { return one.base == base; };
    const auto known = std::find_if(judged.begin(), judged.end(), same);
    if (known != judged.end()) return *known;
    judged.push_back({.base = base,
                      .columns = {},
                      .index = {},
                      .plans = {},
                      .verdicts = {},
                      .lists = {},
                      .verdict = {},
                      .recent = {}});
    return judged.back();
  }
  // What only the log says, by event.
  struct FromLog {
    FilterIndex index;  // of whole streams
    std::vector<Target> columns;
  };
  boost::unordered_flat_map<std::uint32_t, FromLog> from_log;
  std::vector<StreamId> listed;  // whose rows are read from the log
  // What is looked at of every person.
  struct Walked {
    StreamId stream;
    bool rows = false;
    std::vector<Column> columns;
  };
  std::vector<Walked> walked;
  Walked& walk(StreamId stream) {
    const auto same = [&](const Walked& one) { return one.stream == stream; };
    const auto known = std::find_if(walked.begin(), walked.end(), same);
    if (known != walked.end()) return *known;
    walked.push_back({.stream = stream, .rows = false, .columns = {}});
    return walked.back();
  }

  std::uint32_t next_person = 0;
  std::uint32_t limit = 0;                                   // people from here on had no rows when it began
  std::vector<bool> ahead;                                   // of next_person: visited because they changed
  boost::unordered_flat_map<std::uint32_t, PersonId> moved;  // merged people

  std::vector<std::vector<BackfillRow>> runs;  // all but the last, which is being listed, sorted by position
  struct Head {
    Position position;
    std::uint32_t run;
    std::uint32_t row;
  };
  std::vector<Head> heads;  // a heap: of each run its next row, the earliest on top
  bool merging = false;
  BackfillRow row;
  std::uint64_t rows = 0, rows_read = 0;
  std::vector<Time> times;  // of one person; kept for their memory
  std::vector<Position> positions;
  std::vector<Cell> cells;
  std::vector<std::uint32_t> got_rows;

  void sort_last_run() {
    if (runs.empty()) return;
    std::sort(runs.back().begin(), runs.back().end(),
              [](const BackfillRow& a, const BackfillRow& b) { return a.position < b.position; });
  }
  void list(const BackfillRow& listed_row) {
    if (runs.empty() || runs.back().size() == kRunRows) {
      sort_last_run();
      runs.emplace_back().reserve(kRunRows);
    }
    runs.back().push_back(listed_row);
    ++rows;
  }
  void push_head(const Head& head) {
    heads.push_back(head);
    std::push_heap(heads.begin(), heads.end(),
                   [](const Head& a, const Head& b) { return later(a.position, b.position); });
  }
  Head pop_head() {
    std::pop_heap(heads.begin(), heads.end(),
                  [](const Head& a, const Head& b) { return later(a.position, b.position); });
    const Head head = heads.back();
    heads.pop_back();
    return head;
  }
};

void History::add_target(const Target& target) {
  targets_.push_back(target);
  target_keys_.insert(target.key());
}

bool History::is_target(const Target& target) const { return target_keys_.contains(target.key()); }

std::optional<Column> History::filled_base_column(EventId event, const std::string& path) const {
  const StreamId stream = base(event);
  const auto& columns = streams_[stream.value].columns;
  const auto found = std::find(columns.begin(), columns.end(), path);
  if (found == columns.end()) return std::nullopt;
  const auto column = static_cast<Column>(found - columns.begin());
  return is_target({Target::What::column, stream, column}) ? std::nullopt : std::optional(column);
}

void History::plan_filling(Filling& filling) {
  std::vector<Target> from_log;
  for (const Target& target : targets_) {
    const StreamEntry& entry = streams_[target.stream.value];
    const StreamId all = base(entry.event);
    // A path with a dot may lead into lists, which a column of it does not.
    const auto is_known = [&](const std::string& path) {
      return !path.empty() && path.find('.') == std::string::npos && filled_base_column(entry.event, path);
    };
    const bool known =
        target.what == Target::What::whole_stream
            ? std::all_of(entry.looks_at.begin(), entry.looks_at.end(), is_known)
        : target.what == Target::What::column
            ? target.stream != all && filled_base_column(entry.event, entry.columns[target.column])
            : true;
    if (!known) {
      from_log.push_back(target);
      continue;
    }
    Filling::FromColumns plan{.target = target, .base = all, .copied = {}, .rows = {}};
    for (Column column = 0; column < entry.columns.size(); ++column) {
      plan.copied.push_back(filled_base_column(entry.event, entry.columns[column]));
      if (target.what == Target::What::whole_stream && !plan.copied.back())
        from_log.push_back({Target::What::column, target.stream, column});
    }
    if (target.what == Target::What::whole_stream) {
      Judged& judged = filling.judged_of(all);
      for (const std::string& path : entry.looks_at)
        add_once(judged.columns, *filled_base_column(entry.event, path));
      for (const Column column : judged.columns) add_once(filling.walk(all).columns, column);
      filling.walk(all).rows = true;
      judged.index.add(target.stream, entry.needs);
      judged.plans.emplace(target.stream.value, static_cast<std::uint32_t>(filling.from_columns.size()));
    } else {
      if (target.what == Target::What::sums) {
        filling.walk(target.stream).columns.push_back(target.column);
      } else {
        filling.walk(target.stream).rows = true;
        filling.walk(all).rows = true;
      }
      filling.columns_and_sums.push_back(static_cast<std::uint32_t>(filling.from_columns.size()));
    }
    for (const auto& column : plan.copied) {
      if (column && target.what != Target::What::sums) add_once(filling.walk(all).columns, *column);
    }
    filling.from_columns.push_back(std::move(plan));
  }
  // One reading serves all that an event lacks, if any of it may concern all events of the name.
  std::vector<EventId> whole;
  for (const Target& target : from_log) {
    const EventId event = event_of(target.stream);
    Filling::FromLog& plan = filling.from_log[event.value];
    if (target.what == Target::What::column) {
      plan.columns.push_back(target);
    } else {
      plan.index.add(target.stream, streams_[target.stream.value].needs);
    }
    if (target.what == Target::What::whole_stream || target.stream == base(event)) add_once(whole, event);
  }
  for (const Target& target : from_log) {
    const EventId event = event_of(target.stream);
    const bool needs_all = std::find(whole.begin(), whole.end(), event) != whole.end();
    add_once(filling.listed, needs_all ? base(event) : target.stream);
  }
  for (const StreamId stream : filling.listed) filling.walk(stream).rows = true;
}

void History::begin_backfill(std::optional<PersonId> only) {
  TR_ASSERT(filling_ == nullptr);
  if (targets_.empty()) return;
  filling_ = std::make_shared<Filling>();
  plan_filling(*filling_);
  give_up_backfill();
  filling_->next_person = only ? only->value : 0;
  filling_->limit = only ? only->value + 1 : static_cast<std::uint32_t>(places_->person_limit());
}

void History::give_up_backfill() {
  targets_.clear();
  target_keys_.clear();
}

bool History::visited(PersonId person) const {
  return person.value < filling_->next_person || person.value >= filling_->limit ||
         (person.value < filling_->ahead.size() && filling_->ahead[person.value]);
}

bool History::visit(std::size_t people) {
  if (filling_ == nullptr) return true;
  Filling& filling = *filling_;
  for (; people > 0 && filling.next_person < filling.limit; --people) {
    // What is known of a person is found step by step, each a line of memory to wait for.
    const auto ahead = [&](std::uint32_t count, auto prefetch) {
      if (filling.walked.size() <= kFewStreams && filling.next_person + count < filling.limit)
        prefetch(PersonId(filling.next_person + count));
    };
    ahead(32, [&](PersonId person) { places_->prefetch(person); });
    ahead(24, [&](PersonId person) { places_->prefetch_keys(person); });
    ahead(16, [&](PersonId person) {
      for (const Filling::Walked& walked : filling.walked) at(walked.stream).prefetch_slot(person);
    });
    ahead(8, [&](PersonId person) {
      for (const Filling::Walked& walked : filling.walked) {
        const Stream& stream = at(walked.stream);
        const Slot* slot = stream.slot(person);
        if (slot == nullptr) continue;
        if (walked.rows) stream.prefetch_row(*slot, 0);
        for (const Column column : walked.columns) stream.prefetch_cells(*slot, column);
      }
    });
    const PersonId person(filling.next_person);
    if (!visited(person)) visit(person);
    ++filling.next_person;
  }
  if (filling.next_person < filling.limit) return false;
  if (!filling.merging) {
    filling.merging = true;
    filling.sort_last_run();
    for (std::uint32_t run = 0; run < filling.runs.size(); ++run)
      filling.push_head({filling.runs[run].front().position, run, 0});
  }
  return true;
}

void History::visit_ahead(PersonId person) {
  filling_->ahead.resize(filling_->limit);
  filling_->ahead[person.value] = true;
  visit(person);
}

void History::visit(PersonId person) {
  Filling& filling = *filling_;
  for (Judged& judged : filling.judged) {
    const Stream& all = at(judged.base);
    const Stream::Rows rows = all.rows(person);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      for (const std::uint32_t plan : judge(judged, rows, row)) {
        auto& got = filling.from_columns[plan].rows;
        if (got.empty()) filling.got_rows.push_back(plan);
        got.push_back(row);
      }
    }
    for (const std::uint32_t place : filling.got_rows) {
      Filling::FromColumns& plan = filling.from_columns[place];
      filling.times.clear();
      filling.positions.clear();
      filling.cells.clear();
      for (const std::size_t row : plan.rows) {
        filling.times.push_back(rows.times[row]);
        filling.positions.push_back(rows.positions[row]);
        for (const auto& column : plan.copied)
          filling.cells.push_back(column ? all.cell(rows, row, *column) : Cell{});
      }
      plan.rows.clear();
      streams_[plan.target.stream.value].stream->load(person, filling.times, filling.positions,
                                                      filling.cells);
    }
    filling.got_rows.clear();
  }
  for (const std::uint32_t place : filling.columns_and_sums) {
    const Filling::FromColumns& plan = filling.from_columns[place];
    Stream& stream = *streams_[plan.target.stream.value].stream;
    if (plan.target.what == Target::What::sums) stream.add_sums(person, plan.target.column);
    if (plan.target.what != Target::What::column) continue;
    // The stream's rows are some of the base stream's, in the same order.
    const Stream& all = at(plan.base);
    const Stream::Rows rows = all.rows(person);
    const Stream::Rows own = stream.rows(person);
    for (std::size_t row = 0, next = 0; next < own.size(); ++row) {
      if (rows.positions[row] != own.positions[next]) continue;
      stream.fill_cell(person, own, next++, plan.target.column,
                       all.cell(rows, row, *plan.copied[plan.target.column]));
    }
  }
  for (const StreamId stream : filling.listed) list_rows(stream, person);
}

// The plans whose streams get a row of the judged event.
std::span<const std::uint32_t> History::judge(Judged& judged, const Stream::Rows& rows,
                                              std::size_t row) const {
  const Stream& all = at(judged.base);
  const auto& paths = streams_[judged.base.value].columns;
  if (judged.columns.size() == 1) {
    const std::uint64_t bits = all.cell(rows, row, judged.columns.front()).bits;
    const Judged::Recent& recent = judged.recent_of(bits);
    if (recent.bits == bits && recent.list) return judged.lists[*recent.list];
  }
  Judged::Key key{};
  const bool remembered = judged.columns.size() <= kRememberedMax;
  if (remembered) {
    for (std::size_t i = 0; i < judged.columns.size(); ++i)
      key[i] = all.cell(rows, row, judged.columns[i]).bits;
    if (const auto known = judged.verdicts.find(key); known != judged.verdicts.end()) {
      judged.recent_of(key.front()) = {key.front(), known->second};
      return judged.lists[known->second];
    }
  }
  Value properties = Value::with(Value::Kind::object);
  for (const Column column : judged.columns) {
    const Cell cell = all.cell(rows, row, column);
    if (cell.present()) properties.members.emplace_back(paths[column], cells_.load(cell));
  }
  judged.verdict.clear();
  for (const auto& candidate : judged.index.find(properties)) {
    if (accepts(candidate, properties)) judged.verdict.push_back(judged.plans.at(candidate.stream.value));
  }
  if (!remembered) return judged.verdict;
  if (judged.lists.size() >= kVerdictsMax) {
    judged.verdicts.clear();
    judged.lists.clear();
    judged.recent.fill({});
  }
  judged.verdicts.emplace(key, static_cast<std::uint32_t>(judged.lists.size()));
  return judged.lists.emplace_back(judged.verdict);
}

void History::list_rows(StreamId stream, PersonId person) {
  const Stream::Rows rows = at(stream).rows(person);
  for (std::size_t row = 0; row < rows.size(); ++row)
    filling_->list({rows.positions[row], rows.times[row], person, stream});
}

const History::BackfillRow* History::next_row() {
  if (filling_ == nullptr) return nullptr;
  Filling& filling = *filling_;
  TR_ASSERT(filling.merging);
  if (filling.heads.empty()) return nullptr;
  Filling::Head head = filling.pop_head();
  auto& run = filling.runs[head.run];
  filling.row = run[head.row];
  ++filling.rows_read;
  if (++head.row < run.size()) {
    head.position = run[head.row].position;
    filling.push_head(head);
  } else {
    run = {};
  }
  return &filling.row;
}

void History::backfill(const BackfillRow& row, std::string_view message_id, const Value& properties,
                       MessageIds& ids) {
  // Since the rows were listed their person may have been merged into another, or deleted.
  const PersonId person = owner_now(row.person);
  if (!at(row.stream).has_row(person, row.time, row.position)) return;
  const EventId event = event_of(row.stream);
  const bool serves_all = row.stream == base(event);
  Filling::FromLog& plan = filling_->from_log.at(event.value);
  for (const Target& target : plan.columns) {
    if (!serves_all && target.stream != row.stream) continue;
    const StreamEntry& entry = streams_[target.stream.value];
    const Cell cell = cell_at(properties, entry.columns[target.column]);
    if (cell.present()) entry.stream->set_cell(person, row.time, row.position, target.column, cell);
  }
  if (!serves_all) return;
  for (const auto& candidate : plan.index.find(properties)) {
    if (!accepts(candidate, properties)) continue;
    const StreamEntry& entry = streams_[candidate.stream.value];
    gather_cells(entry, properties);
    entry.stream->insert(person, row.time, row.position, message_id, scratch_, ids);
  }
}

void History::finish_backfill() { filling_ = nullptr; }

History::Progress History::progress() const {
  Progress progress;
  if (filling_ == nullptr) return progress;
  progress.people = filling_->limit;
  progress.people_visited = filling_->next_person;
  progress.rows = filling_->rows;
  progress.rows_read = filling_->rows_read;
  std::vector<EventId> events;
  for (const auto& plan : filling_->from_columns) add_once(events, event_of(plan.target.stream));
  for (const StreamId stream : filling_->listed) add_once(events, event_of(stream));
  for (const EventId event : events)
    progress.filling += (progress.filling.empty() ? "" : ", ") + event_name(event);
  return progress;
}

void History::note_move(PersonId from, PersonId to) {
  if (filling_ == nullptr) return;
  visit_if_needed(from);
  visit_if_needed(to);
  filling_->moved[from.value] = to;
}

PersonId History::owner_now(PersonId person) const {
  const auto& moved = filling_->moved;
  for (auto into = moved.find(person.value); into != moved.end(); into = moved.find(person.value))
    person = into->second;
  return person;
}

}  // namespace tailrace::history
