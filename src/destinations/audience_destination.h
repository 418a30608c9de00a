// A destination that keeps audiences: sets of people, to whom people are added and from whom they are
// removed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "destinations/destination.h"
#include "model/person.h"

namespace tailrace::destinations {

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

enum class BatchKind : unsigned char { add, remove };

struct Member {
  std::string person;  // golden id: for webhooks, rejections and explanations; ad platforms never see it
                       // unless it is an identifier
  std::vector<UploadIdentifier> identifiers;  // at least one
  Time changed_at;                            // when the membership changed
  // What the sync tells of them beside, by the name it has there, where takes_attributes(). Of a removal:
  // none. Missing: the person has none (any more).
  std::vector<std::pair<std::string, Value>> attributes = {};
};

// As an object; what the person has not is null.
Value attributes_of(const Member& member);
// As an object of lists by kind: external_id, anonymous_id, email, phone.
Value identifiers_of(const Member& member);

struct Batch {
  BatchKind kind = BatchKind::add;
  std::string audience_id;
  std::uint64_t id = 0;  // deterministic: a resend is the same request
  std::span<const Member> members;
  const Config* config = nullptr;  // it goes out with; for destinations whose rules are settings. Lent
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

class AudienceDestination : public Destination {
 public:
  const AudienceDestination* as_audience() const final { return this; }
  virtual std::span<const IdentifierKind> identifiers() const = 0;  // it can match on
  // How long an addition lasts before the platform lets the member go by itself; a further addition begins it
  // anew. At least a day. Missing: until it is removed.
  virtual std::optional<Millis> membership_life(const Config&) const { return std::nullopt; }
  // How many records of Limits::batch_records_max a member takes in a request. More than one where a person
  // has several identifiers of a kind and a record of the platform has room for one.
  virtual std::size_t records(const Member& member) const;
  // One identifier as this platform wants it. Error: invalid_argument, with a reason that can be counted
  // ("phone without country"), never with the value itself.
  virtual Result<Normalised> normalise(IdentifierKind kind, std::string_view raw, const Config& config) const;
  // Whether a request has room for one kind of identifier only. Then every batch is of one kind.
  virtual bool one_kind_a_request() const { return false; }
  // Whether additions can carry attributes of people. Somebody whose attributes change is added again.
  virtual bool takes_attributes() const { return false; }
  // What is wrong with a sync that carries these, by their names there; a sentence each.
  virtual std::vector<std::string> check_attributes(std::span<const std::string>, const Config&) const {
    return {};
  }
  // So many people the platform must have recognised before it uses an audience. 0: it documents none.
  virtual std::int64_t people_min() const { return 0; }

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

  // Lets go of whoever was last added before an instant, by whomever. Missing: the platform cannot.
  virtual std::optional<HttpRequest> encode_clear(const std::string& audience_id, Time before,
                                                  const Context& context) const;
  virtual Result<void> decode_clear(const HttpResponse& response) const;

  // Size, match rate, and how it is described. Missing: it cannot be asked.
  virtual std::optional<HttpRequest> encode_measure(const std::string& audience_id,
                                                    const Context& context) const;
  virtual Result<Measurement> decode_measure(const HttpResponse& response) const;
};

std::vector<const AudienceDestination*> audience_destinations();  // of the registry, in its order
// nullptr: no such type, or it keeps no audiences.
const AudienceDestination* find_audience_destination(std::string_view type);

}  // namespace tailrace::destinations
