#include "support/warehouse_tables.h"

#include <algorithm>

namespace tailrace::testing {
namespace {

std::string trimmed(std::string text) {
  while (!text.empty() && text.front() == ' ') text.erase(0, 1);
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

std::string at(const PackRow& row, const std::string& column) {
  const auto found = row.find(column);
  return found == row.end() ? std::string() : found->second;
}

}  // namespace

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  for (std::string& part : parts) part = trimmed(part);
  std::erase(parts, "");
  return parts;
}

std::string bare(std::string name) {
  std::erase(name, '`');
  std::erase(name, '"');
  return trimmed(name);
}

std::vector<std::string> literals(const std::string& sql) {
  std::vector<std::string> found;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (sql[i] != '\'') continue;
    std::string text;
    for (++i; i < sql.size(); ++i) {
      if (sql[i] == '\\' && i + 1 < sql.size()) {
        text += sql[++i];
      } else if (sql[i] == '\'' && i + 1 < sql.size() && sql[i + 1] == '\'') {
        text += sql[++i];
      } else if (sql[i] == '\'') {
        break;
      } else {
        text += sql[i];
      }
    }
    found.push_back(std::move(text));
  }
  return found;
}

std::vector<std::string> matched(const std::string& text, const std::string& pattern) {
  std::smatch match;
  if (!std::regex_match(text, match, std::regex(pattern))) return {};
  std::vector<std::string> groups;
  for (const auto& group : match) groups.push_back(group.str());
  return groups;
}

StandInTable& WarehouseTables::create(const std::string& name, const std::string& definition) {
  StandInTable table;
  table.made = ++made;
  for (const std::string& part : split_list(definition)) {
    if (part.starts_with("PRIMARY KEY")) continue;
    const auto blank = part.find(' ');
    const std::string column = bare(part.substr(0, blank));
    table.columns[column] = trimmed(part.substr(blank));
    table.order.push_back(column);
  }
  return tables[name] = std::move(table);
}

std::string WarehouseTables::append(const std::string& name, const ReadFile& file) {
  const auto found = tables.find(name);
  if (found == tables.end()) return "no table " + name;
  if (file.columns.empty()) return "not a Parquet file";
  for (const std::string& column : file.columns) {
    if (!found->second.columns.contains(column)) return "no column " + column;
  }
  found->second.rows.insert(found->second.rows.end(), file.rows.begin(), file.rows.end());
  return {};
}

std::string WarehouseTables::merge(const std::string& into, const PackRows& rows,
                                   const std::vector<std::string>& key, const std::string& version) {
  const auto found = tables.find(into);
  if (found == tables.end()) return "no table " + into;
  for (const PackRow& row : rows) {
    const auto same = std::ranges::find_if(found->second.rows, [&](const PackRow& other) {
      return std::ranges::all_of(
          key, [&](const std::string& column) { return at(row, column) == at(other, column); });
    });
    if (same == found->second.rows.end()) {
      found->second.rows.push_back(row);
    } else if (!version.empty() &&
               std::stoull("0" + at(row, version)) > std::stoull("0" + at(*same, version))) {
      *same = row;
    }
  }
  return {};
}

const PackRows& WarehouseTables::rows(const std::string& name) const {
  static const PackRows kNone;
  const auto found = tables.find(name);
  return found == tables.end() ? kNone : found->second.rows;
}

}  // namespace tailrace::testing
