// The small change of HTTP and JSON that all parts of the sandbox share: targets, forms, values, and the
// forms that identifiers must have. Written apart from the destinations' codecs on purpose: two readings of
// the contract that agree are worth more than one used twice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http.h"
#include "base/time.h"
#include "model/value.h"

namespace tailrace::sandbox {

using Params = std::vector<std::pair<std::string, std::string>>;

struct Target {
  std::vector<std::string> segments;  // decoded, without empty ones
  Params query;
};

// One request on its way through the sandbox. `segments` begin after the platform's prefix.
struct Call {
  const HttpRequest& request;
  std::vector<std::string> segments;
  Params query;
  Time now;
};

// Accepts "/path?query" and an absolute URL. Never fails: what cannot be decoded stays as it was written.
Target parse_target(std::string_view url);
Params parse_form(std::string_view text);
const std::string* find_param(const Params& params, std::string_view name);

// Text that is safe in any JSON answer: bytes outside printable ASCII become '?', cut to 200 bytes.
std::string printable(std::string_view text);

Value object(std::vector<std::pair<std::string, Value>> members);
Value list_of(std::vector<Value> elements);
Value whole(std::int64_t number);
HttpResponse json_response(int status, const Value& body);

// A JSON number without a fraction, or (forms carry only text) a string of one. Missing otherwise.
std::optional<std::int64_t> whole_number(const Value& value);
std::optional<std::int64_t> whole_number(std::string_view text);

bool is_string(const Value* value);
bool is_digits(std::string_view text);            // and not empty
bool is_lower_hex_digest(std::string_view text);  // 64 digits of 0-9a-f
bool is_uuid(std::string_view text);              // either case of letters
// The token of "Authorization: Bearer ..."; missing when there is no such header.
std::optional<std::string> bearer_token(const HttpHeaders& headers);

// Rounded to two significant digits, as platforms blur what they tell of an audience.
std::int64_t blurred_down(std::int64_t count);
std::int64_t blurred_up(std::int64_t count);

}  // namespace tailrace::sandbox
