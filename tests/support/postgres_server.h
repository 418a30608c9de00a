// A PostgreSQL server of the machine, for tests: in a temporary folder, reached by a socket in it, ended and
// removed at the end of the program. Root hands it to another user, as PostgreSQL refuses root.
#pragma once

#include <memory>
#include <string>

namespace tailrace::testing {

class PostgresServer {
 public:
  // The program's server; nullptr where PostgreSQL is not installed (tools/install-dependencies --tests) or
  // does not start, which why() says.
  static PostgresServer* instance();
  static const std::string& why();

  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // A new, empty database. What libpq wants to know to connect to it; user: another than its owner.
  std::string create_database(const std::string& name);
  std::string connection(const std::string& database, const std::string& user = "") const;
  // The folder of its socket.
  const std::string& folder() const { return folder_; }
  // What psql prints for a statement: values parted by |, a row a line. A failure is in its words.
  std::string psql(const std::string& database, const std::string& sql, const std::string& user = "") const;
  // psql's exit code, its standard input from a file.
  int psql_file(const std::string& database, const std::string& sql, const std::string& input) const;

 private:
  PostgresServer() = default;
  bool start();

  std::string folder_;
  std::string programs_;
  int process_ = -1;
};

}  // namespace tailrace::testing
