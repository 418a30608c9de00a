// A strict stand-in for ClickHouse's HTTP interface, as far as a loader needs it: tables that replace by key,
// tokens of inserts, refusals with codes. It reads the statements by itself.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/http.h"
#include "support/warehouse_tables.h"

namespace tailrace::testing {

class ClickHouseServer {
 public:
  WarehouseTables store;
  bool has_database = false;
  std::set<std::string> tokens;       // "table token"
  std::vector<std::string> problems;  // what it was not asked properly
  std::string password = "secret-password";
  int refuse_inserts = 0;  // with this code
  bool late = false;       // a refusal comes after "200 OK"

  HttpResponse handle(const HttpRequest& request);
  // As FINAL shows it.
  PackRows final_rows(const std::string& table) const;

 private:
  HttpResponse refuse(int code);
  HttpResponse run(const std::string& sql);
  HttpResponse insert(const std::string& sql, const std::map<std::string, std::string>& query,
                      const std::string& bytes);

  std::map<std::string, std::pair<std::vector<std::string>, std::string>> engines_;  // key and version
};

}  // namespace tailrace::testing
