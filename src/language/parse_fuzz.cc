// libFuzzer entry: whatever parses prints, prints the same again, and survives the JSON form and the checker.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "language/language.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace::language;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto tree = parse(text);
  if (!tree) {
    TR_ASSERT(!render(tree.error(), text).empty());
    return 0;
  }
  const std::string canonical = print(**tree);
  const auto again = parse(canonical);
  TR_ASSERT(again && print(**again) == canonical);
  const auto read = from_value(to_value(**tree));
  TR_ASSERT(read && print(**read) == canonical);
  Names names;
  names.strict_events = false;
  for (const Problem& problem : check(*tree, names, Place::who).problems)
    TR_ASSERT(!render(problem, text).empty());
  return 0;
}
