#include "sources/query/comparison.h"

#include <optional>

namespace tailrace::sources {
namespace {

class Comparing {
 public:
  Comparing(const RowMapping& mapping, const NextEntry& now, const NextEntry& before,
            const PutEntry& snapshot, const PutEntry& changes)
      : mapping_(mapping), now_(now), before_(before), snapshot_(snapshot), changes_(changes) {}

  Result<RowCounts> run() {
    TRY(read_before());
    more_ = TRY(now_(ahead_));
    while (TRY(read_group())) {
      while (old_ && old_->key < row_.key) TRY(gone());
      std::optional<Entry> old;
      if (old_ && old_->key == row_.key) {
        old = std::move(old_);
        TRY(read_before());
      }
      TRY(judge(old));
    }
    while (old_) TRY(gone());
    return counts_;
  }

 private:
  Result<void> read_before() {
    Entry entry;
    old_.reset();
    if (!TRY(before_(entry))) return {};
    ++counts_.before;
    old_ = std::move(entry);
    return {};
  }

  // All rows of the next key: row_ is the first of them.
  Result<bool> read_group() {
    if (!more_) return false;
    row_ = std::move(ahead_);
    is_ambiguous_ = false;
    ++counts_.rows;
    while ((more_ = TRY(now_(ahead_))) && ahead_.key == row_.key) {
      ++counts_.rows;
      is_ambiguous_ |= ahead_.hash != row_.hash;
    }
    return true;
  }

  Result<void> judge(const std::optional<Entry>& old) {
    if (is_ambiguous_) {
      ++counts_.ambiguous;
      return old ? snapshot_(*old) : Result<void>();
    }
    const bool are_events = mapping_.header().rows == RowsAs::events;
    const bool stood = old && old->stands;
    const bool is_same = old && old->hash == row_.hash;
    row_.stands |= stood;
    if (is_same) {
      ++counts_.unchanged;
    } else if (row_.rejected) {
      ++counts_.rejected;
    } else if (stood) {
      ++counts_.changed;
    } else {
      ++counts_.added;
    }
    const bool is_sent = !is_same && (row_.rejected || !are_events || !stood);
    if (is_sent) TRY(send(row_.key, row_.record));
    row_.record.clear();
    return snapshot_(row_);
  }

  Result<void> gone() {
    ++counts_.gone;
    if (const auto record = mapping_.gone(*old_)) TRY(send(old_->key, *record));
    return read_before();
  }

  Result<void> send(const std::string& key, const std::string& record) {
    ++counts_.records;
    return changes_({.key = key, .hash = {}, .rejected = false, .stands = false, .record = record});
  }

  const RowMapping& mapping_;
  const NextEntry& now_;
  const NextEntry& before_;
  const PutEntry& snapshot_;
  const PutEntry& changes_;
  RowCounts counts_;
  std::optional<Entry> old_;
  Entry row_;
  Entry ahead_;
  bool more_ = false;
  bool is_ambiguous_ = false;
};

}  // namespace

Result<RowCounts> compare(const RowMapping& mapping, const NextEntry& now, const NextEntry& before,
                          const PutEntry& snapshot, const PutEntry& changes) {
  return Comparing(mapping, now, before, snapshot, changes).run();
}

}  // namespace tailrace::sources
