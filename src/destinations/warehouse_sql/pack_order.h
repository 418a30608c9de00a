// Packs of a sync follow each other without gaps, and the destination itself says which are there: in a table
// `_tailrace_packs` (sync, sequence, pack_id, tables, loaded_at), or a file that names the last one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "destinations/warehouse_destination.h"

namespace tailrace::destinations {

inline constexpr std::string_view kPacksTable = "_tailrace_packs";

struct LoadedPack {
  std::uint64_t sequence = 0;
  std::string id;
  std::string tables = {};  // that were there after it, parted by commas; empty: not known
};

struct PacksThere {
  std::optional<LoadedPack> last;         // the one with the greatest sequence; missing: none of this sync
  std::optional<std::string> id_of_same;  // of the pack whose sequence is the new one's
};

enum class PackOrder : unsigned char { next, done };

// Whether a pack is to be loaded or is there already. where: "the schema analytics", for messages. Errors:
// conflict: a pack before it is missing, or another pack has its place. The message says how to mend.
Result<PackOrder> judge_order(const Pack& pack, const PacksThere& there, std::string_view where);

// The tables of a pack, parted by commas.
std::string table_names(const Pack& pack);
// Of a table that is not there: fine where no pack before had it. Errors: conflict, it was dropped, and what
// was in it is gone.
Result<void> check_dropped(const Pack& pack, const PacksThere& there, std::string_view table,
                           std::string_view where);
// A column of a type that ours does not go into.
std::unexpected<Error> wrong_type(std::string_view table, const WarehouseColumn& column, std::string_view is,
                                  std::string_view wanted);

}  // namespace tailrace::destinations
