#include "server/change_log.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/hash.h"
#include "workspace/workspace.h"

namespace tailrace::server {
namespace {

using Change = ChangeEntry::Change;

constexpr std::uint8_t kNames = 1;
constexpr std::uint8_t kChanges = 2;
constexpr std::size_t kHeader = kRecordBytesMin;  // kind, clock
constexpr std::size_t kEntriesPerFrame = 10'000;
constexpr std::uint64_t kFileBytes = 16u << 20;

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}
  template <class T>
  T take() {
    T value{};
    if (rest_.size() < sizeof value) {
      ok_ = false;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof value);  // NOLINT(bugprone-suspicious-stringview-data-usage)
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view text(std::size_t length) {
    if (rest_.size() < length) {
      ok_ = false;
      return {};
    }
    const std::string_view text = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return text;
  }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

enum class Kind : std::uint8_t { segment, audience, other };
struct SegmentName {
  Kind kind = Kind::other;
  std::string name;
  std::uint64_t meaning = 0;
  bool operator==(const SegmentName&) const = default;
};
using Names = std::vector<SegmentName>;

std::unexpected<Error> corrupt(Position position) {
  return fail(Error::Code::corrupt, fmt::format("the log of changes is damaged at {}", position.value));
}

Result<Names> decode_names(std::string_view frame, Position position) {
  Bytes bytes(frame.substr(kHeader));
  Names names(std::min<std::uint32_t>(bytes.take<std::uint32_t>(), 1u << 20));
  for (SegmentName& name : names) {
    name.kind = static_cast<Kind>(bytes.take<std::uint8_t>());
    name.name = bytes.text(bytes.take<std::uint32_t>());
    name.meaning = bytes.take<std::uint64_t>();
    if (!bytes.ok()) return corrupt(position);
  }
  return names;
}

Names names_of(const engine::Engine& engine) {
  const workspace::Workspace& workspace = *engine.workspace();
  Names names;
  for (const auto& segment : workspace.segments)
    names.push_back({Kind::segment, segment.name, hash64(segment.text)});
  for (std::uint32_t sync = 0; sync < workspace.syncs.size(); ++sync) {
    const auto id = engine.audience(SyncId(sync));
    if (names.size() <= id.value) names.resize(id.value + 1);
    names[id.value] = {Kind::audience, workspace.syncs[sync].name, hash64(workspace.syncs[sync].segment)};
  }
  return names;
}

class Body final : public ChangeLog {
 public:
  Result<void> open(Disk& disk, const std::string& directory) {
    log_ = TRY(log::Log::open(disk, directory,
                              {.file_bytes = kFileBytes,
                               .preallocate_bytes = 1u << 20,
                               .durability = log::Durability::every_commit}));
    const auto reader = TRY(log_->read_from(log_->begin()));
    log::Frame frame;
    while (TRY(reader->next(frame))) TRY(recall(frame));
    to_skip_ = said_at_mark_;
    return {};
  }

  Result<void> look(engine::Engine& engine) override {
    if (engine.workspace() == nullptr || engine.workspace()->warehouses.empty() || engine.work_pending())
      return {};
    if (looked_ && generation_ == engine.generation()) return {};
    generation_ = engine.generation();
    looked_ = true;
    Names now = names_of(engine);
    if (names_ && now == *names_) return {};
    const Names before = names_.value_or(Names());
    std::string frame = header(kNames);
    put(frame, static_cast<std::uint32_t>(now.size()));
    for (const SegmentName& name : now) {
      put(frame, static_cast<std::uint8_t>(name.kind));
      put(frame, static_cast<std::uint32_t>(name.name.size()));
      frame += name.name;
      put(frame, name.meaning);
    }
    named_at_ = TRY(log_->append(frame, engine.now()));
    names_ = std::move(now);
    for (std::uint32_t segment = 0; segment < names_->size(); ++segment) {
      const SegmentName& name = (*names_)[segment];
      if (name.kind == Kind::other || std::ranges::find(before, name) != before.end()) continue;
      TRY(begin_segment(engine, SegmentId(segment), name));
    }
    TRY(flush(engine.now()));
    return commit();
  }

  void note(const engine::Output& output, const engine::Engine& engine) override {
    if (!names_ || !looked_ || engine.workspace() == nullptr || engine.workspace()->warehouses.empty())
      return;
    for (const Delta& delta : output.deltas) {
      if (is_said(delta.at)) continue;
      if (delta.segment.value >= names_->size() || (*names_)[delta.segment.value].kind == Kind::other)
        continue;
      add(delta.change == tailrace::Change::entered ? Change::entered : Change::left, delta.at,
          delta.cause_received_at, delta.segment.value, delta.person);
    }
    for (const PersonId person : output.changed_profiles)
      add(Change::profile, engine.now(), engine.now(), 0, person);
    note_deletions(output, engine);
    clock_ = engine.now();
    if (count_ < kEntriesPerFrame) return;
    if (auto flushed = flush(clock_); !flushed) failure_ = flushed.error();
  }

  Result<void> commit() override {
    if (failure_) return std::unexpected(*failure_);
    if (count_ > 0) TRY(flush(clock_));
    return log_->commit();
  }
  Position begin() const override { return log_->begin(); }
  Position end() const override { return log_->committed(); }

  Result<Position> read(Position from, Position to, std::size_t entries_max,
                        const std::function<Result<void>(const ChangeEntry&)>& visit) const override {
    if (failure_) return std::unexpected(*failure_);
    const auto reader = TRY(log_->read_from(std::max(from, log_->begin())));
    std::optional<std::uint64_t> names_at;
    Names names;
    Position next = from;
    std::size_t read = 0;
    log::Frame frame;
    while (read < entries_max && TRY(reader->next(frame))) {
      if (frame.position >= to) return to;
      next = frame.next;
      if (frame.record.size() < kHeader) return corrupt(frame.position);
      if (static_cast<std::uint8_t>(frame.record[0]) != kChanges) continue;
      Bytes bytes(frame.record.substr(kHeader));
      const auto named = bytes.take<std::uint64_t>();
      const auto count = bytes.take<std::uint32_t>();
      if (names_at != named) {
        std::string kept;
        names = TRY(decode_names(TRY(log_->read(Position{named}, kept)), Position{named}));
        names_at = named;
      }
      for (std::uint32_t i = 0; i < count; ++i) {
        ChangeEntry entry;
        entry.id = frame.position.value + i;
        entry.change = static_cast<Change>(bytes.take<std::uint8_t>());
        entry.at.ms = bytes.take<std::int64_t>();
        entry.cause.ms = bytes.take<std::int64_t>();
        const auto segment = bytes.take<std::uint32_t>();
        entry.person = PersonId{bytes.take<std::uint32_t>()};
        if (!bytes.ok()) return corrupt(frame.position);
        const bool is_named = entry.change != Change::profile && entry.change != Change::deleted;
        if (is_named) {
          if (segment >= names.size()) return corrupt(frame.position);
          entry.name = names[segment].name;
          entry.of_audience = names[segment].kind == Kind::audience;
        }
        TRY(visit(entry));
        ++read;
      }
    }
    return next;
  }

 private:
  // All that these people had been too: a replay of the redacted log knows nothing of that any more.
  void note_deletions(const engine::Output& output, const engine::Engine& engine) {
    std::set<PersonId> had_become;
    for (const auto& deletion : output.deletions) {
      if (deletion.person == engine::kNoPerson) continue;
      add(Change::deleted, engine.now(), engine.now(), 0, deletion.person);
      // Everybody was made known by a record of their own, and became somebody known before.
      if (deletion.created_by.size() > 1) had_become.insert(deletion.person);
    }
    if (had_become.empty()) return;
    for (std::uint32_t id = had_become.begin()->value + 1; id < engine.person_limit(); ++id) {
      const PersonId survivor = engine.survivor(PersonId(id));
      if (survivor != PersonId(id) && had_become.contains(survivor))
        add(Change::deleted, engine.now(), engine.now(), 0, PersonId(id));
    }
  }

  static std::string header(std::uint8_t kind) {
    std::string out;
    put(out, kind);
    put(out, std::int64_t{0});
    return out;
  }

  // What was said last: the names, and up to where.
  Result<void> recall(const log::Frame& frame) {
    if (frame.record.size() < kHeader) return corrupt(frame.position);
    if (static_cast<std::uint8_t>(frame.record[0]) == kNames) {
      names_ = TRY(decode_names(frame.record, frame.position));
      named_at_ = frame.position;
      return {};
    }
    Bytes bytes(frame.record.substr(kHeader));
    bytes.take<std::uint64_t>();
    const auto count = bytes.take<std::uint32_t>();
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto change = static_cast<Change>(bytes.take<std::uint8_t>());
      const Time at{bytes.take<std::int64_t>()};
      bytes.take<std::int64_t>();
      bytes.take<std::uint64_t>();
      if (!bytes.ok()) return corrupt(frame.position);
      if (change != Change::entered && change != Change::left) continue;
      if (at != mark_) said_at_mark_ = 0;
      mark_ = at;
      ++said_at_mark_;
    }
    return {};
  }

  // After a restart the same is said again, in the same order.
  bool is_said(Time at) {
    if (at < mark_) return true;
    if (at == mark_ && to_skip_ > 0) {
      --to_skip_;
      return true;
    }
    return false;
  }

  Result<void> begin_segment(engine::Engine& engine, SegmentId segment, const SegmentName& name) {
    const workspace::Workspace& workspace = *engine.workspace();
    const auto* found = name.kind == Kind::segment ? workspace.find_segment(name.name) : nullptr;
    if (found != nullptr && engine.counts().events <= kTimelineEventsMax) {
      for (const auto& each : TRY(engine.transitions(workspace, found->expr, kTimeMin, engine.now()))) {
        add(each.change == tailrace::Change::entered ? Change::entered_before : Change::left_before, each.at,
            each.at, segment.value, each.person);
        if (count_ >= kEntriesPerFrame) TRY(flush(engine.now()));
      }
      return {};
    }
    for (const PersonId person : engine.members(segment)) {
      add(Change::present, engine.now(), engine.now(), segment.value, person);
      if (count_ >= kEntriesPerFrame) TRY(flush(engine.now()));
    }
    return {};
  }

  void add(Change change, Time at, Time cause, std::uint32_t segment, PersonId person) {
    put(entries_, static_cast<std::uint8_t>(change));
    put(entries_, at.ms);
    put(entries_, cause.ms);
    put(entries_, segment);
    put(entries_, person.value);
    ++count_;
  }

  Result<void> flush(Time clock) {
    if (count_ == 0) return {};
    std::string frame = header(kChanges);
    put(frame, named_at_.value);
    put(frame, count_);
    frame += entries_;
    TRY(log_->append(frame, clock));
    entries_.clear();
    count_ = 0;
    return {};
  }

  std::unique_ptr<log::Log> log_;
  std::optional<Names> names_;
  Position named_at_;
  bool looked_ = false;
  std::uint64_t generation_ = 0;
  Time mark_ = kForeverAgo;
  std::uint64_t said_at_mark_ = 0;
  std::uint64_t to_skip_ = 0;
  std::string entries_;
  std::uint32_t count_ = 0;
  Time clock_ = kForeverAgo;
  std::optional<Error> failure_;
};

}  // namespace

Result<std::unique_ptr<ChangeLog>> ChangeLog::open(Disk& disk, const std::string& directory) {
  auto body = std::make_unique<Body>();
  TRY(body->open(disk, directory));
  return body;
}

}  // namespace tailrace::server
