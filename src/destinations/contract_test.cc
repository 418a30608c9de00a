// What holds for every destination in the registry.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destinations/audience_destination.h"
#include "destinations/conversion.h"
#include "destinations/event_destination.h"
#include "destinations/list_kinds.h"
#include "model/json.h"
#include "support/golden.h"
#include "support/source_dir.h"

namespace tailrace::destinations {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr Time kNow{1'772'359'200'000};  // 2026-03-01T10:00:00Z
constexpr std::string_view kToken = "fetched-example-token";
// No status of a server makes a destination show these.
constexpr std::string_view kRawEmail = "ada.lovelace@example.com";
constexpr std::string_view kRawPhone = "+442079460018";

// A value for every secret and setting that must be given and has no example of its own, by name.
const std::map<std::string, std::string>& example_values() {
  static const std::map<std::string, std::string> kValues{
      {"ad_account_id", "1234567890"},
      {"operating_account_id", "1234567890"},
      {"url", "https://hooks.example.com/tailrace"},
      {"access_token", "secret-access-token"},
      {"app_secret", "secret-app-secret"},
      {"client_id", "secret-client-id"},
      {"client_secret", "secret client&secret"},
      {"refresh_token", "1//secret-refresh"},
      {"project_token", "secret-project-token"},
      {"project_api_key", "secret-project-key"},
      {"write_key", "secret-write-key"},
      {"site_id", "secret-site-id"},
      {"api_key", "secret-api-key"},
      {"api_secret", "secret-api-secret"},
      {"secret_key", "secret-secret-key"},
      {"secret", "whsec_YW4gZXhhbXBsZSBzZWNyZXQgb2YgMzIgYnl0ZXMhISE="},
  };
  return kValues;
}

class Contract : public ::testing::TestWithParam<const AudienceDestination*> {
 protected:
  Contract() : destination_(*GetParam()) {
    for (const Setting& setting : destination_.settings()) {
      if (!setting.example.empty()) {
        (setting.secret ? config_.secrets : config_.settings)[std::string(setting.name)] = setting.example;
        continue;
      }
      const auto value = example_values().find(std::string(setting.name));
      if (value == example_values().end()) {
        EXPECT_FALSE(setting.required) << "example_values() lacks " << setting.name;
      } else {
        (setting.secret ? config_.secrets : config_.settings)[value->first] = value->second;
      }
    }
    fill_defaults(destination_, config_);
    config_.audience_name = "VIP";
    config_.audience_description = "the best";
  }

  Context context() const { return {config_, kToken, kNow}; }

  static std::string raw_value(IdentifierKind kind, std::size_t number) {
    switch (kind) {
      case IdentifierKind::email:
        return std::string(kRawEmail);
      case IdentifierKind::phone:
        return std::string(kRawPhone);
      case IdentifierKind::idfa:
      case IdentifierKind::aaid:
        return fmt::format("aece52e7-03ee-455a-b3c4-{:012x}", number + 1);
      case IdentifierKind::external_id:
      case IdentifierKind::anonymous_id:
        break;
    }
    return fmt::format("id-{}", number);
  }

  // Whether it matches on the kind, as it is configured.
  bool takes(IdentifierKind kind) const {
    return destination_.normalise(kind, raw_value(kind, 1), config_).has_value();
  }

  Member person(std::size_t number) const {
    Member member;
    member.person = fmt::format("crm-{}", number);
    member.changed_at = kNow - kSecond;
    for (const IdentifierKind kind : destination_.identifiers()) {
      if (destination_.one_kind_a_request() && !member.identifiers.empty()) break;
      if (!misfit(destination_, kind, config_).empty()) continue;
      // Nobody ordinary has two telephones.
      const bool has_idfa =
          !member.identifiers.empty() && member.identifiers.back().kind == IdentifierKind::idfa;
      if (kind == IdentifierKind::aaid && has_idfa) continue;
      member.identifiers.push_back(
          destination_.normalise(kind, raw_value(kind, number), config_).value().upload);
    }
    return member;
  }

  std::vector<Member> people(std::size_t count) const {
    std::vector<Member> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back(person(i));
    return result;
  }

  static Batch batch_of(const std::vector<Member>& members, BatchKind kind = BatchKind::add) {
    return {.kind = kind, .audience_id = "2384", .id = 7, .members = members};
  }

  // A Reply keeps the promises of its header whatever the answer was.
  static void expect_well_formed(const Reply& reply, const Batch& batch, const std::string& what) {
    switch (reply.verdict) {
      case Reply::Verdict::done:
        EXPECT_EQ(reply.outcomes.size(), batch.members.size()) << what;
        break;
      case Reply::Verdict::split:
        EXPECT_GT(batch.members.size(), 1u) << what << ": a batch of one cannot be halved";
        EXPECT_TRUE(reply.outcomes.empty() || reply.outcomes.size() == batch.members.size()) << what;
        EXPECT_NE(reply.reason, "") << what;
        break;
      case Reply::Verdict::retry:
      case Reply::Verdict::reauthorise:
      case Reply::Verdict::stop:
        EXPECT_TRUE(reply.outcomes.empty()) << what;
        EXPECT_NE(reply.reason, "") << what;
        break;
    }
    for (const Outcome& outcome : reply.outcomes)
      EXPECT_EQ(outcome.reason.empty(), outcome.kind == Outcome::Kind::accepted) << what;
    if (reply.retry_after) {
      EXPECT_GE(*reply.retry_after, Millis{0}) << what;
      EXPECT_LE(*reply.retry_after, kDay) << what;
    }
  }

  Reply decode(const Batch& batch, int status, const std::string& body, HttpHeaders headers = {}) const {
    const Reply reply = destination_.decode(batch, {status, std::move(headers), body});
    expect_well_formed(reply, batch, fmt::format("HTTP {}: {}", status, body.substr(0, 80)));
    return reply;
  }

  const AudienceDestination& destination_;
  Config config_;
};

TEST_P(Contract, is_found_by_its_type_and_has_names_that_differ) {
  EXPECT_EQ(find(destination_.type()), &destination_);
  EXPECT_NE(destination_.title(), "");
  std::set<std::string_view> names;
  for (const Setting& setting : destination_.settings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_NE(setting.about, "") << setting.name;
    EXPECT_TRUE(!setting.secret || setting.default_value.empty()) << setting.name;
  }
}

TEST_P(Contract, its_defaults_and_examples_are_free_of_problems) {
  EXPECT_EQ(destination_.check(config_), std::vector<std::string>());
}

TEST_P(Contract, checks_without_the_values_of_secrets) {
  for (auto& [name, value] : config_.secrets) value.clear();
  EXPECT_EQ(destination_.check(config_), std::vector<std::string>());
}

TEST_P(Contract, refuses_urls_that_would_send_tokens_in_the_clear_or_hold_them) {
  for (const Setting& setting : destination_.settings()) {
    if (!setting.name.ends_with("url")) continue;
    std::string& url = config_.settings[std::string(setting.name)];
    for (const auto* good : {"https://example.com", "https://example.com:8443/a/",
                             "http://127.0.0.1:9090/meta", "http://localhost/x", "http://[::1]:9090"}) {
      url = good;
      EXPECT_EQ(destination_.check(config_), std::vector<std::string>()) << good;
    }
    for (const auto* bad : {"http://example.com", "http://127.0.0.1.example.com",
                            "http://localhost@example.com", "ftp://example.com", "https://", "https://:443/",
                            "https://user:word@example.com", "https://example.com/a b",
                            "https://example.com/\r\nHost: x", "https://example.com/#a", "example.com"}) {
      url = bad;
      EXPECT_EQ(destination_.check(config_).size(), 1u) << bad;
    }
    url = "https://example.com";
  }
}

TEST_P(Contract, takes_lower_limits_only) {
  if (destination_.limits().batch_records_max == 0) return;
  // A receiver of ours begins below what it may be set to.
  const std::uint32_t ceiling = std::max(destination_.limits().batch_records_max, 10'000u);
  const std::string above = fmt::format("{}", ceiling + 1);
  for (const std::string& bad : {std::string("0"), std::string("-1"), above, std::string("many"),
                                 std::string("1e3"), std::string("99999999999999")}) {
    config_.settings["batch_records_max"] = bad;
    EXPECT_EQ(destination_.check(config_).size(), 1u) << bad;
  }
  config_.settings["batch_records_max"] = "1";
  EXPECT_TRUE(destination_.check(config_).empty());
}

TEST_P(Contract, encodes_the_same_bytes_twice) {
  const auto members = people(3);
  for (const BatchKind kind : {BatchKind::add, BatchKind::remove}) {
    const HttpRequest once = destination_.encode(batch_of(members, kind), context());
    const HttpRequest twice = destination_.encode(batch_of(members, kind), context());
    EXPECT_EQ(once.method, twice.method);
    EXPECT_EQ(once.url, twice.url);
    EXPECT_EQ(once.headers, twice.headers);
    EXPECT_EQ(once.body, twice.body);
  }
}

TEST_P(Contract, a_resend_later_has_the_same_body) {
  const auto members = people(2);
  const Context later{config_, "another-token", kNow + kHour};
  EXPECT_EQ(destination_.encode(batch_of(members), context()).body,
            destination_.encode(batch_of(members), later).body);
}

TEST_P(Contract, its_body_is_json_and_fits_its_limits_when_full) {
  const Limits limits = destination_.limits();
  ASSERT_GT(limits.batch_records_max, 0u);
  const auto members = people(limits.batch_records_max);
  for (const BatchKind kind : {BatchKind::add, BatchKind::remove}) {
    const HttpRequest request = destination_.encode(batch_of(members, kind), context());
    EXPECT_TRUE(parse_json(request.body).has_value());
    EXPECT_THAT(std::string(request.headers.get("content-type").value_or("")),
                ::testing::AnyOf("application/json", "application/vnd.api+json"));
    if (limits.batch_bytes_max > 0) {
      EXPECT_LE(request.body.size(), limits.batch_bytes_max);
    }
  }
}

TEST_P(Contract, refuses_identifiers_that_its_audience_does_not_hold) {
  for (const IdentifierKind kind : destination_.identifiers()) {
    if (misfit(destination_, kind, config_).empty()) continue;
    EXPECT_FALSE(takes(kind)) << to_string(kind);
  }
  const auto held = held_kinds(destination_, config_);
  EXPECT_TRUE(std::ranges::any_of(held, [&](IdentifierKind kind) { return takes(kind); }));
}

TEST_P(Contract, an_ordinary_person_is_one_record) { EXPECT_EQ(destination_.records(person(1)), 1u); }

TEST_P(Contract, uploads_hashes_and_nothing_raw_where_it_hashes) {
  ASSERT_TRUE(takes(IdentifierKind::email) || takes(IdentifierKind::external_id));
  for (const IdentifierKind kind :
       {IdentifierKind::email, IdentifierKind::phone, IdentifierKind::idfa, IdentifierKind::aaid}) {
    if (!takes(kind)) continue;
    const std::string raw = raw_value(kind, 1);
    const UploadIdentifier upload = destination_.normalise(kind, raw, config_).value().upload;
    const std::vector<Member> members{{"crm-1", {upload}, kNow - kSecond}};
    const std::string body = destination_.encode(batch_of(members), context()).body;
    EXPECT_THAT(body, HasSubstr(upload.value));
    if (!upload.hashed) continue;
    EXPECT_THAT(upload.value, ::testing::MatchesRegex("[0-9a-f]+"));
    EXPECT_EQ(upload.value.size(), 64u);
    for (const std::string& hidden : {raw, raw.substr(1), std::string("example.com\""), std::string("crm-")})
      EXPECT_THAT(body, Not(HasSubstr(hidden)));
  }
}

TEST_P(Contract, normalises_an_already_hashed_value_by_passing_it_in_lower_case) {
  for (const IdentifierKind kind : {IdentifierKind::email, IdentifierKind::phone}) {
    if (!takes(kind) || !destination_.normalise(kind, raw_value(kind, 1), config_)->upload.hashed) continue;
    const auto result = destination_.normalise(kind, " " + std::string(64, 'A') + " ", config_).value();
    EXPECT_EQ(result.upload.value, std::string(64, 'a'));
    EXPECT_TRUE(result.upload.hashed);
  }
}

TEST_P(Contract, refuses_identifiers_without_repeating_them) {
  for (const auto kind : {IdentifierKind::external_id, IdentifierKind::anonymous_id, IdentifierKind::email,
                          IdentifierKind::phone}) {
    for (const std::string& raw : {std::string(), std::string(" "), std::string("zq\xff@example.com"),
                                   std::string(3 << 20, 'z'), std::string("zq\0zq", 5)}) {
      const auto result = destination_.normalise(kind, raw, config_);
      ASSERT_FALSE(result.has_value()) << to_string(kind);
      EXPECT_EQ(result.error().code, Error::Code::invalid_argument);
      EXPECT_THAT(result.error().message, Not(HasSubstr("zq")));
      EXPECT_LT(result.error().message.size(), 80u);
    }
  }
}

TEST_P(Contract, an_audience_id_cannot_leave_its_place_in_the_url) {
  const auto members = people(1);
  Batch batch = batch_of(members);
  batch.audience_id = "../me?fields=id#x y\r\nHost: example.org";
  for (const std::string& url : {destination_.encode(batch, context()).url,
                                 destination_.encode_measure(batch.audience_id, context())
                                     .value_or(HttpRequest{"GET", "https://example.com", {}, ""})
                                     .url}) {
    EXPECT_THAT(url, Not(HasSubstr("../me")));
    EXPECT_EQ(url.find_first_of(" \r\n#"), std::string::npos) << url;
  }
}

TEST_P(Contract, judges_answers_by_their_status) {
  const auto members = people(4);
  const Batch batch = batch_of(members);
  using Verdict = Reply::Verdict;
  for (const std::string body : {"", "<html>no</html>", "{", "[]", "null", "\"x\"", "{\"error\":"}) {
    for (const int status : {408, 429, 500, 502, 503, 504, 599}) {
      // A 408 in HTML says that the platform's front is busy; every destination tries again.
      EXPECT_EQ(decode(batch, status, body).verdict, Verdict::retry) << status << " " << body;
    }
    EXPECT_THAT(decode(batch, 401, body).verdict, ::testing::AnyOf(Verdict::reauthorise, Verdict::stop));
    EXPECT_EQ(decode(batch, 403, body).verdict, Verdict::stop);
    EXPECT_EQ(decode(batch, 302, body).verdict, Verdict::stop);
    EXPECT_EQ(decode(batch, 413, body).verdict, Verdict::split);
    EXPECT_EQ(decode(batch, 0, body).verdict, Verdict::retry);
  }
}

TEST_P(Contract, follows_retry_after_within_reason) {
  const auto members = people(2);
  const auto wait = [&](const std::string& value) {
    return decode(batch_of(members), 503, "", {{"Retry-After", value}}).retry_after;
  };
  EXPECT_EQ(wait("90"), kSecond * 90);
  EXPECT_EQ(wait("99999999999"), kDay);
  EXPECT_EQ(wait("-5"), Millis{0});
  EXPECT_EQ(wait("soon"), std::nullopt);
}

TEST_P(Contract, survives_answers_that_make_no_sense) {
  const auto members = people(3);
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  for (const std::string& body :
       {std::string("{\"error\":null}"), std::string("{\"error\":[]}"),
        std::string("{\"error\":{\"code\":\"x\"}}"),
        std::string("{\"error\":{\"code\":1e300,\"error_subcode\":-1,\"details\":7}}"),
        std::string("{\"error\":{\"details\":[null,{\"@type\":5,\"fieldViolations\":{}},{\"fieldViolations\":"
                    "[0]}]}}"),
        std::string("{\"num_received\":-1,\"num_invalid_entries\":-1}"),
        std::string("{\"num_received\":9e18,\"num_invalid_entries\":9e18}"), std::string("{\"requestId\":7}"),
        std::string("{\"id\":{}}"), std::string("{\"sessions\":{\"data\":[1,{\"session_id\":2}]}}"), deep,
        std::string("\0\xff\xfe", 3)}) {
    for (const int status : {-1, 0, 100, 200, 204, 299, 400, 404, 418, 499, 500, 1000}) {
      for (const std::size_t count : {0u, 1u, 3u}) {
        Batch batch = batch_of(members);
        batch.members = batch.members.first(count);
        decode(batch, status, body,
               {{"X-Business-Use-Case-Usage", body}, {"Retry-After", body}, {"Date", body}});
      }
      const HttpResponse response{status, {}, body};
      const auto created = destination_.decode_create(response);
      EXPECT_NE(created.value_or("none"), "");
      const auto measured = destination_.decode_measure(response);
      if (measured && measured->match_rate) {
        EXPECT_GE(*measured->match_rate, 0.0);
        EXPECT_LE(*measured->match_rate, 1.0);
      }
      const auto token = destination_.decode_token(response, kNow);
      EXPECT_GT(token.value_or(Token{"", kNever}).expires_at, kNow);
    }
  }
}

TEST_P(Contract, repeats_nothing_of_an_answer_that_may_be_an_identifier_or_a_secret) {
  const auto members = people(2);
  const std::string words = fmt::format("{} {} {}", kRawEmail, kRawPhone, kToken);
  const std::string body = fmt::format(
      R"({{"error":{{"code":100,"message":"schema {0}","status":"{0}","error_user_msg":"{0}","details":[)"
      R"({{"@type":"ErrorInfo","reason":"{0}","metadata":{{"quota_limit":"{0}"}}}},)"
      R"({{"fieldViolations":[{{"field":"audience_members[0] {0}","reason":"{0}","description":"{0}"}}]}}]}}}})",
      words);
  for (const int status : {200, 400, 401, 403, 404, 429, 500}) {
    const Reply reply = decode(batch_of(members), status, body);
    std::string shown = reply.reason + reply.code;
    for (const Outcome& outcome : reply.outcomes) shown += outcome.reason;
    const HttpResponse response{status, {}, body};
    if (const auto created = destination_.decode_create(response); !created) shown += created.error().message;
    if (const auto measured = destination_.decode_measure(response); !measured)
      shown += measured.error().message;
    if (const auto token = destination_.decode_token(response, kNow); !token) shown += token.error().message;
    for (const std::string_view hidden : {kRawEmail, kRawPhone, kToken})
      EXPECT_THAT(shown, Not(HasSubstr(std::string(hidden)))) << status;
  }
}

TEST_P(Contract, masked_requests_hold_no_secret) {
  const auto members = people(1);
  std::vector<HttpRequest> requests{destination_.encode(batch_of(members), context())};
  if (auto request = destination_.encode_create(context())) requests.push_back(*request);
  if (auto request = destination_.encode_measure("2384", context())) requests.push_back(*request);
  if (auto request = destination_.encode_token(config_, kNow)) requests.push_back(*request);
  for (const HttpRequest& request : requests) {
    const HttpRequest shown = masked(request, config_);
    std::string text = shown.url + "\n" + shown.body;
    for (const auto& [name, value] : shown.headers) text += "\n" + name + ": " + value;
    EXPECT_THAT(text, Not(HasSubstr("secret-")));
    EXPECT_THAT(text, Not(HasSubstr("secret%20")));
    EXPECT_THAT(text, Not(HasSubstr(std::string(kToken))));
    EXPECT_THAT(text, Not(HasSubstr("v1,")));
    EXPECT_THAT(text, Not(::testing::ContainsRegex("appsecret_proof=[0-9a-f]")));
    EXPECT_THAT(text, HasSubstr("***"));
    EXPECT_EQ(shown.method, request.method);
    EXPECT_EQ(shown.headers.size(), request.headers.size());
  }
}

TEST(Masked, hides_every_spelling_of_a_secret_and_keeps_the_rest) {
  Config config;
  config.secrets = {
      {"a", "to\"ken/1"}, {"b", "first-part second-part"}, {"c", ""}, {"d", "to\"ken/1-longer"}};
  HttpRequest request{"POST",
                      "https://example.com/to%22ken%2F1?x=1&access_token=abc&keyword=kept#end",
                      {{"AUTHORIZATION", "Bearer unknown"}, {"X-Other", "second-part!"}, {"X-Kept", "kept"}},
                      R"({"t":"to\"ken/1-longer","e":"kept","assertion=kept":1})"};
  const HttpRequest shown = masked(request, config);
  EXPECT_EQ(shown.url, "https://example.com/***?x=1&access_token=***&keyword=kept#end");
  EXPECT_EQ(shown.body, R"({"t":"***","e":"kept","assertion=kept":1})");
  EXPECT_EQ(shown.headers, (HttpHeaders{{"AUTHORIZATION", "***"}, {"X-Other", "***!"}, {"X-Kept", "kept"}}));
}

TEST(Masked, ends_even_when_a_secret_is_the_mask) {
  Config config;
  config.secrets = {{"a", "*"}};
  EXPECT_EQ(masked({"GET", "https://example.com/*", {}, ""}, config).url, "https://example.com/***");
}

TEST(Registry, knows_no_other) { EXPECT_EQ(find("facebook"), nullptr); }

class Reference : public ::testing::TestWithParam<const Destination*> {};

TEST_P(Reference, page_is_what_the_description_says) {
  testing::expect_file(fmt::format("{}/docs/destinations/{}.md", testing::source_dir(), GetParam()->type()),
                       reference_markdown(*GetParam()));
}

// What holds for every destination that takes events.
class EventContract : public ::testing::TestWithParam<const EventDestination*> {
 protected:
  EventContract() : destination_(*GetParam()) {
    for (const Setting& setting : destination_.settings()) {
      auto& values = setting.secret ? config_.secrets : config_.settings;
      const std::string name(setting.name);
      const auto value = example_values().find(name);
      if (!setting.example.empty()) {
        values[name] = setting.example;
      } else if (value != example_values().end() && (setting.required || setting.secret)) {
        values[name] = value->second;
      } else {
        EXPECT_FALSE(setting.required) << setting.name << " has no example";
      }
    }
    fill_defaults(destination_, config_);
  }

  // Somebody of whom everything is known.
  static Conversion conversion(std::string_view name, std::size_t number = 1) {
    Conversion all;
    all.person = "crm-1";
    all.event = "Order Completed";
    all.name = std::string(name);
    all.id = fmt::format("m-{}", number);
    all.message_id = all.id;
    all.properties = all.context = all.traits = Value::with(Value::Kind::object);
    all.at = kNow - kMinute;
    all.url = "https://shop.example/done";
    all.value = Number::decimal(3050, 2);
    all.currency = "EUR";
    all.order_id = fmt::format("order-{}", number);
    all.items = {{.id = "sku1", .name = "Mug", .category = "Kitchen", .brand = "", .price = all.value}};
    all.user = {{Field::email, std::string(kRawEmail)},
                {Field::phone, std::string(kRawPhone)},
                {Field::external_id, "crm-1"},
                {Field::anonymous_id, "b171a9b0-6ce0-11ec-afcd-1b209be8601b"},
                {Field::first_name, "Adalbertine"},
                {Field::last_name, "Lovelacelike"},
                {Field::date_of_birth, "1990-07-05"},
                {Field::gender, "female"},
                {Field::city, "Northwichham"},
                {Field::state, "CA"},
                {Field::postal_code, "94025"},
                {Field::country, "US"},
                {Field::idfa, "aece52e7-03ee-455a-b3c4-e57283966239"},
                {Field::ip_address, "203.0.113.7"},
                {Field::user_agent, "Mozilla/5.0"},
                {Field::fbc, "fb.1.1772359140000.AbC"},
                {Field::gclid, "TeSter-123"},
                {Field::ttclid, "E.C.P.1"},
                {Field::sc_click_id, "sc-1"},
                {Field::epik, "dj0yJnU9"},
                {Field::li_fat_id, "df5gf5-gh6t7-ph4j7h-fgf6n1"},
                {Field::msclkid, "dd4afccc-b1c9-4a4c-ad95-44dd7e5006ab"},
                {Field::rdt_cid, "1234567890abcdef"},
                {Field::twclid, "23opevjt88psuo13lu8d020qkn"}};
    return all;
  }

  // One that it takes.
  std::string_view name() const {
    return destination_.events().empty() ? "Order Completed" : destination_.events()[0].name;
  }

  std::string event(std::size_t number = 1) const {
    const auto encoded = to_event(destination_, conversion(name(), number), {config_, kNow});
    EXPECT_TRUE(encoded.has_value()) << (encoded ? ""
                                                 : encoded.error().field + ": " + encoded.error().reason);
    return encoded.value_or("{}");
  }

  Reply decode(std::size_t events, int status, const std::string& body) const {
    const Reply reply = destination_.decode(events, {status, {}, body});
    if (reply.verdict == Reply::Verdict::done) {
      EXPECT_EQ(reply.outcomes.size(), events) << status << body;
    }
    if (reply.verdict == Reply::Verdict::split) {
      EXPECT_GT(events, 1u) << "one event cannot be halved";
      EXPECT_TRUE(reply.outcomes.empty() || reply.outcomes.size() == events);
    }
    for (const Outcome& outcome : reply.outcomes)
      EXPECT_EQ(outcome.reason.empty(), outcome.kind == Outcome::Kind::accepted) << status << body;
    return reply;
  }

  Context context() const { return {config_, kToken, kNow}; }
  const EventDestination& destination_;
  Config config_;
};

TEST_P(EventContract, its_settings_and_examples_are_free_of_problems) {
  EXPECT_EQ(destination_.check(config_), std::vector<std::string>());
}

TEST_P(EventContract, names_an_event_of_its_own_for_each_of_ours_once) {
  std::set<std::string_view> ours;
  for (const EventName& each : destination_.events()) {
    EXPECT_TRUE(ours.insert(each.event).second) << each.event;
    EXPECT_NE(each.name, "");
  }
  const bool takes_orders = ours.contains("Order Completed") || ours.contains("Order Cancelled");
  EXPECT_TRUE(takes_orders || destination_.takes_every_event());
}

TEST_P(EventContract, an_event_is_json_and_the_same_bytes_twice) {
  EXPECT_TRUE(parse_json(event()).has_value()) << event();
  EXPECT_EQ(event(), event());
  // A message to people need not say which event it was.
  if (!destination_.fields().empty()) {
    EXPECT_NE(event(1), event(2));
  }
}

TEST_P(EventContract, what_it_hashes_stands_nowhere_in_the_clear) {
  const std::string text = event();
  for (const auto& [field, raw] : conversion("").user) {
    const FieldRule* rule = find_rule(destination_.fields(), field);
    if (rule == nullptr || rule->hashing == Hashing::none || raw.size() < 8) continue;
    EXPECT_THAT(text, Not(HasSubstr(raw))) << to_string(field);
  }
  // Only messaging tools are told addresses and numbers as they are.
  const auto asks_for = [&](Field field) {
    const FieldRule* rule = find_rule(destination_.fields(), field);
    return rule != nullptr && rule->hashing == Hashing::none;
  };
  if (!asks_for(Field::email)) {
    EXPECT_THAT(text, Not(HasSubstr(std::string(kRawEmail))));
  }
  if (!asks_for(Field::phone)) {
    EXPECT_THAT(text, Not(HasSubstr(std::string(kRawPhone).substr(1))));
  }
}

TEST_P(EventContract, a_full_batch_is_json_and_keeps_its_limits) {
  const Limits limits = destination_.limits();
  ASSERT_GT(limits.batch_records_max, 0u);
  std::vector<std::string> events;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < limits.batch_records_max; ++i) {
    std::string one = event(i);
    bytes += one.size() + 1;
    if (limits.batch_bytes_max > 0 && bytes > limits.batch_bytes_max) break;
    events.push_back(std::move(one));
  }
  const HttpRequest request = destination_.encode(events, context());
  EXPECT_TRUE(parse_json(request.body).has_value());
  const HttpRequest again = destination_.encode(events, context());
  EXPECT_EQ(request.body, again.body);
  EXPECT_EQ(request.url, again.url);
}

TEST_P(EventContract, refuses_what_must_never_be_sent) {
  const auto refused = [&](const char* what, auto change) {
    Conversion wrong = conversion(name());
    change(wrong);
    const auto encoded = to_event(destination_, wrong, {config_, kNow});
    ASSERT_FALSE(encoded.has_value()) << what;
    EXPECT_NE(encoded.error().reason, "") << what;
  };
  refused("in the future", [](Conversion& c) { c.at = kNow + kDay; });
  refused("not mapped", [](Conversion& c) { c.name.clear(); });
  if (destination_.rules().age_max.count > 0)
    refused("too old", [&](Conversion& c) { c.at = kNow - destination_.rules().age_max - kSecond; });
  if (!destination_.rules().identified_by.empty()) refused("nobody", [](Conversion& c) { c.user.clear(); });
  // What analytics are told is for the sync to say: its `consent`, its conditions.
  if (destination_.takes_every_event()) return;
  refused("negative value", [](Conversion& c) { c.value = Number::integer(-1); });
  refused("no such currency", [](Conversion& c) { c.currency = "XQQ"; });
  refused("no consent", [](Conversion& c) { c.ads_consent = false; });
  for (const char* currency : {"GBP", "USD", "JPY", "CHF", "SEK", "PLN", "BRL", "INR", "AED"}) {
    Conversion sold = conversion(name());
    sold.currency = currency;
    EXPECT_TRUE(to_event(destination_, sold, {config_, kNow}).has_value()) << currency;
  }
}

TEST_P(EventContract, masked_requests_hold_no_secret) {
  const std::vector<std::string> events{event()};
  const HttpRequest shown = masked(destination_.encode(events, context()), config_);
  std::string text = shown.url + "\n" + shown.body;
  for (const auto& [name, value] : shown.headers) text += "\n" + name + ": " + value;
  for (const auto& [name, value] : config_.secrets) {
    EXPECT_THAT(text, Not(HasSubstr(value))) << name;
  }
  EXPECT_THAT(text, Not(HasSubstr("v1,")));
}

TEST_P(EventContract, a_secret_that_is_not_at_hand_is_no_problem) {
  for (auto& [name, value] : config_.secrets) value.clear();
  EXPECT_EQ(destination_.check(config_), std::vector<std::string>());
}

TEST_P(EventContract, every_answer_has_a_meaning) {
  for (const std::size_t events : {std::size_t{1}, std::size_t{3}}) {
    for (const std::string body : {"", "{}", "[]", "<html>busy</html>", R"({"error":"x"})", R"({"data":)"}) {
      for (const int status : {200, 201, 204, 302, 400, 401, 403, 404, 410, 413, 422, 429, 500, 502, 503})
        decode(events, status, body);
      EXPECT_EQ(decode(events, 429, body).verdict, Reply::Verdict::retry) << body;
      EXPECT_EQ(decode(events, 503, body).verdict, Reply::Verdict::retry) << body;
      EXPECT_NE(decode(events, 401, body).verdict, Reply::Verdict::done) << body;
      EXPECT_NE(decode(events, 403, body).verdict, Reply::Verdict::done) << body;
    }
  }
}

const auto kTypeOf = [](const auto& test) { return std::string(test.param->type()); };
INSTANTIATE_TEST_SUITE_P(Destinations, Contract, ::testing::ValuesIn(audience_destinations()), kTypeOf);
INSTANTIATE_TEST_SUITE_P(Destinations, EventContract, ::testing::ValuesIn(event_destinations()), kTypeOf);
INSTANTIATE_TEST_SUITE_P(Destinations, Reference, ::testing::ValuesIn(registry().begin(), registry().end()),
                         kTypeOf);

}  // namespace
}  // namespace tailrace::destinations
