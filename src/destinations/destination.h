// A destination describes itself and encodes requests and decodes answers; everything else (batches, order,
// limits, retries, the ledger) is shared and lives in delivery/. One folder per destination:
//   <name>.cc    the one declarative description
//   codec.cc     pure encode and decode
//   golden.txt   its cases
// A folder is all there is to add: the build lists them (CMakeLists.txt).
//
// Pure: the same arguments give the same bytes; no clock, no randomness, no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/http.h"
#include "base/result.h"
#include "base/time.h"
#include "destinations/identifiers/fields.h"

namespace tailrace::destinations {

// One setting of a destination or of a sync to it. The check, the reference page and (later) the console come
// from this.
struct Setting {
  enum class Scope : unsigned char { destination, sync };
  std::string_view name = {};
  Scope scope = Scope::destination;
  bool required = false;
  bool secret = false;  // only by reference (env or file), only in `credentials`
  std::string_view default_value = {};
  std::string_view example = {};  // of one that must be given: for tests and the scaffold, never secret
  std::string_view about = {};
};

// Platform limits are defaults; a destination's settings of the same names override them.
// A batch's records are counted with Destination::records.
struct Limits {
  std::uint32_t batch_records_max = 1;
  std::uint32_t batch_bytes_max = 0;      // 0: not known
  std::uint32_t requests_per_minute = 0;  // 0: no limit of our own
};

// How long the platform itself takes until an upload shows: no part of any latency measured here.
struct ProcessingTime {
  Millis most;                   // as it documents it
  std::string_view about = {};   // in a sentence
  std::string_view source = {};  // the page that says so
};

// Settings with defaults filled in, and resolved secrets. Never printed. A credential the workspace names but
// whose value is not at hand (a check on another machine) is in `secrets` with an empty value.
struct Config {
  std::map<std::string, std::string> settings;  // of the destination and of the sync, merged
  std::map<std::string, std::string> secrets;
  std::string audience_name;
  std::string audience_description;
  std::string default_region;
  const std::string& setting(const std::string& name) const;  // "" where absent
  const std::string& secret(const std::string& name) const;
};

struct Context {
  const Config& config;
  std::string_view access_token;  // from the token request where the destination has one
  Time now;                       // of the attempt (a webhook signs it)
};

struct Outcome {
  enum class Kind : unsigned char { accepted, rejected };
  Kind kind = Kind::accepted;
  std::string reason;      // of a rejection, shown to the user
  bool too_small = false;  // of a removal: refused because the audience would become too small
};

// What an answer means for the whole request.
struct Reply {
  enum class Verdict : unsigned char {
    done,   // outcomes[i] belongs to batch.members[i]
    retry,  // nothing certain happened, or it was throttled: the same request again, not before retry_after
    split,  // some record makes the whole request fail: halve the batch (outcomes may already name culprits)
    reauthorise,  // fetch a new token, then again; where there is no token to fetch, stop
    stop,         // this sync cannot go on until somebody mends the cause in `reason`
  };
  Verdict verdict = Verdict::done;
  std::vector<Outcome>
      outcomes;  // with `done`, one per member; with `split`, empty or one per member (rejected = culprit)
  // With `split` and without outcomes: these records alone are throttled. They go again by themselves, not
  // before retry_after; the others go at once. In order, without repeats.
  std::vector<std::size_t> throttled = {};
  std::optional<Millis> retry_after;    // what the platform asked for
  std::optional<double> usage_percent;  // of its rate budget, where it says so
  std::string reason;                   // for `status`; never holds identifiers or secrets
  std::string code;  // the platform's own code, for grouping: "80003", "RESOURCE_EXHAUSTED"
};

struct Token {
  std::string value;
  Time expires_at;
};

// What every destination says of itself; it is one of the three below (audience_destination.h,
// event_destination.h, warehouse_destination.h).
class AudienceDestination;
class EventDestination;
class WarehouseDestination;
class Destination {
 public:
  virtual ~Destination() = default;

  virtual std::string_view type() const = 0;  // "meta_custom_audiences"
  // The company's platform, as `normalize --platform` and the sandbox name it: "meta".
  virtual std::string_view platform() const = 0;
  virtual std::string_view title() const = 0;  // "Meta Custom Audiences"
  virtual std::string_view about() const = 0;  // Markdown, for its reference page
  virtual std::span<const Setting> settings() const = 0;
  virtual Limits limits() const = 0;
  // Missing: it documents none.
  virtual std::optional<ProcessingTime> processing() const { return std::nullopt; }
  // Problems of a configuration beyond what the settings table can say. Empty: fine.
  virtual std::vector<std::string> check(const Config& config) const = 0;

  // How this platform wants what is known of a person (identifiers/fields.h).
  virtual std::span<const FieldRule> fields() const = 0;

  // Which of the three it is; nullptr: another.
  virtual const AudienceDestination* as_audience() const { return nullptr; }
  virtual const EventDestination* as_events() const { return nullptr; }
  virtual const WarehouseDestination* as_warehouse() const { return nullptr; }

  // Where a short-lived token must be fetched first.
  virtual std::optional<HttpRequest> encode_token(const Config& config, Time now) const;
  virtual Result<Token> decode_token(const HttpResponse& response, Time now) const;
};

// All destinations, in the order of their types.
std::span<const Destination* const> registry();
const Destination* find(std::string_view type);

// Gives every setting that is absent its default.
void fill_defaults(const Destination& destination, Config& config);

// The same request fit to be shown or logged: "***" for every secret of the configuration, however it is
// written in the request, for Authorization headers, signatures, and tokens or proofs in a query or a form.
HttpRequest masked(const HttpRequest& request, const Config& config);

// A settings-described page of docs/destinations/.
std::string reference_markdown(const Destination& destination);

}  // namespace tailrace::destinations
