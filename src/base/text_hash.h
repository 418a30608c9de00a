// Lets a hash table of strings be asked with a string_view, so that a look-up allocates nothing.
#pragma once

#include <functional>
#include <string_view>

namespace tailrace {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

}  // namespace tailrace
