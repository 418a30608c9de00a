// What a destination can say, beside what all say, to whoever checks its credentials before the first upload
// (`tailrace check --live`). A destination that has something to say derives from Probed too.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "destinations/destination.h"
#include "destinations/event_destination.h"

namespace tailrace::destinations {

// What a platform says of credentials when it is asked about them.
struct Standing {
  std::vector<std::string> missing;  // permissions that a sync needs: "ads_management"
  std::optional<Time> ends_at;       // of the credentials; missing: never, or it does not say
};

class Probed {
 public:
  virtual ~Probed() = default;

  // What the credentials must have been given, and where, as what "they need": said of a refusal.
  virtual std::string_view permissions() const = 0;

  // A request that changes nothing, whose answer says what the credentials may do. Errors of decode:
  // unavailable (ask again), invalid_argument (refused: why). Missing: none is documented.
  virtual std::optional<HttpRequest> encode_probe(const Context&) const { return std::nullopt; }
  virtual Result<Standing> decode_probe(const HttpResponse&) const { return Standing{}; }

  // The setting under which the platform checks events and counts none of them: then one can be sent to see.
  // Missing: there is none.
  struct TestMode {
    std::string_view setting;
    std::string_view value;
  };
  virtual std::optional<TestMode> test_mode() const { return std::nullopt; }
};

// nullptr: it has nothing to say.
const Probed* probed(const Destination& destination);

// An event of nobody, for a destination's test mode. Error: why it cannot be one of its events.
std::expected<std::string, Refused> test_event(const EventDestination& destination, EventDestination::At at);

}  // namespace tailrace::destinations
