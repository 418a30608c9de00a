// A strict stand-in for Databricks, as far as a loader needs it: tokens, statements that run by themselves
// and are asked about, files of a volume. It reads the statements by itself. A statement is there whole or
// not.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/http.h"
#include "model/value.h"
#include "support/warehouse_tables.h"

namespace tailrace::testing {

class DatabricksServer {
 public:
  WarehouseTables store;                     // columns with types as information_schema shows them
  std::map<std::string, std::string> files;  // of the volume, by path
  std::vector<std::string> problems;         // what it was not asked properly

  std::string token = "secret-access-token";
  std::pair<std::string, std::string> client{"secret-client", "secret-word"};
  std::string refuse_merges;  // they fail with these words
  bool may_write_files = true;
  int looks_until_done = 1;
  // Merges run on after this answer and are seen no more; run_late() ends them.
  bool forget_merges = false;
  void run_late();

  HttpResponse handle(const HttpRequest& request);

 private:
  struct Asked {
    std::string sql;
    std::map<std::string, std::string> texts;
  };
  struct Running {
    HttpResponse answer;
    int looks = 0;
  };
  HttpResponse submit(const Value& body);
  HttpResponse file(const HttpRequest& request);
  // The words of its failure; empty: done.
  std::string run(const Asked& asked, std::vector<std::vector<std::string>>& shown);
  std::string merge(const Asked& asked);

  std::map<std::string, Running> running_;
  std::vector<std::pair<Asked, std::map<std::string, std::string>>> late_;  // with the files they have read
};

}  // namespace tailrace::testing
