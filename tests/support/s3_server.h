// A real S3-compatible server (versitygw, Apache-2.0) on this machine, for tests: in a temporary folder,
// ended and removed at the end of the program. tools/install-dependencies --tests builds it where a Go is at
// hand.
#pragma once

#include <string>

namespace tailrace::testing {

class S3Server {
 public:
  // The program's server, with the empty bucket `example-lake`; nullptr where it was not built or does not
  // start, which why() says.
  static S3Server* instance();
  static const std::string& why();

  ~S3Server();
  S3Server(const S3Server&) = delete;
  S3Server& operator=(const S3Server&) = delete;

  const std::string& url() const { return url_; }
  static constexpr const char* kKeyId = "secret-access-key-id";
  static constexpr const char* kSecret = "secret-access-key";

 private:
  S3Server() = default;
  bool start();

  std::string folder_;
  std::string url_;
  int process_ = -1;
};

}  // namespace tailrace::testing
