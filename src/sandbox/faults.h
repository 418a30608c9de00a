// Faults on command: which request meets which, decided by counts and a seed alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "model/value.h"

namespace tailrace::sandbox {

struct Fault {
  enum class Kind {
    fail,            // answers with `status`, having done nothing
    stall,           // acts, and answers after `delay`
    hang_up_before,  // closes the connection, having done nothing
    hang_up_after,   // acts, then closes the connection: the sender cannot know
    throttle,        // the platform's refusal for too many calls
    auth,            // the platform's refusal of the token
    drift,           // not of requests: members change at the platform, at once
  };
  Kind kind = Kind::fail;
  std::string platform;  // "meta", "google", "webhook"; "": all
  std::string path;      // only requests whose target contains it; "": all but token endpoints
  int status = 500;
  Millis delay;
  std::optional<std::int64_t> count;  // requests that meet it, then it is over
  std::optional<double> share;        // of requests, drawn by the seed
  std::uint64_t seed = 1;
  std::string audience;  // drift only; "": every audience of the platform
  std::int64_t met = 0;
};

// Errors: invalid_argument, which names the field and what it may be.
Result<Fault> read_fault(const Value& body);
Value describe(const Fault& fault);

// Not thread-safe. Faults are tried in the order they were added; the first that wants a request has it.
class Faults {
 public:
  void add(Fault fault) {
    const std::uint64_t seed = fault.seed;
    active_.push_back({std::move(fault), Random(seed)});
  }
  void clear() { active_.clear(); }
  // The fault this request meets. Counts it.
  std::optional<Fault> meet(std::string_view platform, std::string_view target, bool token_call);
  std::vector<Fault> active() const;

 private:
  struct Active {
    Fault fault;
    Random random;
  };
  std::vector<Active> active_;
};

}  // namespace tailrace::sandbox
