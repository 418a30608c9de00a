#include "sandbox/google/google_members.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "sandbox/wire.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kMembersMax = 10'000;
constexpr std::size_t kIdentifiersMax = 10;
constexpr std::size_t kMobileIdsMax = 10;
constexpr std::size_t kDestinationsMax = 10;
constexpr std::size_t kEventsMax = 2'000;
constexpr Millis kAhead = kMinute * 5;  // a clock that is a little fast

constexpr std::array<std::string_view, 7> kAccountTypes{
    "GOOGLE_ADS",       "DISPLAY_VIDEO_PARTNER",     "DISPLAY_VIDEO_ADVERTISER",
    "DATA_PARTNER",     "GOOGLE_ANALYTICS_PROPERTY", "GOOGLE_AD_MANAGER_AUDIENCE_LINK",
    "FLOODLIGHT_CONFIG"};
// Kinds of data that only data partners may send.
constexpr std::array<std::string_view, 4> kPartnerData{"pairData", "ppidData", "googleUserIdData",
                                                       "partnerProvidedIdData"};

enum class Encoding { none, hex, base64 };

void missing(Violations& violations, const std::string& field) {
  violations.push_back({field, "REQUIRED_FIELD_MISSING", "The required field is not set."});
}

void wrong_type(Violations& violations, const std::string& field, std::string_view wanted) {
  violations.push_back({field, "", fmt::format("Invalid value at '{}': {} is wanted.", field, wanted)});
}

// Reads one request's body; carries what its many parts need to know.
class Reader {
 public:
  Reader(MembersCall call, Violations& violations) : call_(call), violations_(violations) {}

  MembersRequest read(const Value& body);
  EventsRequest read_events(const Value& body, Time now);
  std::vector<GoogleDestination> read_destinations(const Value& body);

 private:
  std::optional<std::pair<std::string, std::string>> read_account(const Value& account,
                                                                  const std::string& field);
  GoogleDestination read_destination(const Value& value, const std::string& field);
  void check_references_are_unique(const std::vector<GoogleDestination>& destinations);
  void read_encoding(const Value& body);
  void check_terms(const Value& body, DataKind kind);
  // True when the consent says no to advertising; missing when it says nothing of it.
  std::optional<bool> read_consent(const Value& holder, const std::string& field);
  GoogleMember read_member(const Value& value, const std::string& field, const MembersRequest& request);
  // Of a member or an event: the names of destinations it is for, which must be among those given.
  std::vector<std::string> read_references(const Value& value, const std::string& field,
                                           const std::vector<GoogleDestination>& destinations);
  GoogleEvent read_event(const Value& value, const std::string& field, const EventsRequest& request,
                         Time now);
  DataKind read_data(const Value& value, const std::string& field, GoogleMember& member);
  void read_user_data(const Value& data, const std::string& field, GoogleMember& member);
  void read_user_identifier(const Value& identifier, const std::string& field, GoogleMember& member);
  void read_address(const Value& address, const std::string& field, GoogleMember& member);
  void read_composite_data(const Value& data, const std::string& field, GoogleMember& member);
  void read_mobile_data(const Value& data, const std::string& field, GoogleMember& member);
  void read_user_id_data(const Value& data, const std::string& field, GoogleMember& member);
  // The digest in hexadecimal, whatever the encoding. Missing, with a violation, when it is not one.
  std::optional<std::string> read_digest(const Value& value, const std::string& field);

  MembersCall call_;
  Violations& violations_;
  Encoding encoding_ = Encoding::none;
  bool consent_denied_ = false;  // for members that say nothing themselves
};

std::optional<std::pair<std::string, std::string>> Reader::read_account(const Value& account,
                                                                        const std::string& field) {
  if (!check_fields(account, field, {"accountType", "accountId", "product"}, violations_))
    return std::nullopt;
  const Value* type = account.find("accountType");
  const Value* product = account.find("product");  // the deprecated name of the same
  if (type == nullptr) type = product;
  const Value* id = account.find("accountId");
  if (type == nullptr) missing(violations_, field + ".account_type");
  if (id == nullptr) missing(violations_, field + ".account_id");
  if (type == nullptr || id == nullptr) return std::nullopt;
  if (type->kind != Value::Kind::string || !is_account_type(type->string)) {
    violations_.push_back({field + ".account_type", "INVALID_ENUM_VALUE", "Not a known account type."});
    return std::nullopt;
  }
  if (product != nullptr && *product != *type) {
    violations_.push_back(
        {field + ".product", "INVALID_DESTINATION", "product and accountType name different types."});
  }
  if (id->kind != Value::Kind::string || !is_digits(id->string)) {
    violations_.push_back(
        {field + ".account_id", "INVALID_FORMAT", "An account id is a string of digits, without dashes."});
    return std::nullopt;
  }
  return std::pair(type->string, id->string);
}

GoogleDestination Reader::read_destination(const Value& value, const std::string& field) {
  GoogleDestination destination;
  destination.json = value;
  if (!check_fields(
          value, field,
          {"reference", "operatingAccount", "loginAccount", "linkedAccount", "productDestinationId"},
          violations_)) {
    return destination;
  }
  if (const Value* reference = value.find("reference"); reference != nullptr) {
    if (reference->kind != Value::Kind::string) wrong_type(violations_, field + ".reference", "a string");
    destination.reference = reference->string;
  }
  if (const Value* operating = value.find("operatingAccount"); operating != nullptr) {
    if (const auto account = read_account(*operating, field + ".operating_account")) {
      destination.account_type = account->first;
      destination.account = account->second;
    }
  } else {
    missing(violations_, field + ".operating_account");
  }
  if (const Value* login = value.find("loginAccount")) read_account(*login, field + ".login_account");
  if (const Value* linked = value.find("linkedAccount")) read_account(*linked, field + ".linked_account");
  const Value* list = value.find("productDestinationId");
  if (list == nullptr || (list->kind == Value::Kind::string && list->string.empty())) {
    missing(violations_, field + ".product_destination_id");
  } else if (list->kind != Value::Kind::string || !is_digits(list->string)) {
    violations_.push_back({field + ".product_destination_id", "INVALID_USER_LIST_ID",
                           "The id of a user list is a string of digits."});
  } else {
    destination.list = list->string;
  }
  return destination;
}

void Reader::check_references_are_unique(const std::vector<GoogleDestination>& destinations) {
  for (std::size_t i = 0; i < destinations.size(); ++i) {
    const bool seen = !destinations[i].reference.empty() &&
                      std::any_of(destinations.begin(), destinations.begin() + static_cast<std::ptrdiff_t>(i),
                                  [&](const auto& d) { return d.reference == destinations[i].reference; });
    if (seen) {
      violations_.push_back({fmt::format("destinations[{}].reference", i), "DUPLICATE_DESTINATION_REFERENCE",
                             "Two destinations have this reference."});
    }
  }
}

std::vector<GoogleDestination> Reader::read_destinations(const Value& body) {
  std::vector<GoogleDestination> destinations;
  const Value* list = body.find("destinations");
  if (list == nullptr || (list->kind == Value::Kind::list && list->list.empty())) {
    missing(violations_, "destinations");
    return destinations;
  }
  if (list->kind != Value::Kind::list) {
    wrong_type(violations_, "destinations", "a list");
    return destinations;
  }
  if (list->list.size() > kDestinationsMax) {
    violations_.push_back({"destinations", "TOO_MANY_DESTINATIONS",
                           fmt::format("At most {} destinations in a request.", kDestinationsMax)});
    return destinations;
  }
  for (const Value& value : list->list) {
    destinations.push_back(read_destination(value, fmt::format("destinations[{}]", destinations.size())));
  }
  check_references_are_unique(destinations);
  return destinations;
}

void Reader::read_encoding(const Value& body) {
  const Value* encoding = body.find("encoding");
  if (encoding == nullptr) return;
  check_enum(encoding, "encoding", {"HEX", "BASE64"}, violations_);
  if (encoding->string == "HEX") encoding_ = Encoding::hex;
  if (encoding->string == "BASE64") encoding_ = Encoding::base64;
}

void Reader::check_terms(const Value& body, DataKind kind) {
  if (call_ == MembersCall::remove || (kind != DataKind::user_data && kind != DataKind::mobile_data)) return;
  const Value* status = body.find_path("termsOfService.customerMatchTermsOfServiceStatus");
  if (is_string(status) && status->string == "ACCEPTED") return;
  violations_.push_back({"terms_of_service.customer_match_terms_of_service_status",
                         "TERMS_AND_CONDITIONS_NOT_SIGNED",
                         "The Customer Match terms of service must be ACCEPTED for this data."});
}

std::optional<bool> Reader::read_consent(const Value& holder, const std::string& field) {
  const Value* consent = holder.find("consent");
  if (consent == nullptr) return std::nullopt;
  if (!check_fields(*consent, field, {"adUserData", "adPersonalization"}, violations_)) return std::nullopt;
  const std::vector<std::string_view> allowed{"CONSENT_GRANTED", "CONSENT_DENIED",
                                              "CONSENT_STATUS_UNSPECIFIED"};
  check_enum(consent->find("adUserData"), field + ".ad_user_data", allowed, violations_);
  check_enum(consent->find("adPersonalization"), field + ".ad_personalization", allowed, violations_);
  const Value* user_data = consent->find("adUserData");
  if (!is_string(user_data) || user_data->string == "CONSENT_STATUS_UNSPECIFIED") return std::nullopt;
  return user_data->string == "CONSENT_DENIED";
}

std::optional<std::string> Reader::read_digest(const Value& value, const std::string& field) {
  if (value.kind != Value::Kind::string) {
    wrong_type(violations_, field, "a string");
    return std::nullopt;
  }
  std::string bytes;
  if (encoding_ == Encoding::base64) {
    if (!from_base64(value.string, bytes)) {
      violations_.push_back({field, "INVALID_BASE64_ENCODING", "The value is not base64."});
      return std::nullopt;
    }
    if (bytes.size() == sizeof(Sha256)) return to_hex(bytes);
  } else {
    const bool hex = std::all_of(value.string.begin(), value.string.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    });
    if (!hex || value.string.size() % 2 != 0) {
      violations_.push_back({field, "INVALID_HEX_ENCODING", "The value is not hexadecimal."});
      return std::nullopt;
    }
    if (is_lower_hex_digest(value.string)) return value.string;
  }
  violations_.push_back(
      {field, "INVALID_SHA256_FORMAT", "The value is not a SHA-256 (in lower case, if in HEX)."});
  return std::nullopt;
}

void Reader::read_address(const Value& address, const std::string& field, GoogleMember& member) {
  if (!check_fields(address, field, {"givenName", "familyName", "regionCode", "postalCode"}, violations_))
    return;
  const auto part = [&](std::string_view name, std::string_view path) -> const Value* {
    const Value* value = address.find(name);
    const std::string at = fmt::format("{}.{}", field, path);
    if (value == nullptr || (value->kind == Value::Kind::string && value->string.empty())) {
      missing(violations_, at);
      return nullptr;
    }
    if (value->kind != Value::Kind::string) {
      wrong_type(violations_, at, "a string");
      return nullptr;
    }
    return value;
  };
  const Value* given = part("givenName", "given_name");
  const Value* family = part("familyName", "family_name");
  const Value* region = part("regionCode", "region_code");
  const Value* postal = part("postalCode", "postal_code");
  if (given == nullptr || family == nullptr || region == nullptr || postal == nullptr) return;
  const auto given_digest = read_digest(*given, field + ".given_name");
  const auto family_digest = read_digest(*family, field + ".family_name");
  const std::string& code = region->string;
  if (code.size() != 2 || std::any_of(code.begin(), code.end(), [](char c) { return c < 'A' || c > 'Z'; })) {
    violations_.push_back({field + ".region_code", "INVALID_FORMAT",
                           "A region code is two upper-case letters (ISO 3166-1), not hashed."});
    return;
  }
  if (postal->string.front() == ' ' || postal->string.back() == ' ' || is_lower_hex_digest(postal->string)) {
    violations_.push_back({field + ".postal_code", "INVALID_POSTAL_CODE",
                           "A postal code is plain text without blanks around it, not hashed."});
    return;
  }
  if (!given_digest || !family_digest) return;
  member.ids.push_back(
      {"address", fmt::format("{}|{}|{}|{}", *given_digest, *family_digest, code, postal->string)});
}

void Reader::read_user_identifier(const Value& identifier, const std::string& field, GoogleMember& member) {
  if (!check_fields(identifier, field, {"emailAddress", "phoneNumber", "address"}, violations_)) return;
  if (identifier.members.size() != 1) {
    violations_.push_back({field, identifier.members.empty() ? "NO_IDENTIFIERS_PROVIDED" : "INVALID_FORMAT",
                           "An identifier is exactly one of emailAddress, phoneNumber and address."});
    return;
  }
  const auto& [name, value] = identifier.members.front();
  if (name == "address") {
    read_address(value, field + ".address", member);
    return;
  }
  const bool email = name == "emailAddress";
  if (!email && name != "phoneNumber") return;  // already a violation, as an unknown name
  if (auto digest = read_digest(value, field + (email ? ".email_address" : ".phone_number"))) {
    member.ids.push_back({email ? "email" : "phone", std::move(*digest)});
  }
}

void Reader::read_user_data(const Value& data, const std::string& field, GoogleMember& member) {
  if (!check_fields(data, field, {"userIdentifiers"}, violations_)) return;
  const std::string at = field + ".user_identifiers";
  const Value* list = data.find("userIdentifiers");
  if (list == nullptr || list->kind != Value::Kind::list || list->list.empty()) {
    missing(violations_, at);
    return;
  }
  if (list->list.size() > kIdentifiersMax) {
    violations_.push_back({at, "TOO_MANY_USER_IDENTIFIERS",
                           fmt::format("At most {} identifiers per member.", kIdentifiersMax)});
    return;
  }
  for (std::size_t i = 0; i < list->list.size(); ++i) {
    read_user_identifier(list->list[i], fmt::format("{}[{}]", at, i), member);
  }
}

void Reader::read_composite_data(const Value& data, const std::string& field, GoogleMember& member) {
  if (!check_fields(data, field, {"userData", "ipData"}, violations_)) return;
  const Value* user_data = data.find("userData");
  const Value* ip_data = data.find("ipData");
  if (user_data == nullptr && ip_data == nullptr) missing(violations_, field + ".user_data");
  if (user_data != nullptr) read_user_data(*user_data, field + ".user_data", member);
  if (ip_data == nullptr) return;
  if (ip_data->kind != Value::Kind::list) {
    wrong_type(violations_, field + ".ip_data", "a list");
    return;
  }
  for (std::size_t i = 0; i < ip_data->list.size(); ++i) {
    const std::string at = fmt::format("{}.ip_data[{}]", field, i);
    const Value& entry = ip_data->list[i];
    if (!check_fields(entry, at, {"ipAddress", "observeStartTime", "observeEndTime"}, violations_)) continue;
    const Value* address = entry.find("ipAddress");
    if (!is_string(address) || address->string.empty()) {
      missing(violations_, at + ".ip_address");
    } else {
      member.ids.push_back({"ip_address", address->string});
    }
  }
}

void Reader::read_mobile_data(const Value& data, const std::string& field, GoogleMember& member) {
  if (!check_fields(data, field, {"mobileIds"}, violations_)) return;
  const Value* list = data.find("mobileIds");
  if (list == nullptr || list->kind != Value::Kind::list || list->list.empty()) {
    missing(violations_, field + ".mobile_ids");
    return;
  }
  if (list->list.size() > kMobileIdsMax) {
    violations_.push_back({field + ".mobile_ids", "TOO_MANY_USER_IDENTIFIERS",
                           fmt::format("At most {} mobile ids per member.", kMobileIdsMax)});
    return;
  }
  for (std::size_t i = 0; i < list->list.size(); ++i) {
    const Value& id = list->list[i];
    if (id.kind == Value::Kind::string && is_uuid(id.string)) {
      member.ids.push_back({"mobile_id", id.string});
    } else {
      violations_.push_back({fmt::format("{}.mobile_ids[{}]", field, i), "INVALID_MOBILE_ID_FORMAT",
                             "A mobile id is a UUID with hyphens, not hashed."});
    }
  }
}

void Reader::read_user_id_data(const Value& data, const std::string& field, GoogleMember& member) {
  if (!check_fields(data, field, {"userId"}, violations_)) return;
  const Value* id = data.find("userId");
  if (!is_string(id) || id->string.empty()) {
    missing(violations_, field + ".user_id");
    return;
  }
  member.ids.push_back({"external_id", id->string});
}

DataKind Reader::read_data(const Value& value, const std::string& field, GoogleMember& member) {
  for (const std::string_view partner : kPartnerData) {
    if (value.find(partner) == nullptr) continue;
    violations_.push_back({field, "NOT_ALLOWLISTED", fmt::format("{} is for data partners.", partner)});
    return DataKind::none;
  }
  const Value* user = value.find("userData");
  const Value* composite = value.find("compositeData");
  const Value* mobile = value.find("mobileData");
  const Value* user_id = value.find("userIdData");
  const int kinds = (user != nullptr) + (composite != nullptr) + (mobile != nullptr) + (user_id != nullptr);
  if (kinds > 1) {
    violations_.push_back({field, "MULTIPLE_DATA_TYPES_NOT_ALLOWED", "A member has one kind of data."});
    return DataKind::none;
  }
  if (user != nullptr) read_user_data(*user, field + ".user_data", member);
  if (composite != nullptr) read_composite_data(*composite, field + ".composite_data", member);
  if (user != nullptr || composite != nullptr) return DataKind::user_data;
  if (mobile != nullptr) {
    read_mobile_data(*mobile, field + ".mobile_data", member);
    return DataKind::mobile_data;
  }
  if (user_id != nullptr) {
    read_user_id_data(*user_id, field + ".user_id_data", member);
    return DataKind::user_id_data;
  }
  violations_.push_back({field, "NO_IDENTIFIERS_PROVIDED", "The member has no data."});
  return DataKind::none;
}

std::vector<std::string> Reader::read_references(const Value& value, const std::string& field,
                                                 const std::vector<GoogleDestination>& destinations) {
  std::vector<std::string> read;
  const Value* references = value.find("destinationReferences");
  if (references == nullptr) return read;
  const std::string at = field + ".destination_references";
  if (references->kind != Value::Kind::list) {
    wrong_type(violations_, at, "a list");
    return read;
  }
  for (std::size_t i = 0; i < references->list.size(); ++i) {
    const std::string& name = references->list[i].string;
    const bool known = !name.empty() && std::any_of(destinations.begin(), destinations.end(),
                                                    [&](const auto& d) { return d.reference == name; });
    if (known) {
      read.push_back(name);
    } else {
      violations_.push_back({fmt::format("{}[{}]", at, i), "INVALID_DESTINATION",
                             "No destination of the request has this reference."});
    }
  }
  return read;
}

GoogleMember Reader::read_member(const Value& value, const std::string& field,
                                 const MembersRequest& request) {
  GoogleMember member;
  std::vector<std::string_view> allowed{"destinationReferences", "userData", "compositeData", "mobileData",
                                        "userIdData"};
  allowed.insert(allowed.end(), kPartnerData.begin(), kPartnerData.end());
  // Consent is given or withheld by who is added; whoever asks to be removed needs to give none.
  if (call_ == MembersCall::ingest) allowed.push_back("consent");
  if (!check_fields(value, field, allowed, violations_)) return member;
  member.references = read_references(value, field, request.destinations);
  if (call_ == MembersCall::ingest) {
    member.consent_denied = read_consent(value, field + ".consent").value_or(consent_denied_);
  }
  return member;
}

MembersRequest Reader::read(const Value& body) {
  MembersRequest request;
  std::vector<std::string_view> allowed{"destinations", "audienceMembers", "encoding", "encryptionInfo",
                                        "validateOnly"};
  if (call_ == MembersCall::ingest) allowed.insert(allowed.end(), {"consent", "termsOfService"});
  if (!check_fields(body, "", allowed, violations_)) return request;
  if (body.find("encryptionInfo") != nullptr) {
    violations_.push_back({"encryption_info", "INVALID_FORMAT", "The sandbox has no keys to decrypt with."});
  }
  request.validate_only = read_flag(body, "validateOnly", "validate_only", violations_);
  request.destinations = read_destinations(body);
  read_encoding(body);
  if (call_ == MembersCall::ingest) consent_denied_ = read_consent(body, "consent").value_or(false);

  const Value* members = body.find("audienceMembers");
  if (members == nullptr || members->kind != Value::Kind::list || members->list.empty()) {
    missing(violations_, "audience_members");
    return request;
  }
  if (members->list.size() > kMembersMax) {
    violations_.push_back({"audience_members", "TOO_MANY_AUDIENCE_MEMBERS",
                           fmt::format("At most {} members in a request.", kMembersMax)});
    return request;
  }
  for (const Value& value : members->list) {
    const std::string field = fmt::format("audience_members.audience_members[{}]", request.members.size());
    GoogleMember member = read_member(value, field, request);
    const DataKind kind = read_data(value, field, member);
    if (request.kind == DataKind::none) request.kind = kind;
    if (kind != DataKind::none && kind != request.kind) {
      violations_.push_back({field, "MULTIPLE_DATA_TYPES_NOT_ALLOWED", "A request has one kind of data."});
    }
    request.members.push_back(std::move(member));
  }
  if (request.kind == DataKind::user_data && encoding_ == Encoding::none) missing(violations_, "encoding");
  check_terms(body, request.kind);
  return request;
}

// A click id as it came: a hash of one matches no click.
bool is_click_id(const Value& value) {
  return is_string(&value) && !value.string.empty() && !is_lower_hex_digest(value.string);
}

GoogleEvent Reader::read_event(const Value& value, const std::string& field, const EventsRequest& request,
                               Time now) {
  GoogleEvent event;
  event.json = value;
  const bool is_object =
      check_fields(value, field,
                   {"destinationReferences", "transactionId", "eventTimestamp", "lastUpdatedTimestamp",
                    "userData", "consent", "adIdentifiers", "currency", "conversionValue", "eventSource",
                    "eventDeviceInfo", "cartData", "customVariables", "experimentalFields", "userProperties"},
                   violations_);
  if (!is_object) return event;
  event.references = read_references(value, field, request.destinations);
  event.consent_denied = read_consent(value, field + ".consent").value_or(consent_denied_);
  if (const Value* id = value.find("transactionId"); id != nullptr) {
    if (!is_string(id)) wrong_type(violations_, field + ".transaction_id", "a string");
    event.transaction = id->string;
  }
  const Value* at = value.find("eventTimestamp");
  if (at == nullptr) {
    missing(violations_, field + ".event_timestamp");
  } else {
    event.time = at->string;
    const auto time =
        is_string(at) && at->string.find('T') != std::string::npos ? parse_time(at->string) : invalid("");
    if (!time || *time > now + kAhead)
      violations_.push_back(
          {field + ".event_timestamp", "EVENT_TIME_INVALID", "Not a time of RFC 3339 in the past."});
  }
  check_enum(value.find("eventSource"), field + ".event_source",
             {"WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"}, violations_);
  GoogleMember person;
  if (const Value* user = value.find("userData")) read_user_data(*user, field + ".user_data", person);
  const Value* clicks = value.find("adIdentifiers");
  if (clicks != nullptr && check_fields(*clicks, field + ".ad_identifiers",
                                        {"gclid", "gbraid", "wbraid", "sessionAttributes",
                                         "landingPageDeviceInfo", "mobileDeviceId"},
                                        violations_)) {
    for (const auto& [name, id] : clicks->members) {
      const bool is_click = name == "gclid" || name == "gbraid" || name == "wbraid";
      if (is_click && !is_click_id(id))
        violations_.push_back({field + ".ad_identifiers." + name, "INVALID_FORMAT", "Not a click id."});
    }
    if (const Value* gclid = clicks->find("gclid"); is_string(gclid)) event.gclid = gclid->string;
  }
  const bool has_clicks = clicks != nullptr && !clicks->members.empty();
  if (value.find("userData") == nullptr && !has_clicks)
    violations_.push_back({field, "NO_IDENTIFIERS_PROVIDED", "Neither user data nor ad identifiers."});
  const Value* amount = value.find("conversionValue");
  if (amount != nullptr && (amount->kind != Value::Kind::number))
    wrong_type(violations_, field + ".conversion_value", "a number");
  const Value* currency = value.find("currency");
  const bool is_code = is_string(currency) && currency->string.size() == 3 &&
                       std::ranges::all_of(currency->string, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (currency != nullptr && !is_code)
    violations_.push_back({field + ".currency", "INVALID_CURRENCY_CODE", "Three capitals of ISO 4217."});
  return event;
}

EventsRequest Reader::read_events(const Value& body, Time now) {
  EventsRequest request;
  const bool is_object = check_fields(
      body, "", {"destinations", "events", "consent", "encoding", "encryptionInfo", "validateOnly"},
      violations_);
  if (!is_object) return request;
  if (body.find("encryptionInfo") != nullptr)
    violations_.push_back({"encryption_info", "INVALID_FORMAT", "The sandbox has no keys to decrypt with."});
  request.validate_only = read_flag(body, "validateOnly", "validate_only", violations_);
  request.destinations = read_destinations(body);
  read_encoding(body);
  consent_denied_ = read_consent(body, "consent").value_or(false);
  const Value* events = body.find("events");
  if (events == nullptr || events->kind != Value::Kind::list || events->list.empty()) {
    missing(violations_, "events");
    return request;
  }
  if (events->list.size() > kEventsMax) {
    violations_.push_back(
        {"events", "TOO_MANY_EVENTS", fmt::format("At most {} events in a request.", kEventsMax)});
    return request;
  }
  bool has_user_data = false;
  for (const Value& value : events->list) {
    has_user_data = has_user_data || value.find("userData") != nullptr;
    request.events.push_back(
        read_event(value, fmt::format("events.events[{}]", request.events.size()), request, now));
  }
  if (has_user_data && encoding_ == Encoding::none) missing(violations_, "encoding");
  return request;
}

}  // namespace

bool check_fields(const Value& value, const std::string& field, const std::vector<std::string_view>& allowed,
                  Violations& violations) {
  if (value.kind != Value::Kind::object) {
    wrong_type(violations, field, "an object");
    return false;
  }
  for (const auto& [name, member] : value.members) {
    if (std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
    violations.push_back(
        {field, "",
         fmt::format("Invalid JSON payload received. Unknown name \"{}\"{}: Cannot find field.",
                     printable(name), field.empty() ? "" : " at '" + field + "'")});
  }
  return true;
}

void check_enum(const Value* value, const std::string& field, const std::vector<std::string_view>& allowed,
                Violations& violations) {
  if (value == nullptr) return;
  if (value->kind == Value::Kind::string &&
      std::find(allowed.begin(), allowed.end(), value->string) != allowed.end()) {
    return;
  }
  violations.push_back({field, "INVALID_ENUM_VALUE", fmt::format("One of {}.", fmt::join(allowed, ", "))});
}

bool read_flag(const Value& body, std::string_view name, const std::string& field, Violations& violations) {
  const Value* flag = body.find(name);
  if (flag == nullptr) return false;
  if (flag->kind != Value::Kind::boolean) wrong_type(violations, field, "a boolean");
  return flag->boolean;
}

bool is_account_type(std::string_view text) {
  return std::find(kAccountTypes.begin(), kAccountTypes.end(), text) != kAccountTypes.end();
}

MembersRequest read_members_request(const Value& body, MembersCall call, Violations& violations) {
  return Reader(call, violations).read(body);
}

EventsRequest read_events_request(const Value& body, Time now, Violations& violations) {
  return Reader(MembersCall::ingest, violations).read_events(body, now);
}

RemoveAllRequest read_remove_all_request(const Value& body, Time now, Violations& violations) {
  RemoveAllRequest request;
  request.as_of = now;
  if (!check_fields(body, "", {"destinations", "removeAsOfTime", "validateOnly"}, violations)) return request;
  request.destinations = Reader(MembersCall::remove, violations).read_destinations(body);
  request.validate_only = read_flag(body, "validateOnly", "validate_only", violations);
  const Value* as_of = body.find("removeAsOfTime");
  if (as_of == nullptr) return request;
  const auto time = is_string(as_of) && as_of->string.find('T') != std::string::npos
                        ? parse_time(as_of->string)
                        : invalid("");
  if (!time) {
    violations.push_back({"remove_as_of_time", "INVALID_REMOVE_AS_OF_TIME", "The time is not RFC 3339."});
  } else if (*time > now) {
    violations.push_back({"remove_as_of_time", "INVALID_REMOVE_AS_OF_TIME", "The time is in the future."});
  } else {
    request.as_of = *time;
  }
  return request;
}

}  // namespace tailrace::sandbox
