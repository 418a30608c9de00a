// The query of an address: "https://shop.example/?gclid=a%20b" has the parameter gclid, "a b".
#pragma once

#include <string>
#include <string_view>

namespace tailrace {

// Of the first parameter of that name, decoded; "" without one.
std::string query_parameter(std::string_view url, std::string_view name);

}  // namespace tailrace
