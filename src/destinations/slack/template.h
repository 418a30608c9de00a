// A message text over an event: words, and expressions (field_path.h) in braces.
//
//   "New order {properties.order_id}: {value} {currency} from {person}"
//
// Beside what expressions see of an event (event, message_id, user_id, anonymous_id, properties, context,
// traits) there are person, name, at, value, currency and order_id. "{{" and "}}" are braces.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "destinations/event_destination.h"

namespace tailrace::destinations::slack_template {

// Errors: invalid_argument, with the place: a brace without its other, an expression that cannot be read.
Result<void> check(std::string_view text);
// What is missing is a dash. Values are escaped as Slack asks for, so that no value makes a link or calls
// anybody.
std::string render(std::string_view text, const Conversion& conversion);

}  // namespace tailrace::destinations::slack_template
