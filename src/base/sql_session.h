// One session with an SQL server over its own protocol. io/ has the real body (postgres_session.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace {

// Errors carry the server's code in front of its words: "42P01: relation ... does not exist"; `unavailable`,
// where trying again may help. No error repeats a value of a row.
class SqlSession {
 public:
  virtual ~SqlSession() = default;
  struct Column {
    std::string name;
    std::uint32_t type = 0;  // as the server numbers its types
  };
  struct Rows {
    std::vector<Column> columns = {};
    std::vector<std::vector<std::optional<std::string>>> rows = {};  // as text; missing: null
    std::uint64_t affected = 0;
  };
  // parameters: $1, $2 as text; with some, `sql` is one statement.
  virtual Result<Rows> run(const std::string& sql,
                           std::span<const std::optional<std::string>> parameters) = 0;
  Result<Rows> run(const std::string& sql) { return run(sql, {}); }
  // One statement in somebody else's words: where it is more than one, nothing is done, and it is an error.
  virtual Result<Rows> run_one(const std::string& sql) = 0;
  // COPY ... FROM STDIN: feed(put) gives the bytes, in pieces, to put(piece). The rows copied. An error of
  // feed ends the COPY without a row, and is returned.
  using Put = std::function<Result<void>(std::string_view)>;
  virtual Result<std::uint64_t> copy_in(const std::string& sql,
                                        const std::function<Result<void>(const Put&)>& feed) = 0;
};

}  // namespace tailrace
