// Waiting for what a warehouse runs by itself and is asked about.
#pragma once

#include <functional>
#include <string_view>

#include "destinations/warehouse_destination.h"

namespace tailrace::destinations {

// Of a transport that waits no more. Code: unavailable.
std::unexpected<Error> stopping();

// Waits half a second, then longer each time, up to ten seconds, and looks, until look() says that it is
// done. what: "a statement of Snowflake's", for the message. Errors: unavailable, after `patience` or where
// tailrace stops; those of look.
Result<void> keep_looking(Transport& transport, Millis patience, std::string_view what,
                          const std::function<Result<bool>()>& look);

}  // namespace tailrace::destinations
