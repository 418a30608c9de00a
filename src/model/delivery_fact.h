// How a platform ended what it was asked about a person or an event: a row for the warehouse.
#pragma once

#include <cstdint>
#include <string>

#include "base/id.h"
#include "base/time.h"

namespace tailrace {

struct DeliveryFact {
  enum class Operation : unsigned char { add, remove, event };
  enum class Outcome : unsigned char { accepted, rejected, unknown };
  std::uint64_t id = 0;  // unique in a store, in order
  std::string sync;
  PersonId person;
  Operation operation = Operation::add;
  Outcome outcome = Outcome::accepted;
  Position position;  // of an event
  std::string event;  // likewise, its canonical name
  Time changed_at;    // of a membership: when the segment said so
  Time received_at;
  Time sent_at;  // zero: not known
  Time acknowledged_at;
  std::string reason;  // of a refusal; holds no identifier

  bool operator==(const DeliveryFact&) const = default;
};

}  // namespace tailrace
