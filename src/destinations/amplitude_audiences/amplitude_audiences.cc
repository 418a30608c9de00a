#include <array>

#include "destinations/amplitude_events/codec.h"
#include "destinations/analytics/event_json.h"
#include "destinations/analytics/flag_audience.h"
#include "destinations/checks.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

namespace codec = amplitude_events_codec;

constexpr std::array<Setting, 5> kSettings{{
    codec::kBaseUrlSetting,
    codec::kMinIdLengthSetting,
    kBatchRecordsMax,
    kRequestsPerMinute,
    codec::kApiKeySetting,
}};

constexpr std::array kIdentifiers{IdentifierKind::external_id};
constexpr std::array kFields{FieldRule{Field::external_id, "user_id", &opaque}};

constexpr std::string_view kAbout =
    R"(Tells Amplitude who is in a segment, as a user property: `$identify` events with `$set`, by `POST /batch`. Make a cohort
or a chart's segment of the property, `VIP = true`. (A cohort whose members are uploaded is `amplitude_cohorts`.)

The property's name is the sync's audience id, or else its audience name. It is `true` for who is in and `false` for who
has left; who never was in does not have it.

With `attributes` in the sync those are properties beside it, and are told again whenever one changes; what somebody has no
more is taken away (`$unset`). Amplitude shows a property as it was when an event happened: what is told now holds for
events from now on.

**Who.** `user_id` is the external id. Ids that stand in everybody's place (`null`, `undefined`, `0`, ...), for which Amplitude
refuses a whole request, are not sent.

**De-duplication.** By an `insert_id` that a request has again when it is sent again. After a crash a change may come in another request, with
another `insert_id`; setting a property twice changes nothing.

**Errors.** As of `amplitude_events`: a request that is refused names the people to blame, who become dead letters, and
the others go again. Who is throttled waits. A key that is not accepted stops the sync.

**Limits.** 1 000 people, and 1 MB, in a request. `/identify` itself is not used: it names nobody when it refuses.
)";

class AmplitudeAudiences final : public analytics::FlagAudience {
 public:
  std::string_view type() const override { return "amplitude_audiences"; }
  std::string_view platform() const override { return "amplitude"; }
  std::string_view title() const override { return "Amplitude user properties"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1'000, .batch_bytes_max = 1'000'000}; }

  Result<Normalised> normalise(IdentifierKind kind, std::string_view raw,
                               const Config& config) const override {
    if (analytics::is_placeholder(raw)) return invalid("an id that stands in everybody's place");
    return FlagAudience::normalise(kind, raw, config);
  }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    codec::check_connection(config, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    const auto events = analytics::encode_people(batch, [&](const analytics::FlaggedPerson& person) {
      Value told = analytics::empty_object();
      analytics::add_properties(told, batch, context.config, person);
      Value event = analytics::empty_object();
      analytics::add_text(event, "user_id", person.identifier->value);
      analytics::add_text(event, "event_type", "$identify");
      event.members.emplace_back("time", Value::of(Number::integer(person.member->changed_at.ms)));
      analytics::add_text(event, "insert_id", analytics::uuid_of(analytics::change_id(batch, person)));
      event.members.emplace_back("user_properties", operations(std::move(told)));
      return to_json(event);
    });
    return codec::encode(events, context);
  }

  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    Reply reply = codec::decode(analytics::records_in(batch), response);
    reply.throttled.clear();  // of records, not of members: the batch is halved instead
    return analytics::to_members(std::move(reply), batch);
  }

 private:
  // What is null is taken away.
  static Value operations(Value told) {
    Value set = analytics::empty_object();
    Value unset = analytics::empty_object();
    for (auto& [name, value] : told.members) {
      if (value.kind == Value::Kind::null) {
        unset.members.emplace_back(name, Value::of("-"));
      } else {
        set.members.emplace_back(name, std::move(value));
      }
    }
    Value all = analytics::empty_object();
    all.members.emplace_back("$set", std::move(set));
    if (!unset.members.empty()) all.members.emplace_back("$unset", std::move(unset));
    return all;
  }
};

}  // namespace

const Destination& amplitude_audiences() {
  static const AmplitudeAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
