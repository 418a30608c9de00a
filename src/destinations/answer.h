// Reading answers: what every destination's decode needs. Bodies are from outside and may be anything; no
// text of theirs is passed on but words that can only be a code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/http.h"
#include "destinations/audience_destination.h"
#include "model/value.h"

namespace tailrace::destinations {

// A platform's wish to wait is followed up to here; beyond, one try a day finds out.
constexpr Millis kRetryAfterMax = kDay;

// The Retry-After header: seconds, or an HTTP date seen from the answer's own Date. At most kRetryAfterMax;
// missing when absent or not readable.
std::optional<Millis> retry_after(const HttpResponse& response);

// When the answer was sent, by its own Date header; missing when absent or not readable.
std::optional<Time> sent_at(const HttpResponse& response);

// The body as a JSON object; missing when it is anything else (HTML, cut off, empty).
std::optional<Value> json_object(const HttpResponse& response);

// Members of an object; nullptr, empty or missing when absent or of another kind. `object` may be nullptr.
const Value* member(const Value* object, std::string_view key);
std::string_view text_member(const Value* object, std::string_view key);
// A whole number, also when it is written as a string (as Google writes 64-bit numbers).
std::optional<std::int64_t> integer_member(const Value* object, std::string_view key);
std::optional<double> number_member(const Value* object, std::string_view key);

// A header that says when a limit is lifted: in so many seconds, or at a second since 1970, which is seen
// from the answer's own Date. At most kRetryAfterMax; missing when absent or not readable.
std::optional<Millis> wait_until_reset(const HttpResponse& response, std::string_view header);

// The text if it can only be a code ("INVALID_ARGUMENT"), else "": A-Z 0-9 and _, up to 64 bytes.
std::string code_word(std::string_view text);

// What a reply speaks of: the members of a batch, or so many events.
struct Records {
  std::size_t count = 0;
  Records(const Batch& batch) : count(batch.members.size()) {}
  Records(std::size_t events) : count(events) {}
};
Reply accepted(Records records);
Reply rejected(Records records, std::string reason, std::string code);
Reply retry(std::string reason, std::string code, std::optional<Millis> after = std::nullopt);
Reply reauthorise(std::string reason, std::string code);
Reply stop(std::string reason, std::string code);
// Some record makes the request fail, which one is not known. A batch of one is rejected instead;
// where there are no records to blame (a batch of none), it is a stop.
Reply split(Records records, std::string reason, std::string code);

// What the status alone says, where the body says nothing better.
Reply judge_status(Records records, const HttpResponse& response);

// The error of an exchange that is not a batch (token, create, measure): unavailable when trying again may
// help, else invalid_argument.
std::unexpected<Error> failed(std::string_view what, const Reply& reply);

}  // namespace tailrace::destinations
