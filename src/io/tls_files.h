// A server's certificate and key, as they stand in files.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include <boost/asio/ssl/context.hpp>

#include "base/result.h"

namespace tailrace::io {

// Not thread-safe.
class TlsFiles {
 public:
  // Errors: invalid_argument, naming the file: it cannot be read, is no PEM, or key and certificate do not
  // belong together.
  static Result<std::unique_ptr<TlsFiles>> open(std::string certificate, std::string key);

  // For the next connection. Looks once a second whether a file has changed; what then cannot be used is
  // logged, and the context before it stays.
  std::shared_ptr<boost::asio::ssl::context> context();

 private:
  TlsFiles(std::string certificate, std::string key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}
  struct Seen {
    std::filesystem::file_time_type certificate, key;
    bool operator==(const Seen&) const = default;
  };
  Seen look() const;
  Result<std::shared_ptr<boost::asio::ssl::context>> load() const;

  const std::string certificate_;
  const std::string key_;
  Seen seen_;
  std::chrono::steady_clock::time_point look_at_;
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace tailrace::io
