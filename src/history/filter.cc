#include "history/filter.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::history {

void FilterIndex::add(StreamId stream, const std::optional<Needs>& needs) {
  if (!needs) {
    others_.push_back({stream, false});
    return;
  }
  const auto same_path = [&](const ByPath& other) { return other.path == needs->path; };
  auto at = std::find_if(paths_.begin(), paths_.end(), same_path);
  if (at == paths_.end()) {
    at = paths_.insert(at, ByPath{});
    at->path = needs->path;
  }
  const Candidate candidate{stream, needs->suffice};
  for (const Value& value : needs->values) {
    if (value.kind == Value::Kind::string) {
      at->strings[value.string].push_back(candidate);
    } else if (value.kind == Value::Kind::boolean) {
      at->booleans[value.boolean ? 1 : 0].push_back(candidate);
    } else {
      TR_ASSERT(value.kind == Value::Kind::number);
      const auto decimal = value.number.as_decimal();
      TR_ASSERT(decimal.has_value());
      at->numbers[{decimal->mantissa, decimal->scale}].push_back(candidate);
      at->all_of_numbers.push_back({stream, false});
    }
  }
}

std::span<const FilterIndex::Candidate> FilterIndex::find(const Value& properties) {
  if (paths_.empty()) return others_;
  found_.clear();
  for (const ByPath& by_path : paths_) {
    values_.assign(1, &properties);
    for (const std::string& step : by_path.path) {
      below_.clear();
      for (const Value* value : values_) value->find_all(step, below_);
      std::swap(values_, below_);
    }
    for (const Value* value : values_) add_found(by_path, *value);
  }
  // A list may hold several values one stream needs. Where one says for certain, the others need not be
  // asked.
  const auto sooner = [](const Candidate& a, const Candidate& b) {
    return a.stream != b.stream ? a.stream < b.stream : a.certain && !b.certain;
  };
  const auto same = [](const Candidate& a, const Candidate& b) { return a.stream == b.stream; };
  found_.insert(found_.end(), others_.begin(), others_.end());
  std::sort(found_.begin(), found_.end(), sooner);
  found_.erase(std::unique(found_.begin(), found_.end(), same), found_.end());
  return found_;
}

void FilterIndex::add_found(const ByPath& by_path, const Value& value) {
  switch (value.kind) {
    case Value::Kind::string:
      if (const auto known = by_path.strings.find(value.string); known != by_path.strings.end())
        add_found(known->second);
      return;
    case Value::Kind::boolean:
      add_found(by_path.booleans[value.boolean ? 1 : 0]);
      return;
    case Value::Kind::number: {
      if (by_path.all_of_numbers.empty()) return;
      const auto decimal = value.number.as_decimal();
      if (!decimal) {
        add_found(by_path.all_of_numbers);
      } else if (const auto known = by_path.numbers.find({decimal->mantissa, decimal->scale});
                 known != by_path.numbers.end()) {
        add_found(known->second);
      }
      return;
    }
    case Value::Kind::missing:
    case Value::Kind::null:
    case Value::Kind::list:
    case Value::Kind::object:
      return;
  }
}

void FilterIndex::add_found(const std::vector<Candidate>& streams) {
  found_.insert(found_.end(), streams.begin(), streams.end());
}

}  // namespace tailrace::history
