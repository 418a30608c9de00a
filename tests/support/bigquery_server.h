// A strict stand-in for BigQuery's REST API, as far as a loader needs it: datasets, tables, jobs whose ids
// are used once, resumable uploads, queries. It reads the statements by itself.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/http.h"
#include "model/value.h"
#include "support/warehouse_tables.h"

namespace tailrace::testing {

class BigQueryServer {
 public:
  WarehouseTables store;
  bool has_dataset = false;
  std::vector<std::string> problems;  // what it was not asked properly
  std::string token = "t1";
  std::string refuse_loads;     // jobs of this kind fail for this reason
  std::string refuse_all;       // every request is refused for this reason
  int looks_until_done = 2;     // at a job
  std::size_t piece_bytes = 0;  // the largest piece that came

  HttpResponse handle(const HttpRequest& request);

 private:
  struct Job {
    Value configuration;
    std::string reason;  // of its failure
    int looks = 0;
  };
  HttpResponse refuse(int status, const std::string& reason);
  HttpResponse table(const HttpRequest& request, const std::string& name);
  HttpResponse describe_table(const std::string& name);
  HttpResponse begin(const HttpRequest& request);
  HttpResponse upload(const HttpRequest& request, const std::string& id);
  HttpResponse start_job(const std::string& id, const Value& configuration, const std::string& bytes);
  HttpResponse show_job(const std::string& id);
  std::string run(const std::string& sql);  // "": done; else the reason
  HttpResponse query(const std::string& sql);

  std::map<std::string, Job> jobs_;
  std::map<std::string, std::pair<Value, std::string>> uploads_;  // by job: what was asked, and bytes
};

}  // namespace tailrace::testing
