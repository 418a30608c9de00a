// The small notations of a workspace: cadences, shares, regions.
#pragma once

#include <string_view>

#include "base/result.h"
#include "workspace/workspace.h"

namespace tailrace::workspace {

// "realtime", "every 15m" (a minute at least), or five cron fields: minute, hour, day of the month, month,
// day of the week (0 and 7 are Sunday), each *, a number, a range, a list, with /step. Error:
// invalid_argument.
Result<Cadence> parse_cadence(std::string_view text);
std::string print_cadence(const Cadence& cadence);

// "10%", "0.5%": parts of a million, exactly. At least 0 and below 100%. Error: invalid_argument.
Result<std::uint32_t> parse_share(std::string_view text);

// Whether ISO 3166-1 assigns the two letters (upper case) to a country.
bool is_region(std::string_view code);

std::optional<IdentifierKind> parse_identifier_kind(std::string_view text);
Result<language::Type> parse_type(std::string_view text);
std::string_view print_type(language::Type type);
const std::vector<std::string>& type_names();
const std::vector<std::string>& identifier_names();

}  // namespace tailrace::workspace
