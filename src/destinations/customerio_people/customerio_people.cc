#include <array>

#include "destinations/analytics/event_json.h"
#include "destinations/analytics/flag_audience.h"
#include "destinations/customerio_api/track.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kCreatePeople = "create_people";

constexpr std::array<Setting, 7> kSettings{{
    customerio_api::kBaseUrlSetting,
    analytics::kIdentifyBySetting,
    {.name = kCreatePeople,
     .default_value = "false",
     .about = "Whether people Customer.io does not know are made known to it: `true` or `false`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    customerio_api::kSiteIdSetting,
    customerio_api::kApiKeySetting,
}};

constexpr std::string_view kAbout =
    R"(Tells Customer.io who is in a segment and what is known of them, as attributes: `POST /api/v2/batch` of the Track API
with `identify`. Make a data-driven segment of the attribute, `VIP is equal to true`. Members of a manual segment are kept by
[customerio_segments](customerio_segments.md).

The attribute's name is the sync's audience id, or else its audience name. It is `true` for who is in and `false` for who
has left; who never was in does not have it. With `attributes` in the sync those go along, and again whenever one changes:
instants as seconds since 1970, as Customer.io compares dates. What somebody has no more is `null`, which removes it.

**Who.** `id` (the external id), or `email` in lower case, by `identify_by`; not hashed.

**Errors.** A batch of which some are not accepted is answered with 207, which names them: those are dead letters. A batch that
is refused whole (400) is halved until the person stands alone. 401 stops the sync. Setting an attribute twice changes nothing.

**Limits.** 500 000 bytes and 1 000 people in a request; 100 requests a second at most.
)";

class CustomerioPeople final : public analytics::FlagAudience {
 public:
  std::string_view type() const override { return "customerio_people"; }
  std::string_view platform() const override { return "customerio"; }
  std::string_view title() const override { return "Customer.io attributes"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  Limits limits() const override {
    return {.batch_records_max = 1'000, .batch_bytes_max = 500'000, .requests_per_minute = 6'000};
  }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(customerio_api::kBaseUrl), Query::refused, problems);
    check_choice(config, std::string(analytics::kIdentifyBy), analytics::kIdentifications, problems);
    check_boolean(config, std::string(kCreatePeople), problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    const bool existing = context.config.setting(std::string(kCreatePeople)) != "true";
    const auto people = analytics::encode_people(batch, [&](const analytics::FlaggedPerson& person) {
      const bool by_email = person.identifier->kind == IdentifierKind::email;
      Value attributes = analytics::empty_object();
      analytics::add_properties(attributes, batch, context.config, person);
      customerio_api::convert_instants(attributes);
      attributes.members.emplace_back("_update", Value::of(existing));
      Value item = analytics::empty_object();
      analytics::add_text(item, "type", "person");
      analytics::add_text(item, "action", "identify");
      item.members.emplace_back(
          "identifiers", customerio_api::identifiers(by_email ? "email" : "id", person.identifier->value));
      item.members.emplace_back("timestamp",
                                Value::of(Number::integer(person.member->changed_at.ms / kSecond.count)));
      item.members.emplace_back("attributes", std::move(attributes));
      return to_json(item);
    });
    return customerio_api::post(context.config, "/api/v2/batch",
                                R"({"batch":[)" + analytics::joined(people) + "]}");
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return analytics::to_members(customerio_api::judge(analytics::records_in(batch), response), batch);
  }
};

}  // namespace

const Destination& customerio_people() {
  static const CustomerioPeople kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
