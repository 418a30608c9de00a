// One bounded pass of a sync, begun by hand (`tailrace sync NAME --once`): so many of what is pending, sent
// whatever the cadence says, and what became of each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/id.h"

namespace tailrace::delivery {

struct Pass {
  enum class Outcome : unsigned char {
    accepted,
    settled,   // without a request: others hold the same identifiers
    built,     // in a dry run: this is what would be sent
    refused,   // by us, before it was sent
    rejected,  // by the platform
    unknown,   // sent, and never answered
  };
  struct Record {
    PersonId person;
    std::string what;  // "add", "remove", "change", or the event
    Outcome outcome = Outcome::accepted;
    std::string reason;  // holds no identifier
  };
  static constexpr std::size_t kRecordsMax = 1'000;

  std::uint64_t left = 0;  // that may still be begun
  bool done = false;
  std::vector<Record> records;  // the first of them; all are counted
  std::map<std::tuple<Outcome, std::string, std::string>, std::uint64_t> counts;  // outcome, what, reason

  bool is_on() const { return !done; }
  void note(PersonId person, std::string what, Outcome outcome, std::string reason = {}) {
    ++counts[{outcome, what, reason}];
    if (records.size() < kRecordsMax)
      records.push_back({person, std::move(what), outcome, std::move(reason)});
  }
  void begin(std::uint64_t many) { left -= many < left ? many : left; }
};

constexpr std::string_view to_string(Pass::Outcome outcome) {
  switch (outcome) {
    case Pass::Outcome::accepted:
      return "accepted";
    case Pass::Outcome::settled:
      return "no request needed";
    case Pass::Outcome::built:
      return "would be sent";
    case Pass::Outcome::refused:
      return "not sent";
    case Pass::Outcome::rejected:
      return "rejected";
    case Pass::Outcome::unknown:
      return "no answer";
  }
  return "?";
}

}  // namespace tailrace::delivery
