// A destination describes itself and encodes requests and decodes answers; everything else (batches, order,
// limits, retries, the ledger) is shared and lives in delivery/. One folder per destination:
//   <name>.cc    the one declarative description
//   codec.cc     pure encode and decode
//   golden.txt   its cases
// registry.cc lists them.
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
#include "model/person.h"

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

// A value as it is uploaded: normalised as this platform documents it, then hashed where it asks for that.
struct UploadIdentifier {
  IdentifierKind kind = IdentifierKind::email;
  std::string value;
  bool hashed = true;
  std::uint16_t normalisation_version = 1;

  bool operator==(const UploadIdentifier&) const = default;
};

struct Normalised {
  std::string text;  // what is hashed (shown by `tailrace preview` only when asked)
  UploadIdentifier upload;
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

enum class BatchKind : unsigned char { add, remove };

struct Member {
  std::string person;  // golden id: for webhooks, rejections and explanations; ad platforms never see it
                       // unless it is an identifier
  std::vector<UploadIdentifier> identifiers;  // at least one
  Time changed_at;                            // when the membership changed
};

struct Batch {
  BatchKind kind = BatchKind::add;
  std::string audience_id;
  std::uint64_t id = 0;  // deterministic: a resend is the same request
  std::span<const Member> members;
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
  std::optional<Millis> retry_after;    // what the platform asked for
  std::optional<double> usage_percent;  // of its rate budget, where it says so
  std::string reason;                   // for `status`; never holds identifiers or secrets
  std::string code;  // the platform's own code, for grouping: "80003", "RESOURCE_EXHAUSTED"
};

struct Token {
  std::string value;
  Time expires_at;
};

// What the platform says of an audience. Missing: it does not say.
struct Measurement {
  std::optional<std::int64_t> size;
  std::optional<double> match_rate;  // 0..1, the platform's own estimate
  std::string detail;                // in its own words: "1000-1100", "31-40 %"
  bool gone = false;                 // there is no such audience, or none we may see
  std::string name = {};
  std::string description = {};
  std::optional<std::int64_t> retention_days = {};
  std::string flag = {};  // why it is not used as it should be: code words and numbers, never free text
};

class Destination {
 public:
  virtual ~Destination() = default;

  virtual std::string_view type() const = 0;   // "meta_custom_audiences"
  virtual std::string_view title() const = 0;  // "Meta Custom Audiences"
  virtual std::string_view about() const = 0;  // Markdown, for its reference page
  virtual std::span<const Setting> settings() const = 0;
  virtual std::span<const IdentifierKind> identifiers() const = 0;  // it can match on
  virtual Limits limits() const = 0;
  // Missing: it documents none.
  virtual std::optional<ProcessingTime> processing() const { return std::nullopt; }
  // How long an addition lasts before the platform lets the member go by itself; a further addition begins it
  // anew. At least a day. Missing: until it is removed.
  virtual std::optional<Millis> membership_life(const Config&) const { return std::nullopt; }
  // How many records of Limits::batch_records_max a member takes in a request. More than one where a person
  // has several identifiers of a kind and a record of the platform has room for one.
  virtual std::size_t records(const Member& member) const;
  // Problems of a configuration beyond what the settings table can say. Empty: fine.
  virtual std::vector<std::string> check(const Config& config) const = 0;

  // One identifier as this platform wants it. Error: invalid_argument, with a reason that can be counted
  // ("phone without country"), never with the value itself.
  virtual Result<Normalised> normalise(IdentifierKind kind, std::string_view raw,
                                       const Config& config) const = 0;

  // Where a short-lived token must be fetched first.
  virtual std::optional<HttpRequest> encode_token(const Config& config, Time now) const;
  virtual Result<Token> decode_token(const HttpResponse& response, Time now) const;

  // Looking for an audience of the sync's name before one is created: an answer may have been lost, or
  // somebody made it by hand. It is adopted. page: "" first, then what the answer before gave. Missing: there
  // is no list to look in.
  struct Found {
    std::string audience_id;  // empty: not on this page
    std::string next_page;    // empty: that was the last
  };
  virtual std::optional<HttpRequest> encode_find(const Context& context, const std::string& page) const;
  virtual Result<Found> decode_find(const HttpResponse& response, const Config& config) const;

  // Creating the audience when the sync names none. Missing: this destination has no audiences to create.
  virtual std::optional<HttpRequest> encode_create(const Context& context) const;
  virtual Result<std::string> decode_create(const HttpResponse& response) const;  // the audience's id

  virtual HttpRequest encode(const Batch& batch, const Context& context) const = 0;
  virtual Reply decode(const Batch& batch, const HttpResponse& response) const = 0;

  // Gives the audience its name and description again. Missing: they cannot be changed.
  virtual std::optional<HttpRequest> encode_update(const std::string& audience_id,
                                                   const Context& context) const;
  virtual Result<void> decode_update(const HttpResponse& response) const;

  // Size, match rate, and how it is described. Missing: it cannot be asked.
  virtual std::optional<HttpRequest> encode_measure(const std::string& audience_id,
                                                    const Context& context) const;
  virtual Result<Measurement> decode_measure(const HttpResponse& response) const;
};

// All destinations, in the order of registry.cc.
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
