// Calendar arithmetic in a time zone with its daylight saving (IANA names, from the system's or ICU's
// tables).
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/time.h"

namespace tailrace {

class Zone {
 public:
  // "UTC", "Europe/London". Errors: invalid_argument for an unknown name.
  static Result<Zone> named(const std::string& name);
  static Zone utc();

  enum class Unit : unsigned char { day, week, month, quarter, year };  // weeks begin on Monday
  // The first instant of the unit that holds t, moved by `steps` whole units (0: the one that holds t, 1: the
  // next).
  Time start_of(Unit unit, Time t, int steps = 0) const;
  // The UTC instant of a local wall clock written as if it were UTC; in a gap the instant after it, in a fold
  // the first.
  Time from_local(Time local) const;
  // The local wall clock at an instant, written as if it were UTC.
  Time to_local(Time t) const;
  const std::string& name() const { return name_; }

 private:
  struct Body;
  Zone(std::string name, std::shared_ptr<const Body> body) : name_(std::move(name)), body_(std::move(body)) {}
  std::string name_;
  std::shared_ptr<const Body> body_;
};

}  // namespace tailrace
