// A log in memory, for tests of the engine: positions are 0, 1, 2, ...
#pragma once

#include <string>
#include <vector>

#include "base/assert.h"
#include "engine/engine.h"

namespace tailrace::testing {

class MemoryRecords final : public engine::Records {
 public:
  Position append(const RecordView& record) {
    std::string& bytes = records_.emplace_back();
    TR_ASSERT(encode_record(record, bytes).has_value());
    return Position(records_.size() - 1);
  }
  Result<RecordView> record(Position position, std::string& bytes) override {
    ++reads_;
    if (position.value >= records_.size()) return fail(Error::Code::corrupt, "no such record");
    bytes = records_[position.value];
    return decode_record(bytes);
  }
  void make_tombstone_at(Position position, bool created_person = false) {
    std::string& bytes = records_[position.value];
    make_tombstone(bytes, 0, bytes.size(), created_person);
  }
  void pin_at(const Pin& pinned) { pin(records_[pinned.position.value], 0, pinned.kinds); }
  std::size_t size() const { return records_.size(); }
  std::size_t reads() const { return reads_; }  // by record()

 private:
  std::vector<std::string> records_;
  std::size_t reads_ = 0;
};

}  // namespace tailrace::testing
