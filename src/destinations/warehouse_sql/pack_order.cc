#include "destinations/warehouse_sql/pack_order.h"

#include <fmt/format.h>

namespace tailrace::destinations {
namespace {

// Both ways out of a place that does not fit what is known here.
std::string mend(const Pack& pack) {
  return fmt::format(
      "Either bring back the tables as they were, with `{0}`; or remove the tables of this sync, its rows of "
      "`{0}` too, and give the sync another name than \"{1}\": it then loads everything again",
      kPacksTable, pack.sync);
}

}  // namespace

Result<PackOrder> judge_order(const Pack& pack, const PacksThere& there, std::string_view where) {
  if (there.id_of_same) {
    if (*there.id_of_same == pack.id) return PackOrder::done;
    return fail(
        Error::Code::conflict,
        fmt::format("{} holds another pack {} of the sync \"{}\" ({}, not {}): another store writes there "
                    "too, or this one was restored from a backup. {}",
                    where, pack.sequence, pack.sync, *there.id_of_same, pack.id, mend(pack)));
  }
  const std::uint64_t last = there.last ? there.last->sequence : 0;
  if (last + 1 == pack.sequence) return PackOrder::next;
  if (last >= pack.sequence)
    return fail(Error::Code::conflict,
                fmt::format("{} holds pack {} of the sync \"{}\" but not pack {} before it. {}", where, last,
                            pack.sync, pack.sequence, mend(pack)));
  return fail(
      Error::Code::conflict,
      fmt::format("{} holds {} of the sync \"{}\", and pack {} is the next: what was loaded between is "
                  "gone. {}",
                  where, last == 0 ? std::string("no pack") : fmt::format("packs up to {}", last), pack.sync,
                  pack.sequence, mend(pack)));
}

std::string table_names(const Pack& pack) {
  std::string names;
  for (const WarehouseTable& table : pack.tables) names += (names.empty() ? "" : ",") + table.name;
  return names;
}

Result<void> check_dropped(const Pack& pack, const PacksThere& there, std::string_view table,
                           std::string_view where) {
  if (!there.last) return {};
  const std::string names = "," + there.last->tables + ",";
  if (names.find(fmt::format(",{},", table)) == std::string::npos) return {};
  return fail(
      Error::Code::conflict,
      fmt::format("{} had a table `{}` after pack {}, and has none now: somebody dropped or renamed it. {}",
                  where, table, there.last->sequence, mend(pack)));
}

std::unexpected<Error> wrong_type(std::string_view table, const WarehouseColumn& column, std::string_view is,
                                  std::string_view wanted) {
  return fail(
      Error::Code::conflict,
      fmt::format("the column `{}` of `{}` is of the type {}, and what belongs there is of {}: somebody "
                  "altered it. Change its type back, or rename it, so that it is made anew for what comes",
                  column.name, table, is, wanted));
}

}  // namespace tailrace::destinations
