// A row of a query as the record it means. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/calendar.h"
#include "base/result.h"
#include "base/time.h"
#include "sources/query/entry_file.h"
#include "sources/query/spec.h"

namespace tailrace::sources {

// What the taxonomy wants a trait or property to be.
enum class WantedType : std::uint8_t { any, string, number, boolean };

using Row = std::span<const std::optional<std::string>>;  // as text; missing: null

// What a snapshot says of itself: how those whose rows go are told of it, however the workspace reads by
// then.
//
//   header := {"rows": "people", "key": "email", "names": ["plan", ...]}
struct SnapshotHeader {
  RowsAs rows = RowsAs::people;
  std::string key;                 // user_id, anonymous_id, email or phone; empty: of events
  std::vector<std::string> names;  // the traits it sets

  bool operator==(const SnapshotHeader&) const = default;
};
std::string to_text(const SnapshotHeader& header);
Result<SnapshotHeader> parse_snapshot_header(std::string_view text);  // errors: corrupt

// The record's message id holds the instant of the run that found the row, but for events, which count once
// by their key, whichever run finds them.
class RowMapping {
 public:
  struct Options {
    std::string source;  // its name
    Time begun;          // of the run; later than that of the run before
    std::map<std::string, WantedType> types;
    // What the snapshot before this says. Of traits that it has and this has not, people lose them as their
    // rows change.
    std::optional<SnapshotHeader> before;
  };
  // Errors: invalid_argument (a column that is not there, or there twice; a time zone).
  static Result<RowMapping> bind(const QuerySpec& spec, std::vector<QueryColumn> columns, Options options);

  // A row that does not fit becomes a rejected record.
  Entry map(Row row) const;
  // The record of a row that is gone, as the snapshot before had it; missing: there is nothing to say.
  std::optional<std::string> gone(const Entry& entry) const;
  const SnapshotHeader& header() const { return header_; }

 private:
  RowMapping(QuerySpec spec, std::vector<QueryColumn> columns, Options options, Zone zone)
      : spec_(std::move(spec)),
        columns_(std::move(columns)),
        options_(std::move(options)),
        zone_(std::move(zone)) {}

  struct Field {
    std::string name;
    std::size_t column = 0;
    WantedType wanted = WantedType::any;
  };
  // A place for what a row gives before it is a record.
  struct Draft;
  Result<void> find_columns();
  Result<std::optional<std::size_t>> column_of(const std::string& name) const;
  Result<void> read(Row row, Draft& draft) const;
  Result<void> read_person(Row row, Draft& draft) const;
  Result<void> read_event(Row row, Draft& draft) const;
  Result<Time> time_of(const std::string& text, ColumnKind kind) const;
  Result<void> append_value(std::string& out, const std::string& text, ColumnKind kind,
                            WantedType wanted) const;
  std::string message_id(const Entry& entry) const;
  std::string raw_text(Row row) const;

  QuerySpec spec_;
  std::vector<QueryColumn> columns_;
  Options options_;
  Zone zone_;
  SnapshotHeader header_;
  std::vector<std::size_t> key_;
  std::optional<std::size_t> user_id_, anonymous_id_, email_, phone_, event_, time_;
  std::vector<Field> fields_;
  std::vector<std::string> dropped_;  // traits that the snapshot has and the mapping has not
};

}  // namespace tailrace::sources
