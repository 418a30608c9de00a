// What a piece of a snapshot has become since another snapshot, as the difference of two strings of bytes.
// Most of a state changes in place, a few bytes here and there; some grows by an insertion that moves what
// is behind it. Both cost about as many bytes as are new, and a handful for each place.
//
//   delta := step*
//   step  := new:varint bytes same:varint shift:varint
//
// First the new bytes; then so many as they stand in the older string, from where the step before has ended
// there, plus the number of new bytes, plus the shift. The shift is a signed number: 0, -1, 1, -2, ... are
// written 0, 1, 2, 3, ...
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tailrace::server {

// apply_delta(before, delta_of(before, after)) is `after`. Takes time in proportion to both: some
// nanoseconds for each byte that is new, a fraction for each that is not. Both shorter than 4 GiB.
std::string delta_of(std::string_view before, std::string_view after);

// Errors: corrupt (it is no delta to these bytes, or gives more than bytes_max).
Result<std::string> apply_delta(std::string_view before, std::string_view delta, std::size_t bytes_max);

}  // namespace tailrace::server
