// What the sandbox's controls ask of every platform it stands in for. A platform is a folder here, served
// under
// /<folder>; <folder>/<folder>.cc defines
//   std::unique_ptr<Platform> make_<folder>(const Options& options, const Limits& limits);
// and the build lists them (CMakeLists.txt).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http.h"
#include "base/time.h"
#include "sandbox/members.h"
#include "sandbox/wire.h"

namespace tailrace::sandbox {

// Changed through POST /sandbox/limits.
struct Limits {
  // Of a platform that names its own (Platform::limits()), by name.
  std::map<std::string, std::int64_t, std::less<>> named;
  std::int64_t of(std::string_view name) const {
    const auto found = named.find(name);
    return found == named.end() ? 0 : found->second;
  }
  // Per ad account and rolling hour. 0: the documented allowance of the standard tier, 5000 + 40 per
  // audience.
  std::int64_t meta_calls_per_hour = 0;
  std::int64_t google_requests_per_minute = 300;  // per bucket: ingestion or management, mutate or read
  std::int64_t google_requests_per_day = 0;  // 0: as documented, 100 000 for ingestion, 50 000 for management
  Millis google_processing{0};               // until a request's status leaves PROCESSING
};

// Refusals that faults ask for, in the platform's own words.
enum class Refusal { fail, throttle, auth };

struct AudienceSummary {
  std::string id;
  std::string name;
  std::string account;
  const Members* members = nullptr;
};

class Platform {
 public:
  virtual ~Platform() = default;
  virtual HttpResponse handle(const Call& call) = 0;
  // Names that start with the platform's, and what they are at first: {"tiktok_people_min", 1000}.
  struct Limit {
    std::string_view name;
    std::int64_t value;
  };
  virtual std::vector<Limit> limits() const { return {}; }
  // A call under /sandbox/<platform>/..., for what only this platform can be told or asked. Its segments
  // begin after the platform. Missing: there is no such control.
  virtual std::optional<HttpResponse> control(const Call&) { return std::nullopt; }
  // `status` counts for Refusal::fail alone.
  virtual HttpResponse refuse(Refusal refusal, int status, const Call& call) = 0;
  // Token endpoints answer to faults only when those name their path.
  virtual bool is_token_call(const Call&) const { return false; }
  virtual std::vector<AudienceSummary> audiences() const = 0;  // in the order of their ids
  virtual Members* members(std::string_view audience) = 0;     // nullptr: no such audience
  // An audience with a given id, so that a workspace that names one finds it. False: the id is taken, or is
  // not of the platform's form.
  virtual bool plant(const std::string& id, const std::string& name, const std::string& account) = 0;
  virtual std::string_view stranger_kind() const { return "email"; }  // what drift adds
};

// Calls within the last hour.
class RollingHour {
 public:
  std::int64_t count(Time now) {
    while (!calls_.empty() && calls_.front() + kHour <= now) calls_.pop_front();
    return static_cast<std::int64_t>(calls_.size());
  }
  void add(Time now) { calls_.push_back(now); }
  // Until the oldest call leaves the hour.
  Millis until_next(Time now) const { return calls_.empty() ? Millis{0} : calls_.front() + kHour - now; }

 private:
  std::deque<Time> calls_;
};

// Calls since the start of the current minute or day.
class FixedWindow {
 public:
  explicit FixedWindow(Millis length) : length_(length) {}
  // False: the window is full, and the call is not counted.
  bool admit(Time now, std::int64_t limit) {
    const std::int64_t index = now.ms / length_.count;
    if (index != index_) count_ = 0;
    index_ = index;
    if (count_ >= limit) return false;
    ++count_;
    return true;
  }

 private:
  Millis length_;
  std::int64_t index_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace tailrace::sandbox
