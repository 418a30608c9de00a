// X's contract, one rule per test.
#include "sandbox/x/x.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

const std::string kAda = sha256_hex("ada@example.com");
const std::string kBob = sha256_hex("bob@example.com");
constexpr std::string_view kAccount = "/x/12/accounts/18ce54/custom_audiences";

// Any token: the header's form is looked at, its signature is not.
class XTest : public ::testing::Test {
 protected:
  void SetUp() override {
    client.headers = {{"Authorization", header(kStart)}, {"Content-Type", "application/json"}};
    id = at(client.send("POST", std::string(kAccount) + "?name=VIP&description=the%20best"), "data.id");
    audience = std::string(kAccount) + "/" + id;
  }
  static std::string header(Time now) {
    return fmt::format(
        "OAuth oauth_consumer_key=\"k\", oauth_nonce=\"n\", oauth_signature_method=\"HMAC-SHA1\", "
        "oauth_timestamp=\"{}\", oauth_token=\"t\", oauth_version=\"1.0\", oauth_signature=\"s\"",
        now.ms / 1000);
  }
  static std::string operation(const std::string& type, const std::string& user) {
    return R"({"operation_type":")" + type + R"(","params":{"users":[)" + user + "]}}";
  }
  HttpResponse users(const std::string& operations) {
    return client.send("POST", audience + "/users", "[" + operations + "]");
  }
  HttpResponse add(const std::string& digest) {
    return users(operation("Update", R"({"email":[")" + digest + R"("]})"));
  }
  HttpResponse convert(const std::string& conversion) {
    return client.send("POST", "/x/12/measurement/conversions/o8z6j",
                       R"({"conversions":[)" + conversion + "]}");
  }
  static std::string conversion(const std::string& more = "") {
    return R"({"conversion_time":"2027-01-15T08:00:00.000Z","event_id":"tw-o8z6j-o87ne","identifiers":[{"hashed_email":")" +
           kAda + "\"}]" + more + "}";
  }
  std::string members() { return client.members("x", id); }

  Client client{{.known_share = 1, .seed = 1, .token = ""}};
  std::string id;
  std::string audience;
};

std::string tag(const std::string& digest) { return "email:" + digest.substr(0, 4); }

// --- Signatures

// Signed apart from the connector, by another program: HMAC-SHA1 over the base string of RFC 5849.
TEST(XSignature, MustBeThatOfTheSandboxesSecrets) {
  Client client;
  const auto ask = [&](const std::string& signature, const std::string& url) {
    client.headers = {
        {"Host", "127.0.0.1:9090"},
        {"Authorization",
         "OAuth oauth_consumer_key=\"key\", oauth_nonce=\"abc\", oauth_signature_method=\"HMAC-SHA1\", "
         "oauth_timestamp=\"1800000000\", oauth_token=\"sandbox-token\", oauth_version=\"1.0\", "
         "oauth_signature=\"" +
             signature + "\""}};
    return client.send("GET", url).status;
  };
  EXPECT_EQ(ask("RZzCB8rdKn6md%2FDFr3TEJor%2BADM%3D", "/x/12/accounts/18ce54/custom_audiences?q=a%20b"), 200);
  EXPECT_EQ(ask("RZzCB8rdKn6md%2FDFr3TEJor%2BADM%3D", "/x/12/accounts/18ce54/custom_audiences?q=a"), 401);
  EXPECT_EQ(ask("AAAA", "/x/12/accounts/18ce54/custom_audiences?q=a%20b"), 401);
}

TEST_F(XTest, AHeaderOfAnotherSchemeOrAnotherHourIsRefused) {
  for (const std::string& value : {std::string("Bearer sandbox-token"), std::string("OAuth "),
                                   std::string("OAuth oauth_token=\"t\""), header(kStart - kMinute * 6)}) {
    client.headers = {{"Authorization", value}};
    const HttpResponse response = client.send("GET", audience);
    EXPECT_EQ(response.status, 401) << value;
    EXPECT_EQ(at(response, "errors.0.code"), "UNAUTHORIZED_ACCESS");
  }
}

// --- Audiences

TEST_F(XTest, ANewAudienceIsNotTargetable) {
  const HttpResponse response = client.send("GET", audience);
  EXPECT_EQ(at(response, "data.name"), "VIP");
  EXPECT_EQ(at(response, "data.description"), "the best");
  EXPECT_EQ(at(response, "data.audience_size"), "null");
  EXPECT_EQ(at(response, "data.reasons_not_targetable"), R"(["PROCESSING","TOO_SMALL"])");
}

TEST_F(XTest, NamesAreUniqueInAnAccount) {
  EXPECT_EQ(at(client.send("POST", std::string(kAccount) + "?name=VIP"), "errors.0.parameter"), "name");
  EXPECT_EQ(client.send("POST", "/x/12/accounts/18ce55/custom_audiences?name=VIP").status, 200);
  EXPECT_EQ(at(client.send("POST", std::string(kAccount)), "errors.0.code"), "MISSING_PARAMETER");
}

TEST_F(XTest, AListIsByBeginningsOfNamesAndPaged) {
  client.send("POST", std::string(kAccount) + "?name=vip2");
  client.send("POST", std::string(kAccount) + "?name=other");
  const HttpResponse first = client.send("GET", std::string(kAccount) + "?q=VI&count=1");
  EXPECT_EQ(at(first, "data.0.name"), "VIP");
  EXPECT_EQ(at(first, "data.1"), "-");
  const HttpResponse second =
      client.send("GET", std::string(kAccount) + "?q=VI&count=1&cursor=" + at(first, "next_cursor"));
  EXPECT_EQ(at(second, "data.0.name"), "vip2");
  EXPECT_EQ(at(second, "next_cursor"), "null");
}

TEST_F(XTest, AnAudienceIsRenamed) {
  EXPECT_EQ(at(client.send("PUT", audience + "?name=New"), "data.name"), "New");
  EXPECT_EQ(at(client.send("PUT", std::string(kAccount) + "/nope?name=New"), "errors.0.code"),
            "TAILORED_AUDIENCE_NOT_FOUND");
}

// --- Members

TEST_F(XTest, PeopleAreAddedAndRemovedInOneRequest) {
  const HttpResponse response =
      users(operation("Update", R"({"email":[")" + kAda + R"("]},{"email":[")" + kBob + R"("]})") + "," +
            operation("Delete", R"({"email":[")" + kBob + R"("]})"));
  EXPECT_EQ(at(response, "data.success_count"), "3");
  EXPECT_EQ(at(response, "data.total_count"), "3");
  EXPECT_EQ(members(), tag(kAda));
}

TEST_F(XTest, ARemovalByOneKeyTakesThePersonWhole) {
  users(operation("Update", R"({"email":[")" + kAda + R"("],"partner_user_id":["crm-1"]})"));
  users(operation("Delete", R"({"partner_user_id":["crm-1"]})"));
  EXPECT_EQ(members(), "");
}

TEST_F(XTest, OneBadOperationFailsAllAndIsNamedByItsPlace) {
  const HttpResponse response = users(operation("Update", R"({"email":[")" + kAda + R"("]})") + "," +
                                      operation("Update", R"({"email":["ada@example.com"]})"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(at(response, "operation_errors.0"), "[]");
  EXPECT_EQ(at(response, "operation_errors.1.0.code"), "INVALID_PARAMETER");
  EXPECT_EQ(members(), "");
}

TEST_F(XTest, OperationsHaveTheirForm) {
  for (
      const char* bad :
      {R"({"operation_type":"Replace","params":{"users":[{"partner_user_id":["a"]}]}})",
       R"({"operation_type":"Update"})", R"({"operation_type":"Update","params":{"users":[]}})",
       R"({"operation_type":"Update","params":{"users":[{}]}})",
       R"({"operation_type":"Update","params":{"users":[{"shoe":["a"]}]}})",
       R"({"operation_type":"Update","params":{"users":[{"email":"a"}]}})",
       R"({"operation_type":"Update","params":{"expires_at":"2027-01-15T07:59:59Z","users":[{"partner_user_id":["a"]}]}})",
       R"({"operation_type":"Update","params":{"effective_at":"soon","users":[{"partner_user_id":["a"]}]}})"}) {
    EXPECT_NE(at(users(bad), "operation_errors.0"), "-") << bad;
  }
  EXPECT_EQ(at(client.send("POST", audience + "/users", "{}"), "errors.0.code"), "INVALID_PARAMETER");
}

TEST_F(XTest, AtMost2500Operations) {
  const std::string one = operation("Update", R"({"partner_user_id":["a"]})");
  EXPECT_EQ(users(text_repeated(one, 2500)).status, 200);
  EXPECT_EQ(users(text_repeated(one, 2501)).status, 400);
}

TEST_F(XTest, AnAudienceShowsItsSizeWhenItIsProcessedAndLargeEnough) {
  client.control("POST", "/limits", R"({"x_processing_ms":60000,"x_people_min":2})");
  add(kAda);
  EXPECT_EQ(at(client.send("GET", audience), "data.audience_size"), "null");
  client.now = client.now + kMinute;
  EXPECT_EQ(at(client.send("GET", audience), "data.audience_size"), "1");
  EXPECT_EQ(at(client.send("GET", audience), "data.reasons_not_targetable"), R"(["TOO_SMALL"])");
}

TEST_F(XTest, OverTheMinutesBudgetIs429WithTheTimeOfItsEnd) {
  client.control("POST", "/limits", R"({"x_requests_per_minute":2})");
  add(kAda);
  const HttpResponse response = add(kBob);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(at(response, "errors.0.code"), "TOO_MANY_REQUESTS");
  EXPECT_EQ(response.headers.get("x-rate-limit-reset"), "1800000060");
  EXPECT_EQ(members(), tag(kAda));
}

// --- Conversions

TEST_F(XTest, ConversionsAreKeptOnceByTheirId) {
  const HttpResponse response =
      convert(conversion(R"(,"conversion_id":"order-1","value":"30.50","number_items":2)"));
  EXPECT_EQ(at(response, "data.conversions_processed"), "1");
  convert(conversion(R"(,"conversion_id":"order-1")"));
  const HttpResponse events = client.control("GET", "/x/events");
  EXPECT_EQ(at(events, "count"), "1");
  EXPECT_EQ(at(events, "repeated"), "1");
  EXPECT_EQ(at(events, "events.0.conversion_id"), "order-1");
  client.now = client.now + kHour * 48;
  client.headers = {{"Authorization", header(client.now)}};
  convert(conversion(R"(,"conversion_id":"order-1")"));
  EXPECT_EQ(at(client.control("GET", "/x/events"), "count"), "2");
}

TEST_F(XTest, AConversionNeedsMoreThanAnAddress) {
  EXPECT_EQ(
      convert(
          R"({"conversion_time":"2027-01-15T08:00:00Z","event_id":"o87ne","identifiers":[{"ip_address":"203.0.113.7","user_agent":"a"}]})")
          .status,
      400);
  EXPECT_EQ(
      convert(
          R"({"conversion_time":"2027-01-15T08:00:00Z","event_id":"o87ne","identifiers":[{"twclid":"a"},{"ip_address":"203.0.113.7","user_agent":"a"}]})")
          .status,
      200);
}

TEST_F(XTest, ConversionsHaveTheirForm) {
  EXPECT_EQ(at(convert(conversion(R"(,"value":30.5)")), "errors.0.parameter"), "value");
  EXPECT_EQ(at(convert(conversion(R"(,"number_items":0)")), "errors.0.parameter"), "number_items");
  EXPECT_EQ(at(convert(R"({"conversion_time":"x"})"), "errors.0.parameter"), "conversion_time");
  EXPECT_EQ(
      convert(
          R"({"conversion_time":"2027-01-15T08:00:00Z","event_id":"tw-other-o87ne","identifiers":[{"twclid":"a"}]})")
          .status,
      404);
  EXPECT_EQ(convert(text_repeated(conversion(), 500)).status, 200);
  EXPECT_EQ(convert(text_repeated(conversion(), 501)).status, 400);
}

}  // namespace
}  // namespace tailrace::sandbox
