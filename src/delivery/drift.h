// Drift: what the platform says of an audience, against what it said before and what we have sent. Somebody
// may have renamed or deleted it, the platform may have flagged it, its members may have decayed, or others
// may have added theirs. What was seen last without complaint is the baseline.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "destinations/audience_destination.h"

namespace tailrace::delivery {

struct Baseline {
  bool known = false;
  std::string name, description;
  std::optional<std::int64_t> retention_days;
  std::string flag;
  std::uint64_t delivered = 0;  // people acknowledged when the size was taken
  std::int64_t size = 0;        // the platform's, at that time; 0: it did not say
  std::int64_t strangers = 0;   // beyond ours, and accepted as such

  bool operator==(const Baseline&) const = default;
};

struct Drift {
  enum class Kind : unsigned char {
    gone,     // there is no such audience, or we may not see it any more
    edited,   // its name, description or retention is another
    flagged,  // the platform says that it is not used as it should be
    decayed,  // it holds less than half of what it held, and we did not remove that many
    foreign,  // it holds a quarter and a thousand more than we sent
  };
  Kind kind = Kind::gone;
  std::string text;  // in words, for `status`

  bool operator==(const Drift&) const = default;
};

// What is not as it was. Sizes are the platforms' own estimates, rounded and late, hence the wide margins.
std::vector<Drift> drift_of(const Baseline& baseline, const destinations::Measurement& now,
                            std::uint64_t delivered);

// The baseline after an observation whose drift is of no concern or accepted: what it says holds from now on.
Baseline adopted(const Baseline& baseline, const destinations::Measurement& now, std::uint64_t delivered);
// The baseline after an observation without drift.
Baseline followed(const Baseline& baseline, const destinations::Measurement& now, std::uint64_t delivered);

}  // namespace tailrace::delivery
