// Requests on their way to the platforms and answers on their way back: late, out of order, lost before or
// after the platform acted. The platforms are the sandbox's, which share no code with the destinations.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "delivery/delivery.h"
#include "sandbox/sandbox.h"

namespace tailrace::testing {

class Network {
 public:
  // What goes wrong, in parts of 1000 requests.
  struct Weather {
    std::uint32_t lost_before = 0;
    std::uint32_t lost_after = 0;
    std::uint32_t slow = 0;   // up to twice the client's patience
    std::uint32_t fails = 0;  // 503 by the platform
    std::uint32_t throttles = 0;
    std::uint32_t unauthorised = 0;
    bool calm() const { return lost_before + lost_after + slow + fails + throttles + unauthorised == 0; }
  };
  explicit Network(std::uint64_t seed) : random_(seed), platforms_({.seed = seed}) {}

  void set_weather(const Weather& weather, Time now);
  void send(delivery::Send send, Time now);
  // The process is gone: nobody waits for answers. What is on its way still arrives.
  void hang_up();

  Time next_at() const { return on_the_way_.empty() ? kNever : on_the_way_.begin()->first; }
  struct Reply {
    std::uint64_t send_id = 0;
    Result<HttpResponse> response;
  };
  // Does the next thing, due at next_at(): a request arrives, or an answer, which is given.
  std::optional<Reply> step();

  // The ids of the audiences at a platform, all of them.
  std::vector<std::string> audiences(const std::string& platform, Time now);
  // The identifiers in an audience: "email:3f5c...".
  std::set<std::string> audience(const std::string& platform, const std::string& id, Time now);
  // The events a platform was told of, by their ids, and how often it was told of one again.
  struct Told {
    std::set<std::string> events;
    std::int64_t again = 0;
  };
  Told told(const std::string& platform, Time now);
  // Members change at the platform by itself: so many identifiers vanish from each audience, and as many
  // strangers appear.
  void drift(const std::string& platform, std::uint64_t count, Time now);
  // Each platform forgets one identifier, of those it has.
  void lose_an_identifier(Time now);
  std::uint64_t requests() const { return requests_; }
  std::uint64_t lost() const { return lost_; }

 private:
  struct Message {
    std::uint64_t send_id = 0;
    bool waited_for = true;
    std::optional<HttpRequest> request;  // or
    std::optional<Reply> reply;
    Time given_up_at;  // by the client
  };
  void answer(Message& message, Time at);
  Millis latency();
  bool happens(std::uint32_t per_thousand) { return random_.below(1000) < per_thousand; }

  Random random_;
  sandbox::Sandbox platforms_;
  Weather weather_;
  std::multimap<Time, Message> on_the_way_;
  std::uint64_t requests_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace tailrace::testing
