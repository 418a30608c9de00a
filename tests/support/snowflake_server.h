// A strict stand-in for Snowflake's SQL API, as far as a loader needs it: signed tokens, requests of several
// statements that are one transaction or nothing, answers that come later. Files come from an object store.
// It reads the statements by itself.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/http.h"
#include "support/object_store_server.h"
#include "support/warehouse_tables.h"

namespace tailrace::testing {

class SnowflakeServer {
 public:
  explicit SnowflakeServer(ObjectStoreServer& files) : files_(files) {}

  WarehouseTables store;
  std::vector<std::string> problems;  // what it was not asked properly
  std::string stage_prefix = "example-lake/snowflake/";
  std::string subject = "EXAMPLE-ACCOUNT.TAILRACE";
  std::string refuse_copies;  // with this code
  int run_count = 0;          // requests that were run

  HttpResponse handle(const HttpRequest& request);

 private:
  struct Request {
    HttpResponse answer;
    int looks = 0;
  };
  HttpResponse run(const std::string& sql, int statements);
  // A code; empty: done.
  std::string run_one(const std::string& sql, PackRows& shown, std::vector<std::string>& columns);

  ObjectStoreServer& files_;
  std::map<std::string, Request> requests_;                 // by request id
  std::map<std::string, std::string> handles_;              // to request id
  std::map<std::string, std::vector<std::string>> copied_;  // files, by table
};

}  // namespace tailrace::testing
