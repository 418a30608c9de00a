// What Redshift does other than PostgreSQL, put over sessions with a real PostgreSQL server: COPY from a
// manifest in an object store, getdate(), and its own errors. Everything else PostgreSQL runs: transactions,
// locks, types.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/sql_session.h"
#include "support/object_store_server.h"

namespace tailrace::testing {

class RedshiftServer {
 public:
  explicit RedshiftServer(ObjectStoreServer& files) : files_(files) {}

  std::vector<std::string> problems;  // what it was not asked properly
  std::string refuse_copies;          // with this error
  std::uint64_t rows_left_out = 0;    // of each COPY

  // The server outlives the session.
  std::unique_ptr<SqlSession> over(std::unique_ptr<SqlSession> session);

 private:
  class Session;
  ObjectStoreServer& files_;
};

}  // namespace tailrace::testing
