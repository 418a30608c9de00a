#include "sources/query/row_sorter.h"

#include <algorithm>

#include <fmt/format.h>

namespace tailrace::sources {

Result<void> RowSorter::add(Entry entry) {
  memory_bytes_ += sizeof(Entry) + entry.key.capacity() + entry.record.capacity();
  rows_.push_back(std::move(entry));
  return memory_bytes_ < memory_bytes_max_ ? Result<void>() : spill();
}

Result<void> RowSorter::spill() {
  std::ranges::sort(rows_, before);
  const auto writer =
      TRY(EntryWriter::create(disk_, fmt::format("{}/sorted-{}", directory_, spilled_), "{}"));
  for (const Entry& row : rows_) TRY(writer->put(row));
  TRY(writer->finish());
  ++spilled_;
  rows_.clear();
  memory_bytes_ = 0;
  return {};
}

Result<void> RowSorter::finish() {
  if (spilled_ == 0) {
    std::ranges::sort(rows_, before);
    return {};
  }
  if (!rows_.empty()) TRY(spill());
  rows_.shrink_to_fit();
  for (std::size_t i = 0; i < spilled_; ++i) {
    readers_.push_back(TRY(EntryReader::open(disk_, fmt::format("{}/sorted-{}", directory_, i))));
    TRY(advance(i));
  }
  return {};
}

Result<void> RowSorter::advance(std::size_t reader) {
  Head head{.entry = {}, .reader = reader};
  if (!TRY(readers_[reader]->next(head.entry))) return {};
  heads_.push_back(std::move(head));
  std::ranges::push_heap(heads_, later);
  return {};
}

Result<bool> RowSorter::next(Entry& entry) {
  if (spilled_ == 0) {
    if (given_ == rows_.size()) return false;
    entry = std::move(rows_[given_++]);
    return true;
  }
  if (heads_.empty()) return false;
  std::ranges::pop_heap(heads_, later);
  Head head = std::move(heads_.back());
  heads_.pop_back();
  entry = std::move(head.entry);
  TRY(advance(head.reader));
  return true;
}

}  // namespace tailrace::sources
