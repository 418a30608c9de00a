// A strict stand-in for S3, Google Cloud Storage (XML API) and Azure Blob Storage: it verifies every
// signature by its own reading of the algorithms, knows conditions and parts, and shows nothing that was not
// finished.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/http.h"
#include "base/time.h"

namespace tailrace::testing {

class ObjectStoreServer {
 public:
  enum class Speaks : unsigned char { amazon, google, azure };
  explicit ObjectStoreServer(Speaks speaks) : speaks_(speaks) {}

  struct Object {
    std::string bytes;
    std::map<std::string, std::string> metadata;
  };
  std::map<std::string, Object> objects;          // by "bucket/name"
  std::map<std::string, std::string> unfinished;  // uploads in parts: id to "bucket/name"
  std::vector<std::string> problems;              // what it was not asked properly

  // What it knows and how it is today.
  std::string bucket = "example-lake";
  std::string key_id = "secret-access-key-id";
  std::string secret = "secret-access-key";
  std::string region = "us-east-1";
  std::string account = "exampleaccount";
  std::string bearer;  // a token it takes, too
  Time clock{1'772'359'200'000};
  bool full = false;
  bool may_write = true;
  bool knows_conditions = true;
  std::uint64_t writes = 0;  // objects that were made or replaced

  HttpResponse handle(const HttpRequest& request);

 private:
  struct Asked {
    std::string method;
    std::string path;  // decoded
    std::string raw_path;
    std::map<std::string, std::string> query;  // decoded
    std::string name;                          // "bucket/name"
  };
  HttpResponse refuse(int status, const std::string& code);
  HttpResponse problem(const std::string& what);
  // Empty status: it is signed.
  HttpResponse check_amazon(const HttpRequest& request, const Asked& asked);
  HttpResponse check_azure(const HttpRequest& request, const Asked& asked);
  HttpResponse put(const HttpRequest& request, const Asked& asked);
  HttpResponse put_block(const HttpRequest& request, const Asked& asked);
  HttpResponse post(const HttpRequest& request, const Asked& asked);
  HttpResponse store(const HttpRequest& request, const std::string& name, std::string bytes,
                     std::map<std::string, std::string> metadata);
  bool is_conditional(const HttpRequest& request) const;

  Speaks speaks_;
  std::map<std::string, std::map<std::string, std::string>> parts_;  // by upload (Azure: name), then number
  std::map<std::string, std::map<std::string, std::string>> upload_metadata_;
  int last_upload_ = 0;
};

}  // namespace tailrace::testing
