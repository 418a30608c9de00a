// "Did you mean ...?": the nearest of a list of names.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tailrace {

// The name nearest to `written` by edits (insert, delete, replace, swap two neighbours; case is free), if it
// is near enough to be a slip: one edit for every three characters. The first of equals.
std::optional<std::string> nearest(std::string_view written, std::span<const std::string> names);

}  // namespace tailrace
