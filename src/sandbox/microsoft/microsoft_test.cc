// Microsoft's contract, one rule per test.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

const std::string kAda = sha256_hex("ada@example.com");
const std::string kBob = sha256_hex("bob@example.com");
const std::string kBase = "/microsoft/CampaignManagement/v13";

class MicrosoftTest : public ::testing::Test {
 protected:
  void SetUp() override {
    client.headers.emplace_back("DeveloperToken", "d");
    client.headers.emplace_back("CustomerAccountId", "1");
    client.headers.emplace_back("CustomerId", "2");
    id = at(create(R"("MembershipDuration":390)"), "AudienceIds.0");
  }
  HttpResponse create(const std::string& more) {
    return client.send("POST", kBase + "/Audiences",
                       R"({"Audiences":[{"Type":"CustomerList","Name":"VIP",)" + more + "}]}");
  }
  HttpResponse apply(const std::string& action, const std::string& items, const std::string& terms = "true",
                     const std::string& type = "Email") {
    return client.send("POST", kBase + "/CustomerListUserData/Apply",
                       R"({"CustomerListUserData":{"AcceptCustomerMatchTerm":)" + terms +
                           R"(,"ActionType":")" + action + R"(","AudienceId":")" + id +
                           R"(","CustomerListItemSubType":")" + type + R"(","CustomerListItems":[)" + items +
                           "]}}");
  }
  HttpResponse query(const std::string& ids) {
    return client.send("POST", kBase + "/Audiences/QueryByIds",
                       R"({"AudienceIds":)" + ids + R"(,"Type":"CustomerList"})");
  }
  static std::string quoted(const std::string& text) { return "\"" + text + "\""; }
  std::string members() { return client.members("microsoft", id); }

  static std::string event(std::int64_t seconds, const std::string& name = "purchase",
                           const std::string& user = R"("externalId":"crm-1")") {
    return fmt::format(
        R"({{"eventType":"custom","eventId":"e-1","eventName":"{}","eventTime":{},"userData":{{{}}}}})", name,
        seconds, user);
  }
  HttpResponse convert(const std::string& events, const std::string& more = "") {
    return client.send("POST", "/microsoft/v1/55/events", R"({"data":[)" + events + "]" + more + "}");
  }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
  std::string id;
};

std::string tag(const std::string& digest) { return "email:" + digest.substr(0, 4); }

// --- The envelope

TEST_F(MicrosoftTest, ATokenIsFetchedAndAnotherIsNotAccepted) {
  const std::string token =
      at(client.send("POST", "/microsoft/token",
                     "grant_type=refresh_token&refresh_token=r&client_id=c&client_secret=s"),
         "access_token");
  client.headers[0].second = "Bearer " + token;
  EXPECT_EQ(query("null").status, 200);
  client.headers[0].second = "Bearer wrong";
  EXPECT_EQ(at(query("null"), "Errors.0.Code"), "109");
}

TEST_F(MicrosoftTest, TheAccountsAndTheDeveloperMustBeNamed) {
  client.headers.pop_back();
  EXPECT_EQ(at(query("null"), "Errors.0.Code"), "105");
}

TEST_F(MicrosoftTest, TooManyCallsAre117) {
  client.control("POST", "/limits", R"({"microsoft_requests_per_minute":1})");
  EXPECT_EQ(at(query("null"), "Errors.0.Code"), "117");
  client.now = client.now + kMinute;
  EXPECT_EQ(query("null").status, 200);
}

// --- Lists

TEST_F(MicrosoftTest, AListHasADurationOf1To390DaysOrNone) {
  EXPECT_EQ(at(create(R"("MembershipDuration":-1)"), "PartialErrors"), "[]");
  EXPECT_EQ(at(create(R"("MembershipDuration":391)"), "AudienceIds"), "[null]");
  EXPECT_EQ(at(create(R"("MembershipDuration":0)"), "PartialErrors.0.Index"), "0");
  EXPECT_EQ(at(query(quoted(id).insert(0, "[") + "]"), "Audiences.0.MembershipDuration"), "390");
}

TEST_F(MicrosoftTest, WithoutIdsAllListsAreTold) {
  create(R"("Scope":"Customer")");
  EXPECT_NE(at(query("null"), "Audiences.1.Id"), "-");
  EXPECT_EQ(at(query(R"(["1"])"), "Audiences"), "[null]");
}

TEST_F(MicrosoftTest, ItemsAreAddedRemovedAndReplaced) {
  apply("Add", quoted(kAda) + "," + quoted(kBob));
  apply("Remove", quoted(kBob));
  EXPECT_EQ(members(), tag(kAda));
  apply("Replace", quoted(kBob));
  EXPECT_EQ(members(), tag(kBob));
}

TEST_F(MicrosoftTest, BadItemsAreNamedAndTheOthersTaken) {
  const HttpResponse response = apply("Add", quoted(kAda) + R"(,"bob@example.com")");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(at(response, "PartialErrors.0.Index"), "1");
  EXPECT_EQ(at(response, "PartialErrors.0.Code"), "8004");
  EXPECT_EQ(at(response, "PartialErrors.1"), "-");
  EXPECT_EQ(members(), tag(kAda));
}

TEST_F(MicrosoftTest, CrmIdsAreTakenPlain) {
  EXPECT_EQ(at(apply("Add", R"("crm-1")", "true", "CRM"), "PartialErrors"), "[]");
  EXPECT_EQ(at(apply("Add", quoted(std::string(101, 'a')), "true", "CRM"), "PartialErrors.0.Code"), "8005");
}

TEST_F(MicrosoftTest, WhatConcernsTheWholeRequestIsAFault) {
  EXPECT_EQ(at(apply("Add", quoted(kAda), "false"), "Errors.0.Code"), "8003");
  EXPECT_EQ(at(apply("Drop", quoted(kAda)), "Errors.0.Code"), "8001");
  EXPECT_EQ(at(apply("Add", quoted(kAda), "true", "Phone"), "Errors.0.Code"), "8002");
  EXPECT_EQ(apply("Add", text_repeated(quoted(kAda), 1000)).status, 200);
  EXPECT_EQ(apply("Add", text_repeated(quoted(kAda), 1001)).status, 400);
  id = "1";
  EXPECT_EQ(at(apply("Add", quoted(kAda)), "Errors.0.Code"), "8000");
}

TEST_F(MicrosoftTest, SizesAreMissingUntilTheListIsProcessedAndLargeEnough) {
  client.control("POST", "/limits", R"({"microsoft_people_min":2,"microsoft_processing_ms":60000})");
  apply("Add", quoted(kAda) + "," + quoted(kBob));
  EXPECT_EQ(at(query("null"), "Audiences.0.SearchSize"), "null");
  client.now = client.now + kMinute;
  EXPECT_EQ(at(query("null"), "Audiences.0.SearchSize"), "2");
  apply("Remove", quoted(kBob));
  client.now = client.now + kMinute;
  EXPECT_EQ(at(query("null"), "Audiences.0.SearchSize"), "null");
}

// --- Conversions

TEST_F(MicrosoftTest, EventsAreKeptOnceByIdAndName) {
  const std::int64_t now = kStart.ms / 1000;
  EXPECT_EQ(at(convert(event(now) + "," + event(now) + "," + event(now, "search")), "eventsReceived"), "3");
  EXPECT_EQ(at(client.control("GET", "/microsoft/events"), "count"), "2");
  EXPECT_EQ(at(client.control("GET", "/microsoft/events"), "repeated"), "1");
}

TEST_F(MicrosoftTest, OneBadEventFailsAllUnlessToldToContinue) {
  const std::int64_t now = kStart.ms / 1000;
  const std::string both = event(now) + "," + event(now - 8 * 86'400);
  const HttpResponse refused = convert(both);
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(at(refused, "error.details.0.index"), "1");
  EXPECT_EQ(at(refused, "error.details.0.errorCode"), "InvalidEventTime");
  EXPECT_EQ(at(client.control("GET", "/microsoft/events"), "count"), "0");
  const HttpResponse taken = convert(both, R"(,"continueOnValidationError":true)");
  EXPECT_EQ(taken.status, 200);
  EXPECT_EQ(at(taken, "eventsReceived"), "1");
}

TEST_F(MicrosoftTest, TenErrorsAreListed) {
  const HttpResponse response = convert(text_repeated(event(0), 12));
  EXPECT_NE(at(response, "error.details.9.index"), "-");
  EXPECT_EQ(at(response, "error.details.10"), "-");
}

TEST_F(MicrosoftTest, EventsNeedSomebodyAndHashes) {
  const std::int64_t now = kStart.ms / 1000;
  const auto code = [&](const std::string& user) {
    return at(convert(event(now, "purchase", user)), "error.details.0.errorCode");
  };
  EXPECT_EQ(code(R"("clientIpAddress":"203.0.113.7")"), "Empty");
  EXPECT_EQ(code(R"("em":"ada@example.com")"), "InvalidSha256");
  const HttpResponse warned = convert(event(now, "purchase", R"("msclkid":"x")"));
  EXPECT_EQ(warned.status, 200);
  EXPECT_EQ(at(warned, "error.details.0.isWarning"), "true");
}

}  // namespace
}  // namespace tailrace::sandbox
