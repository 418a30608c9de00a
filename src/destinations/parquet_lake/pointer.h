// _manifests/latest.json: which pack of which sync is the last that lies whole in a lake. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "destinations/warehouse_sql/pack_order.h"

namespace tailrace::destinations::parquet_lake_pointer {

inline constexpr std::string_view kName = "_manifests/latest.json";

std::string encode(const Pack& pack);
// pointer: as it was read; missing: there is none. where: the location. Errors: conflict (it is of another
// sync), corrupt (it cannot be read). Each says how to mend.
Result<std::optional<LoadedPack>> decode(const Pack& pack, const std::optional<std::string>& pointer,
                                         std::string_view where);

}  // namespace tailrace::destinations::parquet_lake_pointer
