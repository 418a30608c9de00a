// "Did you mean ...?": the nearest of a list of names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tailrace::language {

// The name nearest to `written` by edits (insert, delete, replace, swap two neighbours; case is free), if it
// is near enough to be a slip: one edit for every three characters. The first of equals.
std::optional<std::string> nearest(std::string_view written, const std::vector<std::string>& names);

}  // namespace tailrace::language
