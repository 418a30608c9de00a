// Small work with SQL text that the warehouses share.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "destinations/checks.h"
#include "destinations/warehouse_destination.h"

namespace tailrace::destinations {

// A name between quotes, those inside doubled. Our own names hold none.
inline std::string sql_name(std::string_view name, char quote = '"') {
  std::string out(1, quote);
  for (const char c : name) {
    if (c == quote) out += c;
    out += c;
  }
  return out + quote;
}

// A text between single quotes: those inside and backslashes, which some warehouses take for escapes,
// escaped.
enum class Backslash : unsigned char { plain, escapes };
inline std::string sql_text(std::string_view text, Backslash backslash) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    if (c == '\\' && backslash == Backslash::escapes) out += '\\';
    out += c;
  }
  return out + "'";
}

// Of a warehouse that folds names to small letters, and would tell of tables under another schema than the
// one that is asked for.
inline void check_small_letters(const Config& config, const std::string& name, Problems& problems) {
  const std::string& text = config.setting(name);
  std::string small = text;
  for (char& c : small) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (small != text)
    problems.push_back(
        fmt::format("{} must be in small letters, as the server folds names: write {}", name, small));
}

inline bool is_key(const WarehouseTable& table, std::string_view column) {
  return std::find(table.key.begin(), table.key.end(), column) != table.key.end();
}

inline std::vector<const PackFile*> files_of(const Pack& pack, const WarehouseTable& table) {
  std::vector<const PackFile*> files;
  for (const PackFile& file : pack.files) {
    if (file.table == table.name) files.push_back(&file);
  }
  return files;
}

}  // namespace tailrace::destinations
