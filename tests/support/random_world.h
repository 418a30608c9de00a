// Small random histories, for the judge to evaluate and the engine to be compared with. Few people, few
// names, few values, and times that meet: on the same millisecond, exactly one window apart, and one
// millisecond beside that. The same Random gives the same world everywhere.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "base/random.h"
#include "base/time.h"
#include "support/oracle.h"

namespace tailrace::testing {

struct RandomWorldOptions {
  std::size_t people_max = 5;  // at least 1
  std::size_t events_per_person_max = 20;
  std::size_t traits_per_person_max = 8;  // statements
  Time start{1'772'323'200'000};          // 2026-03-01T00:00:00Z, a Sunday
  bool daylight_saving = true;            // sometimes a time zone whose clocks change within the span
};

// What a random world speaks of, for random expressions to speak of the same.
namespace vocabulary {
inline constexpr std::array<std::string_view, 4> kEvents{"Product Viewed", "Cart Started", "Order Placed",
                                                         "Order Refunded"};
// Of events: revenue is mostly a decimal, quantity a small whole number, currency a string, products a list
// of objects with category, price and quantity, tags a list of strings. Each may be missing, null or of
// another type.
inline constexpr std::array<std::string_view, 5> kProperties{"revenue", "quantity", "currency", "products",
                                                             "tags"};
inline constexpr std::array<std::string_view, 3> kProductProperties{"category", "price", "quantity"};
// Of people: age is mostly a number, country a string, vip a boolean, tags a list of strings, signed_up_at a
// time as text; address is an object with a city.
inline constexpr std::array<std::string_view, 6> kTraits{"age",  "country",      "vip",
                                                         "tags", "signed_up_at", "address"};
inline constexpr std::array<std::string_view, 4> kStrings{"US", "GB", "a", "b"};  // every string value
inline constexpr std::array<std::string_view, 2> kPurposes{"ads", "email"};
inline constexpr std::array<std::string_view, 2> kSyncs{"Winback", "VIP"};
// Times lie multiples of these apart, so windows of these lengths end exactly on other events.
inline constexpr std::array<Millis, 5> kSpans{kMinute * 30, kHour, kHour * 2, kDay, kDay * 7};
}  // namespace vocabulary

// A time of the kind random worlds are made of: good to ask at, and as a fixed bound.
Time random_time(Random& random, Time start);

// A JSON value of the kind a property of that name has (any name of the vocabulary).
Value random_value(Random& random, std::string_view name, Time start);

// People, their histories and the time zone. Definitions, attributes and segments are left to the caller.
OracleWorld random_world(Random& random, const RandomWorldOptions& options = {});

}  // namespace tailrace::testing
