// What the stand-ins of warehouses keep: tables of rows, and the statements that all of them understand, read
// apart from the code that writes them.
#pragma once

#include <map>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "support/packs.h"

namespace tailrace::testing {

struct StandInTable {
  std::map<std::string, std::string> columns;  // name to type
  std::vector<std::string> order;              // of the columns
  PackRows rows;
  std::uint64_t made = 0;  // the how-manieth table that was made
};

class WarehouseTables {
 public:
  std::map<std::string, StandInTable> tables;
  std::uint64_t made = 0;

  // "a TEXT, b NUMBER(38, 9), PRIMARY KEY (a)": quotes of names off, constraints left out.
  StandInTable& create(const std::string& name, const std::string& definition);
  // Rows of a file, by name of column. "": done; else what is wrong.
  std::string append(const std::string& name, const ReadFile& file);
  // By key: of the newest of each, those that are newer, or all that are not there where version is empty.
  std::string merge(const std::string& into, const PackRows& rows, const std::vector<std::string>& key,
                    const std::string& version);
  const PackRows& rows(const std::string& name) const;
};

// Parts at top-level commas, trimmed.
std::vector<std::string> split_list(const std::string& text);
// Without quotes around, whichever they are.
std::string bare(std::string name);
// Text literals of a statement, unescaped ('' and \'), in order.
std::vector<std::string> literals(const std::string& sql);
// The groups of a match of the whole text; empty: none.
std::vector<std::string> matched(const std::string& text, const std::string& pattern);

}  // namespace tailrace::testing
