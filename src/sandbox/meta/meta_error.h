// What the Graph API says no with. The envelope is the same for all.
#pragma once

#include <expected>
#include <string>

namespace tailrace::sandbox {

struct MetaError {
  int code = 100;
  int subcode = 0;  // 0: none
  std::string message;
  std::string type = "OAuthException";
  int status = 400;
  bool is_transient = false;
};

template <class T>
using MetaResult = std::expected<T, MetaError>;

}  // namespace tailrace::sandbox
