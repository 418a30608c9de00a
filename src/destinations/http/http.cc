#include <array>

#include "destinations/checks.h"
#include "destinations/http/codec.h"
#include "destinations/identifiers/identifiers.h"

namespace tailrace::destinations {
namespace {

namespace codec = http_codec;

// A receiver of ours may take more; the platform limits of the others do not apply.
constexpr std::uint32_t kBatchRecordsCeiling = 10'000;

constexpr std::array<std::string_view, 4> kMethods{"POST", "PUT", "PATCH", "DELETE"};
constexpr std::array<std::string_view, 2> kBodyTypes{"json", "form"};
constexpr std::array<std::string_view, 2> kHashes{"sha256", "none"};

constexpr std::array<Setting, 25> kSettings{{
    {.name = codec::kBaseUrl,
     .required = true,
     .example = "https://api.example.com/v1",
     .about = "What every path begins with: https, or http on this machine."},
    {.name = codec::kHeaders,
     .example = "Authorization: Bearer {{credentials.access_token}}",
     .about = "Lines `Name: value`, beside `Content-Type`."},
    {.name = "add_method", .default_value = "POST", .about = "`POST`, `PUT`, `PATCH` or `DELETE`."},
    {.name = "add_path",
     .required = true,
     .example = "/lists/{{audience}}/members",
     .about = "Where people are added, below `base_url`."},
    {.name = "add_body",
     .required = true,
     .example = R"({"add":[{{records}}]})",
     .about = "The body of an addition."},
    {.name = "remove_method", .default_value = "POST", .about = "As `add_method`."},
    {.name = "remove_path",
     .required = true,
     .example = "/lists/{{audience}}/removals",
     .about = "Where people are removed."},
    {.name = "remove_body",
     .required = true,
     .example = R"({"remove":[{{records}}]})",
     .about = "The body of a removal."},
    {.name = codec::kRecord,
     .required = true,
     .example = R"({"email":{{email}},"phone":{{phone}},"mobile":{{idfa}},"android":{{aaid}}})",
     .about = "What one person is in a body."},
    {.name = codec::kBodyType,
     .default_value = "json",
     .about = "`json`, or `form` (percent-encoded pairs)."},
    {.name = "hash_email",
     .default_value = "sha256",
     .about = "`sha256` of the normalised address, or `none`."},
    {.name = "hash_phone",
     .default_value = "sha256",
     .about = "The same of the number in E.164, with its plus."},
    {.name = "hash_external_id", .default_value = "none", .about = "The same of the id as it stands."},
    {.name = "hash_anonymous_id", .default_value = "none", .about = "The same."},
    {.name = "hash_idfa", .default_value = "none", .about = "The same, in lower case."},
    {.name = "hash_aaid", .default_value = "none", .about = "The same, in lower case."},
    {.name = codec::kSuccess, .default_value = "200-299", .about = "Statuses of a success: `200, 202`."},
    {.name = codec::kSuccessWhen,
     .about =
         "`path = value` of the answer's JSON, where the status alone does not say it: `result.ok = true`."},
    {.name = codec::kRejects, .about = "Path of a list in the answer that names records which were refused."},
    {.name = codec::kRejectRecord,
     .default_value = "index",
     .about = "Path in an entry of that list: a place in the request, from 0, or a value of the record."},
    {.name = codec::kRejectCode,
     .default_value = "code",
     .about = "Path in it of a code, shown as the reason."},
    {.name = "batch_records_max", .default_value = "1", .about = "People in a request, 1 to 10000."},
    kRequestsPerMinute,
    {.name = codec::kAccessToken, .secret = true, .about = "For `{{credentials.access_token}}` in a header."},
    {.name = codec::kSecret,
     .secret = true,
     .example = "secret-of-the-receiver",
     .about = "For `{{credentials.secret}}` in a header."},
}};

constexpr std::array kIdentifiers{IdentifierKind::email,       IdentifierKind::phone,
                                  IdentifierKind::external_id, IdentifierKind::anonymous_id,
                                  IdentifierKind::idfa,        IdentifierKind::aaid};

constexpr std::array kFields{
    FieldRule{Field::email, "email", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::phone, "phone", &phone_with_plus, Hashing::sha256_hex},
    FieldRule{Field::external_id, "external_id", &opaque},
    FieldRule{Field::anonymous_id, "anonymous_id", &opaque},
    FieldRule{Field::idfa, "idfa", &mobile_id_lower},
    FieldRule{Field::aaid, "aaid", &mobile_id_lower},
};

constexpr std::string_view kAbout =
    R"(Any receiver of audiences that speaks HTTP, described in the workspace alone:

```yaml
name: Newsletter tool
type: http
settings:
  base_url: https://api.example.com/v1
  headers: |
    Authorization: Bearer {{credentials.access_token}}
    Idempotency-Key: {{operation}}-{{batch_id}}
  add_path: /lists/{{audience}}/members
  add_body: '{"members":[{{records}}]}'
  remove_method: DELETE
  remove_path: /lists/{{audience}}/members
  remove_body: '{"members":[{{records}}]}'
  record: '{"email_sha256":{{email}},"id":{{external_id}}}'
  batch_records_max: 500
  rejects: errors
  reject_record: index
credentials:
  access_token: {env: NEWSLETTER_TOKEN}
```

A sync to it names the list by `audience_id`, or else its name stands for it. `tailrace preview --destination http --config FILE` shows
the requests without sending any.

**Placeholders.** In a record: `{{email}}`, `{{phone}}`, `{{external_id}}`, `{{anonymous_id}}`, `{{idfa}}`, `{{aaid}}` (the first of that kind,
or nothing), `{{email[]}}` and so on (all of it), `{{person}}` (the golden id), `{{changed_at}}`,
`{{attributes}}` (what the sync carries, an object) and `{{attributes.plan}}` (one of them). In a body: `{{records}}`, `{{audience}}`,
`{{audience_name}}`, `{{operation}}` (`add` or `remove`) and `{{batch_id}}` (the same in a resend). In a path and a header the same without
records; in a header `{{credentials.access_token}}` and `{{credentials.secret}}` too. In JSON a value comes with its quotes, and as `null` where there is none;
in a form and a path it is percent-encoded.

**Errors.** A status of `success` is one, unless `success_when` says otherwise. Records that `rejects` names are refused with the code beside them; of a request
that failed as a whole (400, 422) the others go again. Without such names a batch that is refused is halved until the culprit stands alone. 429 and 5xx are tried
again, after `Retry-After` where given; 401, 403 and whatever else stop the sync until somebody mends the cause. Redirects are not followed.
)";

class Http final : public AudienceDestination {
 public:
  std::string_view type() const override { return "http"; }
  std::string_view platform() const override { return "http"; }
  std::string_view title() const override { return "HTTP"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1'000}; }
  bool takes_attributes() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_choice(config, "add_method", kMethods, problems);
    check_choice(config, "remove_method", kMethods, problems);
    check_choice(config, std::string(codec::kBodyType), kBodyTypes, problems);
    for (const IdentifierKind kind : kIdentifiers)
      check_choice(config, codec::hash_setting(kind), kHashes, problems);
    check_limits(config, {.batch_records_max = kBatchRecordsCeiling}, problems);
    check_token(config, std::string(codec::kAccessToken), problems);
    check_token(config, std::string(codec::kSecret), problems);
    for (std::string& problem : codec::problems_of(config)) problems.push_back(std::move(problem));
    return problems;
  }

  Result<Normalised> normalise(IdentifierKind kind, std::string_view raw,
                               const Config& config) const override {
    const FieldRule* found = find_rule(kFields, field_of(kind));
    if (found == nullptr) return invalid(std::string(kNotAccepted));
    FieldRule rule = *found;
    const std::string& hash = config.setting(codec::hash_setting(kind));
    if (!hash.empty()) rule.hashing = hash == "sha256" ? Hashing::sha256_hex : Hashing::none;
    Prepared prepared = TRY(prepare(rule, raw, {.region = config.default_region}));
    return Normalised{
        .text = std::move(prepared.normalised),
        .upload = {.kind = kind, .value = std::move(prepared.value), .hashed = prepared.hashed}};
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    return codec::encode(batch, context);
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return codec::decode(batch, response);
  }
};

}  // namespace

const Destination& http() {
  static const Http kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
