#include <array>

#include "destinations/analytics/plain_event.h"
#include "destinations/checks.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/standard_webhooks/signature.h"
#include "destinations/webhook/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = webhook_codec;

// A receiver of ours may take more; the platform limits of the others do not apply.
constexpr std::uint32_t kBatchRecordsCeiling = 10'000;

constexpr Setting kWebhookBatchRecordsMax{
    .name = kBatchRecordsMax.name, .default_value = "100", .about = "People in a request, 1 to 10000."};

constexpr std::array<Setting, 4> kSettings{{
    {.name = codec::kUrl,
     .required = true,
     .about = "Where requests are posted: https, or http on this machine. For the sandbox: "
              "`http://127.0.0.1:9090/webhook`."},
    kWebhookBatchRecordsMax,
    kRequestsPerMinute,
    {.name = codec::kSecret,
     .required = true,
     .secret = true,
     .about =
         "`whsec_` and the base64 of 24 to 64 random bytes. While it is being replaced: the old and the new "
         "one, parted by a blank; requests then carry both signatures."},
}};

constexpr std::string_view kAbout =
    R"(Posts every change of membership to a URL of yours, signed as [Standard Webhooks](https://www.standardwebhooks.com)
describes (HMAC-SHA256, `v1`), so that its libraries verify them.

```json
{"type": "audience.members_added",
 "timestamp": "2026-03-01T10:00:00.000Z",
 "data": {"audience": "Winback",
          "members": [{"person": "crm-1",
                       "identifiers": {"email": ["ada@example.com"], "phone": ["+442079460018"]},
                       "changed_at": "2026-03-01T10:00:00.000Z"}]}}
```

`type` is `audience.members_added` or `audience.members_removed`. `audience` is the sync's audience id, or its
audience name where it has none. Identifiers are the values as they came, trimmed, not normalised and **not
hashed**; each kind is a list. `timestamp` is the latest `changed_at`.

With `attributes` in the sync each member who was added has `"attributes": {"lifetime_value": 120.5, "plan": null}` too, and is told
of again, as added, whenever one of them changes.

`webhook-id` is the same in every resend of a batch: remember it, or apply changes as set operations.
`webhook-timestamp` and the signature are of the attempt.

**Errors.** 2xx is success. 429 and 5xx are tried again, after `Retry-After` where given. 410 and every other
answer stop the sync until somebody mends the cause; redirects are not followed. After 413 the batch is halved.
)";

class Webhook final : public AudienceDestination {
 public:
  std::string_view type() const override { return "webhook"; }
  std::string_view platform() const override { return "webhook"; }
  std::string_view title() const override { return "Webhook"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return analytics::kPlainIdentifiers; }
  std::span<const FieldRule> fields() const override { return analytics::kPlainFieldsOfMembers; }
  Limits limits() const override { return {.batch_records_max = 100}; }
  bool takes_attributes() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(codec::kUrl), Query::allowed, problems);
    check_limits(config, {.batch_records_max = kBatchRecordsCeiling}, problems);
    const std::string& secret = config.secret(std::string(codec::kSecret));
    if (!secret.empty()) {
      if (const auto keys = standard_webhooks::keys(secret); !keys) problems.push_back(keys.error().message);
    }
    return problems;
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    return codec::encode(batch, context);
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return codec::decode(batch, response);
  }
};

}  // namespace

const Destination& webhook() {
  static const Webhook kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
