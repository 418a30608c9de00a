// What is kept of a source that is asked, beside its snapshot: which run is under way, and how the last ones
// ended. One JSON file, replaced whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/time.h"
#include "sources/query/comparison.h"

namespace tailrace::server {

struct PastRun {
  enum class Outcome : unsigned char { done, held, failed };
  Time began_at, ended_at;
  Outcome outcome = Outcome::done;
  std::string reason;         // of held and failed
  std::uint64_t repeats = 0;  // that it was so before already, in a row
  sources::RowCounts counts;  // as far as it came

  bool operator==(const PastRun&) const = default;
};

struct QueryState {
  std::uint64_t snapshot = 0;  // the number of the one that holds; 0: none yet
  std::uint64_t numbers = 0;   // given to runs so far
  Time last_begun{0};
  bool paused = false;
  // Compared, and its records are on their way: `changes-N` has them, `snapshot-N` is what holds when all are
  // in the log.
  struct Pending {
    std::uint64_t number = 0;
    Time began_at;
    std::uint64_t sent = 0;  // records that are in the log; one batch more may be
    sources::RowCounts counts;

    bool operator==(const Pending&) const = default;
  };
  std::optional<Pending> pending;
  std::vector<PastRun> runs;  // the newest last

  static constexpr std::size_t kRunsMax = 50;
  void add(PastRun run);
  bool operator==(const QueryState&) const = default;
};

constexpr std::string_view kQueryStateFile = "state.json";

std::string to_text(const QueryState& state);
Result<QueryState> parse_query_state(std::string_view text);  // errors: corrupt
// directory/state.json; an empty state where there is none. Errors: io, corrupt.
Result<QueryState> read_query_state(Disk& disk, const std::string& directory);
Result<void> write_query_state(Disk& disk, const std::string& directory, const QueryState& state);

}  // namespace tailrace::server
