#include "destinations/parquet_lake/pointer.h"

#include <fmt/format.h>

#include "destinations/answer.h"
#include "model/json.h"

namespace tailrace::destinations::parquet_lake_pointer {
namespace {

Value whole(std::uint64_t number) { return Value::of(Number::integer(static_cast<std::int64_t>(number))); }

}  // namespace

std::string encode(const Pack& pack) {
  Value pointer = Value::with(Value::Kind::object);
  pointer.members.emplace_back("workspace", Value::of(pack.workspace));
  pointer.members.emplace_back("sync", Value::of(pack.sync));
  pointer.members.emplace_back("sequence", whole(pack.sequence));
  pointer.members.emplace_back("pack", Value::of(pack.id));
  pointer.members.emplace_back("manifest", Value::of(pack.manifest_name));
  pointer.members.emplace_back("begin", whole(pack.begin));
  pointer.members.emplace_back("end", whole(pack.end));
  return to_json(pointer) + "\n";
}

Result<std::optional<LoadedPack>> decode(const Pack& pack, const std::optional<std::string>& pointer,
                                         std::string_view where) {
  if (!pointer) return std::nullopt;
  const auto value = parse_json(*pointer);
  const Value* read = value ? &*value : nullptr;
  const auto sequence = integer_member(read, "sequence");
  const std::string id(text_member(read, "pack"));
  if (!sequence || *sequence < 1 || id.empty())
    return fail(
        Error::Code::corrupt,
        fmt::format("{}/{} cannot be read: somebody changed it. Write it again from the newest manifest "
                    "beside it",
                    where, kName));
  if (text_member(read, "sync") != pack.sync || text_member(read, "workspace") != pack.workspace)
    return fail(
        Error::Code::conflict,
        fmt::format("{} holds the tables of another sync: give the sync \"{}\" a `location` of its own",
                    where, pack.sync));
  return LoadedPack{static_cast<std::uint64_t>(*sequence), id};
}

}  // namespace tailrace::destinations::parquet_lake_pointer
