// A session with a PostgreSQL server, by libpq.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/sql_session.h"

namespace tailrace::io {

struct PostgresOptions {
  // Asked several times a second while an answer is waited for. True: what is running is cancelled and fails
  // with `unavailable`.
  std::function<bool()> stopping = [] { return false; };
};

// connection: as libpq reads it ("host=... dbname=..." or a postgresql:// URL). Where it does not say, TLS is
// asked for and the server's certificate and name are verified with the system's authorities, and a server
// that falls silent is given up. Errors: invalid_argument (the text cannot be read, the server refuses the
// user, or it cannot be trusted); unavailable (nobody answered, or it is starting). None repeats the text.
Result<std::unique_ptr<SqlSession>> connect_postgres(const std::string& connection,
                                                     const PostgresOptions& options);

}  // namespace tailrace::io
