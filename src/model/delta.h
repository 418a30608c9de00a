// What the engine says when a membership changes.
#pragma once

#include "base/id.h"
#include "base/time.h"

namespace tailrace {

enum class Change : unsigned char { entered, left };

struct Delta {
  Time at;  // the exact instant: the end of a window, or the received_at of the record that decided
  Time cause_received_at;  // received_at of that record; equal to `at` when time alone decided
  SegmentId segment;
  PersonId person;
  Change change = Change::entered;

  bool operator==(const Delta&) const = default;
};

}  // namespace tailrace
