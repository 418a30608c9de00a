#include "support/packs.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/hash.h"

namespace tailrace::testing {
namespace {

using destinations::ColumnType;
using destinations::PackFile;
using destinations::WarehouseTable;

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::vector<WarehouseTable> test_tables() {
  WarehouseTable events{.name = "events",
                        .kind = WarehouseTable::Kind::append,
                        .columns = {{"message_id", ColumnType::text, "Which."},
                                    {"name", ColumnType::text, "What."},
                                    {"revenue", ColumnType::decimal, "How much."},
                                    {"at", ColumnType::time, "When."}},
                        .key = {"message_id"},
                        .version = {},
                        .about = "What happened."};
  WarehouseTable people{.name = "people",
                        .kind = WarehouseTable::Kind::latest,
                        .columns = {{"person", ColumnType::integer, "Who."},
                                    {"email", ColumnType::text, "Where."},
                                    {"version", ColumnType::integer, "As of."}},
                        .key = {"person"},
                        .version = "version",
                        .about = "Who is known."};
  return {std::move(events), std::move(people)};
}

std::string to_file(const std::vector<std::string>& columns, const PackRows& rows) {
  std::string text = fmt::format("PAR1\n{}\n", fmt::join(columns, ","));
  for (const PackRow& row : rows) {
    std::string line;
    for (const std::string& column : columns) {
      if (!line.empty() || &column != &columns.front()) line += ',';
      if (const auto value = row.find(column); value != row.end()) line += value->second;
    }
    text += line + "\n";
  }
  return text;
}

ReadFile read_file(std::string_view bytes) {
  ReadFile file;
  if (!bytes.starts_with("PAR1\n")) return file;
  const auto lines = split(bytes.substr(5), '\n');
  for (const std::string_view column : split(lines.front(), ',')) file.columns.emplace_back(column);
  for (const std::string_view line : std::span(lines).subspan(1)) {
    if (line.empty()) continue;
    const auto values = split(line, ',');
    PackRow& row = file.rows.emplace_back();
    for (std::size_t i = 0; i < values.size() && i < file.columns.size(); ++i) {
      if (!values[i].empty()) row[file.columns[i]] = values[i];
    }
  }
  return file;
}

TestPack make_pack(std::uint64_t sequence, const std::vector<PackRows>& events, const PackRows& people,
                   std::vector<WarehouseTable> tables) {
  TestPack made;
  destinations::Pack& pack = made.pack;
  pack.id = fmt::format("p{:06}_w", sequence);
  pack.workspace = "shop";
  pack.sync = "warehouse";
  pack.sequence = sequence;
  pack.begin = (sequence - 1) * 1000;
  pack.end = sequence * 1000;
  pack.tables = std::move(tables);
  const auto add = [&](const WarehouseTable& table, const PackRows& rows, std::size_t number) {
    std::vector<std::string> columns;
    for (const auto& column : table.columns) columns.push_back(column.name);
    std::string bytes = to_file(columns, rows);
    PackFile file;
    file.table = table.name;
    file.name = fmt::format("{0}/dt=2026-03-01/{0}_v1_{1}_{2}{3}.parquet", table.name, pack.begin, pack.end,
                            number == 0 ? "" : fmt::format("_{}", number));
    file.path = fmt::format("/var/lib/tailrace/packs/{}/{}_{}.parquet", pack.id, table.name, number);
    file.rows = rows.size();
    file.bytes = bytes.size();
    file.sha256 = sha256_hex(bytes);
    made.bytes[file.path] = std::move(bytes);
    pack.files.push_back(std::move(file));
  };
  for (std::size_t i = 0; i < events.size(); ++i) add(pack.tables.at(0), events[i], i);
  if (!people.empty()) add(pack.tables.at(1), people, 0);
  pack.manifest_name = fmt::format("_manifests/{}.json", pack.id);
  pack.manifest = fmt::format("{{\"pack\":\"{}\",\"files\":{}}}\n", pack.id, pack.files.size());
  return made;
}

std::string describe(const PackRows& rows) {
  std::vector<std::string> lines;
  for (const PackRow& row : rows) {
    std::string line;
    for (const auto& [column, value] : row)
      line += fmt::format("{}{}={}", line.empty() ? "" : " ", column, value);
    lines.push_back(std::move(line));
  }
  std::ranges::sort(lines);
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace tailrace::testing
