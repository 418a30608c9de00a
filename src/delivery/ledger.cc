// The ledger in RocksDB: ledger_format.h has the grammar of its keys and values. Numbers are big-endian, so
// keys sort by person and then by time.
#include "delivery/ledger.h"

#include <filesystem>
#include <set>
#include <unordered_map>

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include "delivery/ledger_format.h"

namespace tailrace::delivery {
namespace {

using destinations::UploadIdentifier;
using ledger_format::decode_dead_letter;
using ledger_format::decode_delivery;
using ledger_format::decode_match_point;
using ledger_format::decode_membership;
using ledger_format::decode_refusals;
using ledger_format::decode_state;
using ledger_format::decode_stream;
using ledger_format::decode_warehouse;
using ledger_format::encode_dead_letter;
using ledger_format::encode_delivery;
using ledger_format::encode_match_point;
using ledger_format::encode_membership;
using ledger_format::encode_refusals;
using ledger_format::encode_state;
using ledger_format::encode_stream;
using ledger_format::encode_warehouse;
using ledger_format::put;
using ledger_format::put_text;
using ledger_format::put_time;
using ledger_format::Reader;

constexpr std::string_view kVersionKey = "version";
constexpr std::string_view kNextDeliveryKey = "n";
constexpr std::size_t kCacheBytes = 64u << 20;
// More batches than a sync sends between two backups.
constexpr std::uint64_t kSkippedBatchIds = 1ull << 24;

std::string prefix(char table, const std::string& sync) {
  std::string key(1, table);
  put_text(key, sync);
  return key;
}
std::string membership_key(const std::string& sync, PersonId person) {
  std::string key = prefix('m', sync);
  put(key, person.value);
  return key;
}
std::string dead_letter_key(const std::string& sync, Position position) {
  std::string key = prefix('d', sync);
  put(key, position.value);
  return key;
}
std::string delivery_key(std::uint64_t id) {
  std::string key = "o";
  put(key, id);
  return key;
}
std::string refusals_key(const std::string& sync, const std::string& reason) {
  std::string key = prefix('r', sync);
  put_text(key, reason);
  return key;
}
std::string holders_prefix(const std::string& sync, const UploadIdentifier& identifier) {
  std::string key = prefix('h', sync);
  put(key, static_cast<std::uint8_t>(identifier.kind));
  put_text(key, identifier.value);
  return key;
}

bool holds(Membership::State state) {
  return state == Membership::State::adding || state == Membership::State::member ||
         state == Membership::State::removing;
}

// The first key after all keys with this prefix.
std::string end_of(std::string key) {
  while (!key.empty() && static_cast<unsigned char>(key.back()) == 0xff) key.pop_back();
  if (!key.empty()) key.back() = static_cast<char>(static_cast<unsigned char>(key.back()) + 1);
  return key;
}

std::unexpected<Error> failed(const std::string& directory, const rocksdb::Status& status) {
  const std::string text = fmt::format("delivery ledger {}: {}", directory, status.ToString());
  if (status.IsCorruption()) return fail(Error::Code::corrupt, text);
  if (status.IsNotSupported()) return fail(Error::Code::unsupported, text);
  return fail(Error::Code::io, text);
}
Result<void> remove_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::remove_all(directory, error);
  if (!error) return {};
  return fail(Error::Code::io, fmt::format("cannot remove {}: {}", directory, error.message()));
}

std::unexpected<Error> corrupt(const std::string& directory, std::string_view what, const std::string& sync) {
  return fail(Error::Code::corrupt,
              fmt::format("delivery ledger {}: {} of sync `{}` is damaged; restore the ledger from a backup",
                          directory, what, sync));
}

rocksdb::Options store_options(rocksdb::Env* environment) {
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_cache = rocksdb::NewLRUCache(kCacheBytes);
  rocksdb::Options options;
  options.create_if_missing = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.keep_log_file_num = 2;
  // Nobody reads its statistics. With these off it has no threads but for compaction.
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.max_file_opening_threads = 1;
  // Memberships and entries of a batch come in order of person: each is put in beside the one before.
  options.allow_concurrent_memtable_write = false;  // there is one writer, and hints need that
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(1));
  if (environment != nullptr) options.env = environment;
  return options;
}

Result<std::unique_ptr<rocksdb::DB>> open_database(const std::string& directory, rocksdb::Env* environment) {
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(store_options(environment), directory, &opened);
  if (status.ok()) return std::unique_ptr<rocksdb::DB>(opened);
  if (status.IsIOError() && status.ToString().find("/LOCK") != std::string::npos) {
    return fail(
        Error::Code::conflict,
        fmt::format("the delivery ledger {} is in use by another process; stop that one first", directory));
  }
  return failed(directory, status);
}

// Reads the whole ledger, entry by entry, in any order.
class Audit {
 public:
  // False: it does not keep to the grammar.
  bool look_at(std::string_view key, std::string_view value) {
    if (key == kVersionKey) return true;
    if (key.empty()) return false;
    if (key == kNextDeliveryKey) return value.size() == sizeof(std::uint64_t);
    if (key.front() == 'o') {
      Reader id(key.substr(1));
      const auto number = id.number<std::uint64_t>();
      return id.ok() && decode_delivery(number, value).has_value();
    }
    Reader reader(key.substr(1));
    const std::string sync = reader.text();
    switch (key.front()) {
      case 's':
        return reader.ok() && decode_state(value).has_value();
      case 'm': {
        const auto person = reader.number<std::uint32_t>();
        const auto membership = decode_membership(value);
        if (!reader.ok() || !membership) return false;
        if (!holds(membership->state)) return true;
        std::set<std::string> once;  // an identifier that stands twice has one holder
        for (const auto& identifier : membership->uploaded) {
          std::string holder = holders_prefix(sync, identifier);
          put(holder, person);
          if (once.insert(holder).second) ++claims_[hash(holder)];
        }
        return true;
      }
      case 'h': {
        static_cast<void>(reader.choice(kLastIdentifierKind));
        static_cast<void>(reader.text());
        static_cast<void>(reader.number<std::uint32_t>());
        --claims_[hash(key)];
        return reader.ok() && value.empty();
      }
      case 'e':
        static_cast<void>(reader.number<std::uint32_t>());
        static_cast<void>(reader.time());
        return reader.ok() && value.empty();
      case 't':
        return reader.ok() && decode_stream(value).has_value();
      case 'w':
        return reader.ok() && decode_warehouse(value).has_value();
      case 'd': {
        const Position position(reader.number<std::uint64_t>());
        return reader.ok() && decode_dead_letter(position, value).has_value();
      }
      case 'p': {
        const Time at = reader.time();
        return reader.ok() && decode_match_point(at, value).has_value();
      }
      case 'r': {
        std::string reason = reader.text();
        return reader.ok() && decode_refusals(std::move(reason), value).has_value();
      }
      default:
        return false;
    }
  }
  // Holders that no membership claims, and the other way round.
  std::size_t disagreeing() const {
    std::size_t count = 0;
    for (const auto& [holder, balance] : claims_) count += balance != 0;
    return count;
  }

 private:
  static std::size_t hash(std::string_view key) { return std::hash<std::string_view>{}(key); }
  std::unordered_map<std::size_t, int> claims_;  // by the holder's key: memberships that say so, less holders
};

class RocksLedger final : public Ledger {
 public:
  RocksLedger(std::string directory, rocksdb::Env* environment, std::unique_ptr<rocksdb::DB> db)
      : directory_(std::move(directory)), environment_(environment), db_(std::move(db)) {}

  Result<void> check_version() {
    std::string bytes;
    const rocksdb::Status status = db_->Get({}, slice(kVersionKey), &bytes);
    if (status.IsNotFound()) return begin();
    if (!status.ok()) return failed(directory_, status);
    Reader reader(bytes);
    const auto version = reader.number<std::uint32_t>();
    if (!reader.ok()) return fail(Error::Code::corrupt, "delivery ledger " + directory_ + ": bad version");
    if (version == kLedgerFormat) return {};
    if (version < kLedgerFormat && version > 0) return name_format();
    return fail(Error::Code::unsupported,
                fmt::format("the delivery ledger {} has format {}, this tailrace reads format {}; use the "
                            "version of tailrace that wrote it, or a newer one",
                            directory_, version, kLedgerFormat));
  }

  Result<std::optional<Membership>> find(const std::string& sync, PersonId person) override {
    auto found = TRY(find_many(sync, {&person, 1}));
    return std::move(found.front());
  }

  Result<std::vector<std::optional<Membership>>> find_many(const std::string& sync,
                                                           std::span<const PersonId> people) override {
    TRY(mend());
    std::vector<std::string> keys;
    std::vector<rocksdb::Slice> slices;
    keys.reserve(people.size());
    slices.reserve(people.size());
    for (const PersonId person : people) slices.emplace_back(keys.emplace_back(membership_key(sync, person)));
    std::vector<rocksdb::PinnableSlice> values(people.size());
    std::vector<rocksdb::Status> statuses(people.size());
    db_->MultiGet({}, db_->DefaultColumnFamily(), slices.size(), slices.data(), values.data(),
                  statuses.data());
    std::vector<std::optional<Membership>> found(people.size());
    for (std::size_t i = 0; i < people.size(); ++i) {
      if (statuses[i].IsNotFound()) continue;
      if (!statuses[i].ok()) return failed(directory_, statuses[i]);
      found[i] = decode_membership({values[i].data(), values[i].size()});
      if (!found[i])
        return corrupt(directory_, fmt::format("the membership of person {}", people[i].value), sync);
    }
    return found;
  }

  Result<void> for_each(const std::string& sync,
                        const std::function<void(PersonId, const Membership&)>& visit) override {
    TRY(mend());
    return scan(prefix('m', sync), [&](std::string_view rest, std::string_view value) -> Result<void> {
      Reader reader(rest);
      const PersonId person{reader.number<std::uint32_t>()};
      const auto membership = decode_membership(value);
      if (!reader.ok() || !membership)
        return corrupt(directory_, fmt::format("the membership of person {}", person.value), sync);
      visit(person, *membership);
      return {};
    });
  }

  Result<std::vector<PersonId>> holders(const std::string& sync,
                                        const UploadIdentifier& identifier) override {
    TRY(mend());
    std::vector<PersonId> people;
    TRY(scan(holders_prefix(sync, identifier), [&](std::string_view rest, std::string_view) -> Result<void> {
      Reader reader(rest);
      people.emplace_back(reader.number<std::uint32_t>());
      if (!reader.ok()) return corrupt(directory_, "a holder", sync);
      return {};
    }));
    return people;
  }

  Result<void> write(const std::string& sync, std::span<const MembershipChange> changes,
                     const SyncState& state) override {
    TRY(mend());
    std::vector<PersonId> unknown;
    for (const MembershipChange& change : changes) {
      if (!change.before) unknown.push_back(change.person);
    }
    const auto stored = TRY(find_many(sync, unknown));
    std::size_t next_stored = 0;
    std::unordered_map<PersonId, const Membership*> earlier;  // in `changes`, for a person named twice
    rocksdb::WriteBatch batch;
    std::vector<HolderChange> holders;
    for (const MembershipChange& change : changes) {
      const Membership* before = change.before.value_or(nullptr);
      if (!change.before) {
        const auto& found = stored[next_stored++];
        before = found ? &*found : nullptr;
      }
      const auto [at, is_new] = earlier.try_emplace(change.person, before);
      TRY(check(batch_change(batch, sync, at->second, change, holders)));
      if (auto fact = ended(sync, at->second, change)) TRY(put_delivery(batch, std::move(*fact)));
      at->second = &change.membership;
    }
    // In their order, so that each is put in beside the one before: hashes come in none. Of two changes to
    // one the later one stays the later.
    std::ranges::stable_sort(holders, {}, &HolderChange::key);
    for (const HolderChange& holder : holders)
      TRY(check(holder.holds ? batch.Put(holder.key, {}) : batch.Delete(holder.key)));
    TRY(check(batch.Put(prefix('s', sync), encode_state(state))));
    return commit(batch);
  }

  Result<SyncState> state(const std::string& sync) override {
    TRY(mend());
    std::string bytes;
    const rocksdb::Status status = db_->Get({}, prefix('s', sync), &bytes);
    if (status.IsNotFound()) return SyncState{};
    if (!status.ok()) return failed(directory_, status);
    auto state = decode_state(bytes);
    if (!state) return corrupt(directory_, "the state", sync);
    return std::move(*state);
  }

  Result<void> write_state(const std::string& sync, const SyncState& state) override {
    return write(sync, {}, state);
  }

  Result<void> add_match_point(const std::string& sync, const MatchPoint& point) override {
    TRY(mend());
    rocksdb::WriteBatch batch;
    std::string key = prefix('p', sync);
    put_time(key, point.at);
    TRY(check(batch.Put(key, encode_match_point(point))));
    return commit(batch);
  }

  Result<std::vector<MatchPoint>> match_points(const std::string& sync, std::size_t latest) override {
    TRY(mend());
    std::vector<MatchPoint> points;
    TRY(scan(prefix('p', sync), [&](std::string_view rest, std::string_view value) -> Result<void> {
      Reader reader(rest);
      const Time at = reader.time();
      auto point = decode_match_point(at, value);
      if (!reader.ok() || !point) return corrupt(directory_, "the history of match rates", sync);
      points.push_back(std::move(*point));
      return {};
    }));
    if (points.size() > latest)
      points.erase(points.begin(), points.end() - static_cast<std::ptrdiff_t>(latest));
    return points;
  }

  Result<StreamState> stream_state(const std::string& sync) override {
    TRY(mend());
    std::string bytes;
    const rocksdb::Status status = db_->Get({}, prefix('t', sync), &bytes);
    if (status.IsNotFound()) return StreamState{};
    if (!status.ok()) return failed(directory_, status);
    auto state = decode_stream(bytes);
    if (!state) return corrupt(directory_, "the state", sync);
    return std::move(*state);
  }

  Result<void> write_stream(const std::string& sync, const StreamState& state,
                            const StreamChange& change) override {
    TRY(mend());
    rocksdb::WriteBatch batch;
    for (const Position position : change.mended) TRY(check(batch.Delete(dead_letter_key(sync, position))));
    for (const StreamDeadLetter& letter : change.dead)
      TRY(check(batch.Put(dead_letter_key(sync, letter.position), encode_dead_letter(letter))));
    for (const StreamRefusals& refusals : change.refusals)
      TRY(check(batch.Put(refusals_key(sync, refusals.reason), encode_refusals(refusals))));
    for (const DeliveryFact& fact : change.settled) TRY(put_delivery(batch, fact));
    TRY(check(batch.Put(prefix('t', sync), encode_stream(state))));
    return commit(batch);
  }

  Result<WarehouseState> warehouse_state(const std::string& sync) override {
    TRY(mend());
    std::string bytes;
    const rocksdb::Status status = db_->Get({}, prefix('w', sync), &bytes);
    if (status.IsNotFound()) return WarehouseState{};
    if (!status.ok()) return failed(directory_, status);
    auto state = decode_warehouse(bytes);
    if (!state) return corrupt(directory_, "the state", sync);
    return std::move(*state);
  }
  Result<void> write_warehouse(const std::string& sync, const WarehouseState& state) override {
    TRY(mend());
    rocksdb::WriteBatch batch;
    TRY(check(batch.Put(prefix('w', sync), encode_warehouse(state))));
    return commit(batch);
  }

  void keep_deliveries(bool keep) override { keeps_deliveries_ = keep; }
  Result<std::uint64_t> deliveries_end() override {
    TRY(mend());
    return next_delivery();
  }
  Result<void> for_each_delivery(std::uint64_t from, std::uint64_t to,
                                 const std::function<void(const DeliveryFact&)>& visit) override {
    TRY(mend());
    const std::string end = delivery_key(to);
    const rocksdb::Slice bound(end);
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &bound;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
    for (at->Seek(delivery_key(from)); at->Valid(); at->Next()) {
      Reader id(at->key().ToStringView().substr(1));
      const auto fact = decode_delivery(id.number<std::uint64_t>(), at->value().ToStringView());
      if (!id.ok() || !fact)
        return fail(Error::Code::corrupt, "delivery ledger " + directory_ + ": a delivery is damaged");
      visit(*fact);
    }
    return check(at->status());
  }
  Result<void> drop_deliveries(std::uint64_t before) override {
    TRY(mend());
    // One by one: RocksDB keeps the hints for inserting into its table of ranges together with those for keys
    // (memtable_insert_with_hint_prefix_extractor), and a range among keys of its prefix breaks both.
    constexpr std::size_t kAtOnce = 10'000;
    std::vector<std::uint64_t> ids;
    TRY(for_each_delivery(0, before, [&](const DeliveryFact& fact) { ids.push_back(fact.id); }));
    for (std::size_t begin = 0; begin < ids.size(); begin += kAtOnce) {
      rocksdb::WriteBatch batch;
      for (std::size_t i = begin; i < std::min(begin + kAtOnce, ids.size()); ++i)
        TRY(check(batch.Delete(delivery_key(ids[i]))));
      TRY(commit(batch));
    }
    return {};
  }

  Result<void> for_each_stream_dead_letter(
      const std::string& sync, const std::function<void(const StreamDeadLetter&)>& visit) override {
    TRY(mend());
    return scan(prefix('d', sync), [&](std::string_view rest, std::string_view value) -> Result<void> {
      Reader reader(rest);
      const Position position(reader.number<std::uint64_t>());
      const auto letter = decode_dead_letter(position, value);
      if (!reader.ok() || !letter) return corrupt(directory_, "a dead letter", sync);
      visit(*letter);
      return {};
    });
  }

  Result<std::vector<StreamRefusals>> stream_refusals(const std::string& sync) override {
    TRY(mend());
    std::vector<StreamRefusals> all;
    TRY(scan(prefix('r', sync), [&](std::string_view rest, std::string_view value) -> Result<void> {
      Reader reader(rest);
      std::string reason = reader.text();
      auto refusals = decode_refusals(std::move(reason), value);
      if (!reader.ok() || !refusals) return corrupt(directory_, "a count of refusals", sync);
      all.push_back(std::move(*refusals));
      return {};
    }));
    return all;
  }

  Result<void> for_each_entry(const std::string& sync,
                              const std::function<void(PersonId, Time)>& visit) override {
    TRY(mend());
    return scan(prefix('e', sync), [&](std::string_view rest, std::string_view) -> Result<void> {
      Reader reader(rest);
      const PersonId person{reader.number<std::uint32_t>()};
      const Time at = reader.time();
      if (!reader.ok()) return corrupt(directory_, "an entry", sync);
      visit(person, at);
      return {};
    });
  }

  Result<void> checkpoint(const std::string& directory) override {
    TRY(mend());
    TRY(remove_directory(directory));
    rocksdb::Checkpoint* made = nullptr;
    TRY(check(rocksdb::Checkpoint::Create(db_.get(), &made)));
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
    // 0: what is in memory becomes a file first, so that no file of the checkpoint is one that is still
    // written.
    return check(checkpoint->CreateCheckpoint(directory, 0));
  }

  Result<std::vector<std::string>> verify() override {
    TRY(mend());
    std::vector<std::string> damage;
    if (const rocksdb::Status status = db_->VerifyChecksum(); !status.ok()) {
      if (!status.IsCorruption()) return failed(directory_, status);
      damage.push_back(fmt::format("delivery ledger {}: {}", directory_, status.ToString()));
      return damage;
    }
    Audit audit;
    TRY(scan("", [&](std::string_view key, std::string_view value) -> Result<void> {
      if (!audit.look_at(key, value)) {
        damage.push_back(fmt::format("delivery ledger {}: the entry `{}` does not keep to the format",
                                     directory_, rocksdb::Slice(key.data(), key.size()).ToString(true)));
      }
      return {};
    }));
    if (const std::size_t wrong = audit.disagreeing(); wrong > 0) {
      damage.push_back(
          fmt::format("delivery ledger {}: {} identifiers are uploaded for people whom the list of holders "
                      "does not name, "
                      "or the other way round",
                      directory_, wrong));
    }
    return damage;
  }

  Result<void> skip_batch_ids() override {
    TRY(mend());
    rocksdb::WriteBatch batch;
    TRY(scan("s", [&](std::string_view rest, std::string_view value) -> Result<void> {
      auto state = decode_state(value);
      if (!state) return corrupt(directory_, "the state", std::string(rest));
      state->next_batch_id += kSkippedBatchIds;
      return check(batch.Put("s" + std::string(rest), encode_state(*state)));
    }));
    return commit(batch);
  }

 private:
  static rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

  Result<void> check(const rocksdb::Status& status) const {
    if (!status.ok()) return failed(directory_, status);
    return {};
  }

  Result<void> commit(rocksdb::WriteBatch& batch) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    const rocksdb::Status status = db_->Write(synced, &batch);
    broken_ = !status.ok();
    if (broken_) next_delivery_.reset();
    return check(status);
  }

  // After a failed write RocksDB takes no more, and what of it reached the disk shows when it is opened anew.
  Result<void> mend() {
    if (!broken_ && db_ != nullptr) return {};
    db_.reset();
    db_ = TRY(open_database(directory_, environment_));
    broken_ = false;
    return {};
  }

  Result<std::uint64_t> next_delivery() {
    if (next_delivery_) return *next_delivery_;
    std::string bytes;
    const rocksdb::Status status = db_->Get({}, slice(kNextDeliveryKey), &bytes);
    if (!status.ok() && !status.IsNotFound()) return failed(directory_, status);
    Reader reader(bytes);
    next_delivery_ = status.IsNotFound() ? 1 : reader.number<std::uint64_t>();
    return *next_delivery_;
  }
  Result<void> put_delivery(rocksdb::WriteBatch& batch, const DeliveryFact& fact) {
    if (!keeps_deliveries_) return {};
    const std::uint64_t id = TRY(next_delivery());
    next_delivery_ = id + 1;
    TRY(check(batch.Put(delivery_key(id), encode_delivery(fact))));
    std::string next;
    put(next, id + 1);
    return check(batch.Put(slice(kNextDeliveryKey), next));
  }
  // How a change of a membership ended something. Missing: it is under way, or as it was.
  static std::optional<DeliveryFact> ended(const std::string& sync, const Membership* before,
                                           const MembershipChange& change) {
    using State = Membership::State;
    const Membership& after = change.membership;
    if (before != nullptr && before->state == after.state && before->reason == after.reason)
      return std::nullopt;
    DeliveryFact fact;
    switch (after.state) {
      case State::adding:
      case State::removing:
        return std::nullopt;
      case State::member:
        if (before != nullptr && before->state == State::member) return std::nullopt;
        fact.operation = DeliveryFact::Operation::add;
        break;
      case State::left:
        if (before == nullptr || !holds(before->state)) return std::nullopt;
        fact.operation = DeliveryFact::Operation::remove;
        break;
      case State::rejected:
        fact.outcome = DeliveryFact::Outcome::rejected;
        break;
    }
    fact.sync = sync;
    fact.person = change.person;
    fact.changed_at = after.changed_at;
    fact.received_at = after.received_at;
    fact.sent_at = after.sent_at;
    fact.acknowledged_at = after.state == State::rejected ? after.refused_at : after.acknowledged_at;
    fact.reason = after.reason;
    return fact;
  }

  // A store without a version is new; one that holds something anyway is not ours.
  Result<void> begin() {
    const std::unique_ptr<rocksdb::Iterator> any(db_->NewIterator({}));
    any->SeekToFirst();
    if (any->Valid())
      return fail(Error::Code::corrupt, "delivery ledger " + directory_ + ": it names no format version");
    return name_format();
  }
  Result<void> name_format() {
    rocksdb::WriteBatch batch;
    std::string version;
    put(version, kLedgerFormat);
    TRY(check(batch.Put(slice(kVersionKey), version)));
    return commit(batch);
  }

  struct HolderChange {
    std::string key;
    bool holds = false;
  };

  // The membership and the entry go into the batch, the holders into a list.
  static rocksdb::Status batch_change(rocksdb::WriteBatch& batch, const std::string& sync,
                                      const Membership* before, const MembershipChange& change,
                                      std::vector<HolderChange>& holders) {
    const Membership& after = change.membership;
    const auto holder_key = [&](const UploadIdentifier& identifier) {
      std::string key = holders_prefix(sync, identifier);
      put(key, change.person.value);
      return key;
    };
    // Where neither the holding nor the identifiers change (an acknowledgement), the holders stay untouched.
    const bool held = before && holds(before->state);
    if (!(held && holds(after.state) && before->uploaded == after.uploaded)) {
      if (held) {
        for (const auto& identifier : before->uploaded) holders.push_back({holder_key(identifier), false});
      }
      if (holds(after.state)) {
        for (const auto& identifier : after.uploaded) holders.push_back({holder_key(identifier), true});
      }
    }
    const bool was_member = before && before->state == Membership::State::member;
    if (after.state == Membership::State::member && !was_member) {
      std::string key = prefix('e', sync);
      put(key, change.person.value);
      put_time(key, after.acknowledged_at);
      if (auto status = batch.Put(key, {}); !status.ok()) return status;
    }
    return batch.Put(membership_key(sync, change.person), encode_membership(after));
  }

  // Visits the keys with this prefix in order, each without it. All keys, where it is empty.
  template <class Visit>
  Result<void> scan(const std::string& start, const Visit& visit) {
    const std::string end = end_of(start);
    const rocksdb::Slice bound(end);
    rocksdb::ReadOptions options;
    if (!end.empty()) options.iterate_upper_bound = &bound;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
    for (at->Seek(start); at->Valid(); at->Next()) {
      const std::string_view key = at->key().ToStringView();
      TRY(visit(key.substr(start.size()), at->value().ToStringView()));
    }
    return check(at->status());
  }

  std::string directory_;
  rocksdb::Env* environment_;
  std::unique_ptr<rocksdb::DB> db_;  // nullptr: could not be opened again
  bool broken_ = false;
  bool keeps_deliveries_ = false;
  std::optional<std::uint64_t> next_delivery_;  // missing: to be read
};

// It holds hashes of personal data: for its owner alone.
Result<void> make_directory(const std::string& directory) {
  std::error_code error;
  if (std::filesystem::exists(directory, error)) return {};
  std::filesystem::create_directories(directory, error);
  if (!error) std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  if (!error) return {};
  return fail(Error::Code::io,
              fmt::format("cannot create the delivery ledger {}: {}", directory, error.message()));
}

}  // namespace

Result<void> remove_checkpoint(const std::string& directory) { return remove_directory(directory); }

Result<std::unique_ptr<Ledger>> Ledger::open(const std::string& directory, rocksdb::Env* environment) {
  if (environment == nullptr) TRY(make_directory(directory));
  auto ledger =
      std::make_unique<RocksLedger>(directory, environment, TRY(open_database(directory, environment)));
  TRY(ledger->check_version());
  return ledger;
}

}  // namespace tailrace::delivery
