// A stand-in for ad platforms on this machine: it enforces the documented contract, keeps the audiences it
// was told, knows a share of people (so there is a real match rate) and fails, stalls or drifts on command.
// Users try a workspace on it before spending money. It shares no encoding code with the destinations.
//
// Meta's Graph API is served under /meta, Google's Data Manager under /google (its token endpoint too), a
// webhook receiver under /webhook, and its own controls under /sandbox.
#pragma once

#include <memory>
#include <string>

#include "base/http.h"
#include "base/random.h"
#include "base/time.h"

namespace tailrace::sandbox {

struct Options {
  double known_share =
      0.6;  // of identifiers it can match; which ones is a hash of the identifier, so it is stable
  std::uint64_t seed = 1;
  std::string token = "sandbox-token";  // the access token it accepts; "" accepts any that is given
};

struct Answer {
  HttpResponse response;
  Millis delay;  // the server waits so long before it answers
  bool hang_up =
      false;  // the server closes the connection without an answer (after having acted, where told so)
};

// Thread-safe: guards itself.
class Sandbox {
 public:
  explicit Sandbox(Options options);
  ~Sandbox();
  Answer handle(const HttpRequest& request, Time now);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace::sandbox
