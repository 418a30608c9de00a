// Sorts rows by their keys, however many there are: what does not fit into memory goes to files in between.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "sources/query/entry_file.h"

namespace tailrace::sources {

class RowSorter {
 public:
  // directory: for `sorted-N`, which are removed by whoever owns it. disk: outlives it.
  RowSorter(Disk& disk, std::string directory, std::size_t memory_bytes_max)
      : disk_(disk), directory_(std::move(directory)), memory_bytes_max_(memory_bytes_max) {}

  Result<void> add(Entry entry);
  // After the last row, once: begins to give them.
  Result<void> finish();
  // The next, by (key, hash); false at the end.
  Result<bool> next(Entry& entry);
  std::size_t files() const { return readers_.size(); }

 private:
  struct Head {
    Entry entry;
    std::size_t reader = 0;
  };
  static bool before(const Entry& a, const Entry& b) {
    return a.key != b.key ? a.key < b.key : a.hash < b.hash;
  }
  static bool later(const Head& a, const Head& b) { return before(b.entry, a.entry); }
  Result<void> spill();
  Result<void> advance(std::size_t reader);

  Disk& disk_;
  std::string directory_;
  std::size_t memory_bytes_max_;
  std::size_t memory_bytes_ = 0;
  std::vector<Entry> rows_;
  std::size_t given_ = 0;
  std::size_t spilled_ = 0;
  std::vector<std::unique_ptr<EntryReader>> readers_;
  std::vector<Head> heads_;  // a heap, the first row at its front
};

}  // namespace tailrace::sources
