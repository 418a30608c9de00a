// The databases that can be asked, as far as a workspace speaks of them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sources/source.h"

namespace tailrace::sources {

struct QueryEngine {
  std::string_view type;   // "postgres"
  std::string_view title;  // "PostgreSQL"
  std::span<const Setting> settings;
};

std::span<const QueryEngine> query_engines();
// nullptr: there is none of that type.
const QueryEngine* find_query_engine(std::string_view type);

// The settings and credentials of each as tables, for docs/sql.md.
std::string query_engines_markdown();

}  // namespace tailrace::sources
