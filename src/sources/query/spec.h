// A source that is asked instead of sending: a query on a database, whose rows are people, events, or the
// members of a list. What the workspace says of it, and nothing of where the database is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace::sources {

// What a row is.
enum class RowsAs : std::uint8_t {
  people,   // a person with attributes; a row that changes changes them
  events,   // something that happened; a row counts once, by its key
  members,  // somebody on a list: an attribute of theirs is true as long as the row is there
};

// What becomes of the attributes of a person whose row is gone.
enum class Gone : std::uint8_t { clear, keep };

struct QuerySpec {
  std::string query = {};  // one SELECT
  RowsAs rows = RowsAs::people;
  std::vector<std::string> key =
      {};  // columns; of people and members one, which is an identifier of the person
  // The columns that name the person; empty: none.
  std::string user_id = {}, anonymous_id = {}, email = {}, phone = {};
  // Trait or property -> column. With `every_column` those columns too that have no part of their own, by
  // their names.
  std::map<std::string, std::string> fields = {};
  bool every_column = true;
  std::string event = {};         // of events: a name, or
  std::string event_column = {};  // where the name stands
  std::string time_column = {};   // of events: when they happened; empty: when they were first seen
  std::string attribute = {};     // of members: true while they are there, false after
  Gone gone = Gone::clear;        // of people
  std::string time_zone = "UTC";  // of times that come without one

  bool operator==(const QuerySpec&) const = default;
};

// How values of a column are written.
enum class ColumnKind : std::uint8_t {
  text,
  boolean,     // t, f, true, false, 1, 0
  number,      // as JSON has them; what is none (NaN) does not fit
  date,        // 2026-03-01
  time,        // an instant: ISO 8601, with a T or a blank, and its offset
  local_time,  // likewise without one
  json,
};

struct QueryColumn {
  std::string name;
  ColumnKind kind = ColumnKind::text;

  bool operator==(const QueryColumn&) const = default;
};

}  // namespace tailrace::sources
