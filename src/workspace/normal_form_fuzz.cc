// Any JSON as an applied workspace, as it stands in the log: it is refused, or written the same way again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "model/json.h"
#include "workspace/workspace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  const auto value = parse_json({reinterpret_cast<const char*>(data), size});
  if (!value) return 0;
  const auto workspace = workspace::from_value(*value);
  if (!workspace) return 0;
  const Value written = workspace::to_value(*workspace);
  const auto again = workspace::from_value(written);
  TR_ASSERT(again && to_json(workspace::to_value(*again)) == to_json(written));
  return 0;
}
