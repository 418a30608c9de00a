#include "history/cell.h"

#include <algorithm>

#include "model/json.h"

namespace tailrace::history {
namespace {

// bits: tag:3, then by tag
//   boolean: value:1       decimal: scale:5 mantissa:56 (signed)      string, other: unused:29 index:32
enum Tag : std::uint64_t { kMissing = 0, kBoolean = 1, kDecimal = 2, kString = 3, kOther = 4 };
constexpr std::uint64_t kTagMask = 7;
constexpr std::int64_t kMantissaMax = (std::int64_t{1} << 55) - 1;
constexpr int kScaleMax = 31;

Cell indexed(Tag tag, std::size_t index) { return {tag | static_cast<std::uint64_t>(index) << 32}; }
std::size_t index_of(Cell cell) { return cell.bits >> 32; }

}  // namespace

Cell CellPool::intern(const Value& value) {
  switch (value.kind) {
    case Value::Kind::missing:
    case Value::Kind::null:
      return {};
    case Value::Kind::boolean:
      return {kBoolean | static_cast<std::uint64_t>(value.boolean) << 3};
    case Value::Kind::number: {
      const auto decimal = value.number.as_decimal();
      if (!decimal || decimal->scale > kScaleMax || decimal->mantissa > kMantissaMax ||
          decimal->mantissa < -kMantissaMax)
        return intern_other(value);
      return {kDecimal | static_cast<std::uint64_t>(decimal->scale) << 3 |
              static_cast<std::uint64_t>(decimal->mantissa) << 8};
    }
    case Value::Kind::string: {
      if (const auto known = string_ids_.find(value.string); known != string_ids_.end())
        return indexed(kString, known->second);
      const auto id = static_cast<std::uint32_t>(strings_.size());
      strings_.push_back(value.string);
      text_bytes_ += memory_of(strings_.back()).bytes;
      string_ids_.emplace(strings_.back(), id);
      return indexed(kString, id);
    }
    case Value::Kind::list:
    case Value::Kind::object:
      return intern_other(value);
  }
  return {};
}

Cell CellPool::intern_other(const Value& value) {
  const auto [known, added] = other_ids_.emplace(to_json(value), static_cast<std::uint32_t>(others_.size()));
  if (added) {
    others_.push_back(value);
    text_bytes_ += 2 * memory_of(known->first).bytes;
  }
  return indexed(kOther, known->second);
}

bool CellPool::small_decimal(Cell cell, std::int64_t& mantissa, int& scale) {
  if ((cell.bits & kTagMask) != kDecimal) return false;
  scale = static_cast<int>(cell.bits >> 3 & 31);
  mantissa = static_cast<std::int64_t>(cell.bits) >> 8;
  return true;
}

bool CellPool::number(Cell cell, Number& out) const {
  std::int64_t mantissa = 0;
  int scale = 0;
  if (small_decimal(cell, mantissa, scale)) {
    out = Number::decimal(mantissa, scale);
    return true;
  }
  if ((cell.bits & kTagMask) != kOther) return false;
  const Value& value = others_[index_of(cell)];
  if (value.kind != Value::Kind::number) return false;
  out = value.number;
  return true;
}

bool CellPool::may_be_several(Cell cell) { return (cell.bits & kTagMask) == kOther; }

const std::string* CellPool::text(Cell cell) const {
  return (cell.bits & kTagMask) == kString ? &strings_[index_of(cell)] : nullptr;
}

const Value* CellPool::other(Cell cell) const {
  return (cell.bits & kTagMask) == kOther ? &others_[index_of(cell)] : nullptr;
}

Value CellPool::load(Cell cell) const {
  switch (cell.bits & kTagMask) {
    case kBoolean:
      return Value::of((cell.bits >> 3 & 1) != 0);
    case kDecimal: {
      Number value;
      number(cell, value);
      return Value::of(value);
    }
    case kString:
      return Value::of(strings_[index_of(cell)]);
    case kOther:
      return others_[index_of(cell)];
    default:
      return {};
  }
}

void CellPool::Used::add(Cell cell) {
  const auto tag = cell.bits & kTagMask;
  if (tag != kString && tag != kOther) return;
  std::vector<bool>& used = tag == kString ? strings_ : others_;
  const std::size_t index = index_of(cell);
  if (index >= used.size()) used.resize(std::max(index + 1, used.size() * 2));
  used[index] = true;
}

void CellPool::save(ByteWriter& out, const Used& used) const {
  const auto is_in = [](const std::vector<bool>& all, std::size_t index) {
    return index < all.size() && all[index];
  };
  // Places of those left out stay, as cells hold them.
  out.begin_part("texts of cells");
  out.put<std::uint64_t>(strings_.size());
  for (std::size_t i = 0; i < strings_.size(); ++i) {
    out.put(is_in(used.strings_, i));
    if (is_in(used.strings_, i)) out.put_string(strings_[i]);
  }
  out.begin_part("lists and objects of cells");
  out.put<std::uint64_t>(others_.size());
  for (std::size_t i = 0; i < others_.size(); ++i) {
    out.put(is_in(used.others_, i));
    if (is_in(used.others_, i)) out.put_string(to_json(others_[i]));
  }
}

MemoryUse CellPool::memory() const {
  MemoryUse use{text_bytes_, 0};
  use += memory_of(strings_);
  use += memory_of(others_);
  use += memory_of_table(string_ids_);
  return use += memory_of_table(other_ids_);
}

Result<void> CellPool::restore(ByteReader& in) {
  for (auto left = TRY(in.get_count(1)); left > 0; --left) {
    if (TRY(in.get<bool>())) {
      intern(Value::of(TRY(in.get_string())));
    } else {
      strings_.emplace_back();
    }
  }
  for (auto left = TRY(in.get_count(1)); left > 0; --left) {
    if (TRY(in.get<bool>())) {
      intern_other(TRY(parse_json(TRY(in.get_view()))));
    } else {
      others_.emplace_back();
    }
  }
  return {};
}

}  // namespace tailrace::history
