// Checks of settings that more than one destination makes. Each adds a sentence per problem, never the value
// of a secret.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "destinations/destination.h"

namespace tailrace::destinations {

using Problems = std::vector<std::string>;

enum class Query : unsigned char { refused, allowed };

// An https URL without user name, password and fragment; http only for this machine, because a request
// carries tokens or people's identifiers.
void check_url(const Config& config, const std::string& name, Query query, Problems& problems);

// Digits only, dashes aside; empty is left to the table of settings.
void check_account_id(const Config& config, const std::string& name, Problems& problems);

// Text without control characters (text.h).
void check_plain(const Config& config, const std::string& name, Problems& problems);

void check_choice(const Config& config, const std::string& name, std::span<const std::string_view> choices,
                  Problems& problems);
void check_boolean(const Config& config, const std::string& name, Problems& problems);  // "true" or "false"

// A whole number from 1 to max; empty is fine.
void check_count(const Config& config, const std::string& name, std::uint32_t max, Problems& problems);

// The audience's name, in characters.
void check_audience_name(const Config& config, std::size_t characters_max, Problems& problems);

// The settings named as in Limits may lower a platform's limits, and not raise them.
void check_limits(const Config& config, const Limits& limits, Problems& problems);

// A token goes into a header: no blanks, no control characters.
void check_token(const Config& config, const std::string& name, Problems& problems);

// The settings that override Limits, for the table of a destination.
constexpr Setting kBatchRecordsMax{.name = "batch_records_max",
                                   .about = "Records in a request, at most. May lower the limit below."};
constexpr Setting kRequestsPerMinute{.name = "requests_per_minute",
                                     .about = "Requests in a minute, at most. May lower the limit below."};

}  // namespace tailrace::destinations
