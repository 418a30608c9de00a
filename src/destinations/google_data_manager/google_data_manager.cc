#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "destinations/checks.h"
#include "destinations/google_data_manager/codec.h"
#include "destinations/google_data_manager/token.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/list_kinds.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = google_codec;
namespace token = google_token;

constexpr std::uint32_t kMembershipDaysMax = 540;

constexpr std::array<std::string_view, 3> kAccountTypes{"GOOGLE_ADS", "DISPLAY_VIDEO_PARTNER",
                                                        "DISPLAY_VIDEO_ADVERTISER"};
constexpr std::array<std::string_view, 3> kConsents{"CONSENT_GRANTED", "CONSENT_DENIED",
                                                    "CONSENT_STATUS_UNSPECIFIED"};

constexpr std::array<std::string_view, 3> kListTypes{codec::kContactList, codec::kMobileIdList,
                                                     codec::kUserIdList};
constexpr std::array<std::string_view, 2> kKeySpaces{codec::kIos, codec::kAndroid};

constexpr std::array<Setting, 18> kSettings{{
    {.name = codec::kOperatingAccountId,
     .required = true,
     .about = "The account that owns the lists: `1234567890` or `123-456-7890`."},
    {.name = codec::kLoginAccountId,
     .about =
         "The manager account through which the credentials reach it, where they do not reach it directly."},
    {.name = codec::kAccountType,
     .default_value = "GOOGLE_ADS",
     .about = "`GOOGLE_ADS`, `DISPLAY_VIDEO_PARTNER` or `DISPLAY_VIDEO_ADVERTISER`."},
    {.name = codec::kListType,
     .scope = Setting::Scope::sync,
     .default_value = codec::kContactList,
     .about = "What the list holds, as a list is of one kind for good: `contact` (e-mails and phones), "
              "`mobile_id` (advertising ids of one system) or `user_id` (your own ids; Google Ads only)."},
    {.name = codec::kKeySpace,
     .scope = Setting::Scope::sync,
     .about = "Of `mobile_id`, and required there: `IOS` (the list holds `idfa`) or `ANDROID` (`aaid`)."},
    {.name = codec::kAppId,
     .scope = Setting::Scope::sync,
     .about =
         "Of `mobile_id`, and required there: the app that gathered the ids. `IOS`: the number in its App "
         "Store address, as `476943146`; `ANDROID`: its package name, as `com.example.shop`."},
    {.name = codec::kAdUserData,
     .default_value = "CONSENT_GRANTED",
     .about = "Consent told for every person added. Add only people who consented: name a consent purpose in "
              "the sync."},
    {.name = codec::kAdPersonalization,
     .default_value = "CONSENT_GRANTED",
     .about = "The same for personalised advertising."},
    {.name = codec::kMembershipDurationDays,
     .default_value = "540",
     .about = "Longest stay of a member in a list that Tailrace creates, 1 to 540 days. Whoever is still to "
              "be in it "
              "is added again before that."},
    {.name = codec::kValidateOnly,
     .default_value = "false",
     .about = "`true`: Google checks every request and stores nothing. What it accepts counts as delivered "
              "here, so "
              "use a store of its own (`--data`)."},
    {.name = codec::kBaseUrl,
     .default_value = "https://datamanager.googleapis.com",
     .about = "The API. For the sandbox: `http://127.0.0.1:9090/google`."},
    token::kTokenUrlSetting,
    kBatchRecordsMax,
    kRequestsPerMinute,
    token::kClientIdSetting,
    token::kClientSecretSetting,
    token::kRefreshTokenSetting,
    token::kServiceAccountJsonSetting,
}};

constexpr std::array kIdentifiers{IdentifierKind::email, IdentifierKind::phone, IdentifierKind::idfa,
                                  IdentifierKind::aaid, IdentifierKind::external_id};

// https://developers.google.com/data-manager/api/get-started/formatting, and Google's own formatter
// (googleads/data-manager-python): it leaves "+" tags and removes dots of gmail.com and googlemail.com.
// Advertising ids are taken as a device gives them: iOS in capitals, Android in small letters.
constexpr std::array kFields{
    FieldRule{Field::email, "emailAddress", &email<EmailForm{.dots = Dots::remove_of_gmail}>,
              Hashing::sha256_hex},
    FieldRule{Field::phone, "phoneNumber", &phone_with_plus, Hashing::sha256_hex},
    FieldRule{Field::idfa, "mobileIds", &mobile_id_upper},
    FieldRule{Field::aaid, "mobileIds", &mobile_id_lower},
    FieldRule{Field::external_id, "userId", &opaque},
    FieldRule{Field::first_name, "givenName", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::last_name, "familyName", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::country, "regionCode", &country_upper},
    FieldRule{Field::postal_code, "postalCode", &opaque},
};

constexpr std::string_view kAbout =
    R"(Keeps Customer Match lists through the Data Manager API: people are added with `audienceMembers:ingest` and
removed with `audienceMembers:remove`. A sync without an audience id looks for a list of its name, and creates one
where there is none. Adding states that the Customer Match terms are accepted. Credentials are either
`client_id`, `client_secret` and `refresh_token`, or `service_account_json`.

**Lists.** A list is of one kind from its creation on (`list_type` of the sync), and a request carries one kind:

| `list_type` | upload key | holds | needs | at |
|---|---|---|---|---|
| `contact` | `CONTACT_ID` | `email`, `phone` | nothing more | Google Ads, Display & Video 360 |
| `mobile_id` | `MOBILE_ID` | `idfa` with `key_space: IOS`, `aaid` with `key_space: ANDROID` | `key_space`, `app_id` | Google Ads, Display & Video 360 |
| `user_id` | `USER_ID` | `external_id` | nothing more | Google Ads |

People with devices of both systems take two syncs, one for each `key_space`. A list of the sync's name that is of
another kind, of another app or of another system is not taken for its own: the sync stops and says so. A sync keeps
its list; where that is to be of another kind, make another sync. Lists of
`PAIR_ID`, publishers' ids (`ppidData`) and partners' ids are for Google's data partners, and are not kept.

**Identifiers.** E-mail: trimmed, lower case, dots before the `@` of gmail.com and googlemail.com removed (`+`
tags stay), SHA-256. Phone: E.164 with `+`, SHA-256. A value that is a SHA-256 in hexadecimal already is passed
in lower case. Advertising ids: a UUID with hyphens, not hashed, as the device gives it (`idfa` in capitals, `aaid` in
small letters); one of zeros is refused. External ids: trimmed, not hashed. Someone with more than ten e-mails and
phones, or ten advertising ids, takes several members of a request; so does someone with several external ids.

**Consent** (`ad_user_data`, `ad_personalization`) and the terms go with every addition, whatever the list holds; a
removal carries neither. `encoding` goes with contact details alone, as nothing else is hashed.

**Errors.** One bad record makes Google refuse the whole request; where the answer names it, it is rejected with
its reason and the rest is sent again. A spent quota of the minute waits 30 s at least. A spent quota of the day
returns at midnight Pacific time; it is tried again every hour. A token that is not accepted (401) is fetched
anew; 403 and 404 stop the sync until somebody mends the cause, as does a list of another kind
(`INVALID_USER_LIST_TYPE`) and an account that may not have such lists (`NOT_ALLOWLISTED`).

**Measurement.** The size is the largest of Google's estimates per network, the match rate the list's
`matchRatePercentage`, which there is of contact details only. Google works through additions within a day.

**Others in a list.** `tailrace reupload SYNC --remove-others` adds every member again and a day later asks Google
(`audienceMembers:removeAll`) to let go of whoever was last added more than an hour before the command.
)";

constexpr std::string_view kOfContacts =
    "a list of e-mails and phones is of `list_type: contact`; give it a sync of its own";
constexpr std::string_view kOfMobileIds =
    "a list of advertising ids is of `list_type: mobile_id`; give it a sync of its own";
constexpr std::string_view kOfUserIds =
    "a list of your own ids is of `list_type: user_id`; give it a sync of its own";
constexpr std::string_view kOfIos = "a list of iOS ids is of `key_space: IOS`; give it a sync of its own";
constexpr std::string_view kOfAndroid =
    "a list of Android ids is of `key_space: ANDROID`; give it a sync of its own";

// "com.example.shop"
bool is_package_name(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  };
  return std::ranges::all_of(text, fits) && text.find('.') != std::string_view::npos &&
         text.find("..") == std::string_view::npos && !text.starts_with('.') && !text.ends_with('.');
}

class GoogleDataManager final : public AudienceDestination, public HoldsOneKind, public Probed {
 public:
  std::string_view type() const override { return "google_data_manager"; }
  std::string_view platform() const override { return "google"; }
  std::string_view title() const override { return "Google Data Manager (Customer Match)"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 10'000, .requests_per_minute = 300}; }
  std::optional<ProcessingTime> processing() const override {
    return ProcessingTime{
        .most = kDay,
        .about =
            "Google works uploads off after it has taken them; what became of one may stay open for up to "
            "24 hours.",
        .source = "https://developers.google.com/data-manager/api/devguides/diagnostics"};
  }
  std::optional<Millis> membership_life(const Config& config) const override {
    const std::string& text = config.setting(std::string(codec::kMembershipDurationDays));
    std::uint32_t days = kMembershipDaysMax;
    std::from_chars(text.data(), text.data() + text.size(), days);  // check() has read it
    return kDay * static_cast<std::int64_t>(std::clamp(days, 1u, kMembershipDaysMax));
  }
  std::size_t records(const Member& member) const override { return codec::entries(member); }
  Result<Normalised> normalise(IdentifierKind kind, std::string_view raw,
                               const Config& config) const override {
    if (!misfit(kind, config).empty()) return invalid(std::string(kNotAccepted));
    return AudienceDestination::normalise(kind, raw, config);
  }
  std::string_view misfit(IdentifierKind kind, const Config& config) const override {
    const std::string& list_type = config.setting(std::string(codec::kListType));
    switch (kind) {
      case IdentifierKind::email:
      case IdentifierKind::phone:
        return list_type == codec::kMobileIdList || list_type == codec::kUserIdList ? kOfContacts : "";
      case IdentifierKind::external_id:
        return list_type == codec::kUserIdList ? "" : kOfUserIds;
      case IdentifierKind::idfa:
      case IdentifierKind::aaid: {
        if (list_type != codec::kMobileIdList) return kOfMobileIds;
        const bool is_of_ios = kind == IdentifierKind::idfa;
        const std::string& key_space = config.setting(std::string(codec::kKeySpace));
        if (key_space == (is_of_ios ? codec::kIos : codec::kAndroid)) return "";
        return is_of_ios ? kOfIos : kOfAndroid;
      }
      case IdentifierKind::anonymous_id:
        break;
    }
    return "";
  }

  std::string_view permissions() const override {
    return "the OAuth scope `https://www.googleapis.com/auth/datamanager`, access to the account, and the "
           "Data Manager API enabled "
           "in the Cloud project they belong to";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = token::check(config);
    check_account_id(config, std::string(codec::kOperatingAccountId), problems);
    check_account_id(config, std::string(codec::kLoginAccountId), problems);
    check_choice(config, std::string(codec::kAccountType), kAccountTypes, problems);
    check_list(config, problems);
    check_choice(config, std::string(codec::kAdUserData), kConsents, problems);
    check_choice(config, std::string(codec::kAdPersonalization), kConsents, problems);
    check_boolean(config, std::string(codec::kValidateOnly), problems);
    check_count(config, std::string(codec::kMembershipDurationDays), kMembershipDaysMax, problems);
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(codec::kTokenUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_token(const Config& config, Time now) const override {
    return token::encode(config, now);
  }
  Result<Token> decode_token(const HttpResponse& response, Time now) const override {
    return token::decode(response, now);
  }
  std::optional<HttpRequest> encode_find(const Context& context, const std::string& page) const override {
    return codec::encode_find(context, page);
  }
  Result<Found> decode_find(const HttpResponse& response, const Config& config) const override {
    return codec::decode_find(response, config);
  }
  std::optional<HttpRequest> encode_create(const Context& context) const override {
    return codec::encode_create(context);
  }
  Result<std::string> decode_create(const HttpResponse& response) const override {
    return codec::decode_create(response);
  }
  HttpRequest encode(const Batch& batch, const Context& context) const override {
    return codec::encode(batch, context);
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return codec::decode(batch, response);
  }
  std::optional<HttpRequest> encode_update(const std::string& audience_id,
                                           const Context& context) const override {
    return codec::encode_update(audience_id, context);
  }
  Result<void> decode_update(const HttpResponse& response) const override {
    return codec::decode_update(response);
  }
  std::optional<HttpRequest> encode_clear(const std::string& audience_id, Time before,
                                          const Context& context) const override {
    // Nobody was added.
    if (context.config.setting(std::string(codec::kValidateOnly)) == "true") return std::nullopt;
    return codec::encode_clear(audience_id, before, context);
  }
  Result<void> decode_clear(const HttpResponse& response) const override {
    return codec::decode_clear(response);
  }
  std::optional<HttpRequest> encode_measure(const std::string& audience_id,
                                            const Context& context) const override {
    return codec::encode_measure(audience_id, context);
  }
  Result<Measurement> decode_measure(const HttpResponse& response) const override {
    return codec::decode_measure(response);
  }

 private:
  static void check_list(const Config& config, Problems& problems) {
    check_choice(config, std::string(codec::kListType), kListTypes, problems);
    const std::string& list_type = config.setting(std::string(codec::kListType));
    const std::string& key_space = config.setting(std::string(codec::kKeySpace));
    const std::string& app_id = config.setting(std::string(codec::kAppId));
    if (list_type == codec::kUserIdList && config.setting(std::string(codec::kAccountType)) != "GOOGLE_ADS")
      problems.emplace_back(
          "list_type user_id is for accounts of Google Ads: Display & Video 360 keeps no such lists");
    if (list_type != codec::kMobileIdList) {
      for (const std::string_view name : {codec::kKeySpace, codec::kAppId}) {
        if (config.setting(std::string(name)).empty()) continue;
        problems.push_back(fmt::format(
            "{} is for lists of advertising ids: write list_type: mobile_id, or leave it out", name));
      }
      return;
    }
    if (key_space.empty()) {
      problems.emplace_back("key_space must be given with list_type mobile_id: IOS or ANDROID");
    } else {
      check_choice(config, std::string(codec::kKeySpace), kKeySpaces, problems);
    }
    if (app_id.empty()) {
      problems.emplace_back("app_id must be given with list_type mobile_id: the app that gathered the ids");
    } else if (key_space == codec::kIos && app_id.find_first_not_of("0123456789") != std::string::npos) {
      problems.emplace_back(
          "app_id must be the number in the App Store's address of the app, such as 476943146");
    } else if (key_space == codec::kAndroid && !is_package_name(app_id)) {
      problems.emplace_back("app_id must be the package name of the app, such as com.example.shop");
    }
  }
};

}  // namespace

const Destination& google_data_manager() {
  static const GoogleDataManager kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
