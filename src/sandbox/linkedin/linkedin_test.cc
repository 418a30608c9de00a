// LinkedIn's contract, one rule per test.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

const std::string kAda = sha256_hex("ada@example.com");
const std::string kBob = sha256_hex("bob@example.com");

std::string element(const std::string& action, const std::string& hash) {
  return fmt::format(R"({{"action":"{}","userIds":[{{"idType":"SHA256_EMAIL","idValue":"{}"}}]}})", action,
                     hash);
}

class LinkedinTest : public ::testing::Test {
 protected:
  void SetUp() override {
    client.headers = {{"Authorization", "Bearer sandbox-token"},
                      {"LinkedIn-Version", "202607"},
                      {"X-Restli-Protocol-Version", "2.0.0"},
                      {"X-RestLi-Method", "BATCH_CREATE"}};
    const HttpResponse created = create("VIP");
    id = created.headers.get("x-linkedin-id").value_or("");
    client.now = client.now + kSecond * 5;
  }

  HttpResponse create(const std::string& name) {
    return client.send(
        "POST", "/linkedin/rest/dmpSegments",
        fmt::format(
            R"({{"name":"{0}","sourcePlatform":"EXAMPLE","sourceSegmentId":"{0}",)"
            R"("account":"urn:li:sponsoredAccount:55","type":"USER","destinations":[{{"destination":"LINKEDIN"}}]}})",
            name));
  }
  HttpResponse upload(const std::string& elements) {
    return client.send("POST", "/linkedin/rest/dmpSegments/" + id + "/users",
                       R"({"elements":[)" + elements + "]}");
  }
  std::string of_segment(const std::string& field) {
    return at(client.send("GET", "/linkedin/rest/dmpSegments/" + id), "destinations.0." + field);
  }
  std::string members() { return client.members("linkedin", id); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
  std::string id;
};

TEST_F(LinkedinTest, ANewSegmentTakesPeopleAfterSomeSeconds) {
  const HttpResponse made = create("Lapsed");
  EXPECT_EQ(made.status, 201);
  id = made.headers.get("x-linkedin-id").value_or("");
  EXPECT_EQ(upload(element("ADD", kAda)).status, 404);
  client.now = client.now + kSecond * 5;
  EXPECT_EQ(upload(element("ADD", kAda)).status, 200);
}

TEST_F(LinkedinTest, EveryElementIsAnsweredInItsOrder) {
  const HttpResponse answer = upload(element("ADD", kAda) + "," + element("ADD", "ada@example.com") + "," +
                                     element("KEEP", kBob) + "," + element("ADD", kBob));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(at(answer, "elements.0.status"), "201");
  EXPECT_EQ(at(answer, "elements.1.status"), "400");
  EXPECT_EQ(at(answer, "elements.2.status"), "400");
  EXPECT_EQ(at(answer, "elements.3.status"), "201");
  EXPECT_EQ(at(client.control("GET", "/audiences"), "audiences.0.size"), "2");
}

TEST_F(LinkedinTest, AdditionsAndRemovalsMix) {
  upload(element("ADD", kAda));
  upload(element("ADD", kBob) + "," + element("REMOVE", kAda));
  EXPECT_EQ(members(), "email:" + kBob.substr(0, 4));
}

TEST_F(LinkedinTest, AnAdvertisingIdIsNotHashed) {
  const auto device = [](const std::string& value) {
    return R"({"action":"ADD","userIds":[{"idType":"GOOGLE_AID","idValue":")" + value + R"("}]})";
  };
  EXPECT_EQ(at(upload(device("38400000-8cf0-11bd-b23e-10b96e40000d")), "elements.0.status"), "201");
  EXPECT_EQ(at(upload(device(kAda)), "elements.0.status"), "400");
}

TEST_F(LinkedinTest, WithoutAnIdAFullNameIsNeeded) {
  EXPECT_EQ(at(upload(R"({"action":"ADD","firstName":"Ann","lastName":"Lee"})"), "elements.0.status"), "201");
  EXPECT_EQ(at(upload(R"({"action":"ADD","firstName":"Ann"})"), "elements.0.status"), "400");
}

TEST_F(LinkedinTest, WhatIsToldOfAPersonHasItsLengths) {
  const auto told = [&](const std::string& what) {
    return at(upload(R"({"action":"ADD","userIds":[{"idType":"SHA256_EMAIL","idValue":")" + kAda + R"("}],)" +
                     what + "}"),
              "elements.0.status");
  };
  const std::string name(35, 'x');
  EXPECT_EQ(told(R"("firstName":")" + name + R"(","title":"CTO","country":"US")"), "201");
  EXPECT_EQ(told(R"("firstName":")" + name + R"(y")"), "400");
  EXPECT_EQ(told(R"("title":")" + std::string(51, 'x') + R"(")"), "400");
  EXPECT_EQ(told(R"("country":"us")"), "400");
}

TEST_F(LinkedinTest, FiveThousandElementsAreTheMost) {
  EXPECT_EQ(upload(text_repeated(element("ADD", kAda), 5000)).status, 200);
  EXPECT_EQ(upload(text_repeated(element("ADD", kAda), 5001)).status, 400);
}

TEST_F(LinkedinTest, HeadersAreRequired) {
  client.headers[1].second = "202401";
  EXPECT_EQ(upload(element("ADD", kAda)).status, 426);
  client.headers[1].second = "202607";
  client.headers[2].second = "1.0.0";
  EXPECT_EQ(upload(element("ADD", kAda)).status, 400);
  client.headers[2].second = "2.0.0";
  client.headers[3].second = "GET";
  EXPECT_EQ(upload(element("ADD", kAda)).status, 400);
  client.headers[0].second = "Bearer wrong";
  EXPECT_EQ(upload(element("ADD", kAda)).status, 401);
}

TEST_F(LinkedinTest, ASegmentIsFoundByItsSource) {
  const HttpResponse found = client.send(
      "GET",
      "/linkedin/rest/dmpSegments?q=account&account=urn%3Ali%3AsponsoredAccount%3A55&sourcePlatform=EXAMPLE"
      "&sourceSegmentId=VIP");
  EXPECT_EQ(at(found, "elements.0.id"), id);
  EXPECT_EQ(at(found, "elements.1"), "-");
}

TEST_F(LinkedinTest, TheSizeIsToldFromThreeHundredOnAndLags) {
  client.control("POST", "/limits", R"({"linkedin_people_min":2,"linkedin_processing_ms":1000})");
  EXPECT_EQ(of_segment("status"), "BUILDING");
  upload(element("ADD", kAda) + "," + element("ADD", kBob));
  EXPECT_EQ(of_segment("status"), "UPDATING");
  EXPECT_EQ(of_segment("audienceSize"), "0");
  client.now = client.now + kSecond;
  EXPECT_EQ(of_segment("status"), "READY");
  EXPECT_EQ(of_segment("audienceSize"), "2");
  client.control("POST", "/limits", R"({"linkedin_people_min":3})");
  EXPECT_EQ(of_segment("audienceSize"), "0");
  EXPECT_EQ(of_segment("matchedCount"), "2");
}

TEST_F(LinkedinTest, TooManyRequestsInAMinuteAre429WithoutAWait) {
  client.control("POST", "/limits", R"({"linkedin_requests_per_minute":1})");
  client.now = client.now + kHour;
  EXPECT_EQ(upload(element("ADD", kAda)).status, 200);
  const HttpResponse refused = upload(element("ADD", kAda));
  EXPECT_EQ(refused.status, 429);
  EXPECT_FALSE(refused.headers.get("Retry-After").has_value());
}

TEST_F(LinkedinTest, ATokenIsFetchedWithARefreshToken) {
  client.headers = {};
  EXPECT_EQ(at(client.send("POST", "/linkedin/token",
                           "grant_type=refresh_token&refresh_token=r&client_id=c&client_secret=s"),
               "expires_in"),
            "5184000");
}

TEST_F(LinkedinTest, ADeletedSegmentIsGone) {
  EXPECT_EQ(client.send("DELETE", "/linkedin/rest/dmpSegments/" + id).status, 204);
  EXPECT_EQ(upload(element("ADD", kAda)).status, 404);
}

// --- Events

class LinkedinEventsTest : public LinkedinTest {
 protected:
  std::string event(const std::string& event_id, const std::string& user,
                    std::int64_t ago_ms = 60'000) const {
    return fmt::format(
        R"({{"conversion":"urn:lla:llaPartnerConversion:104012","conversionHappenedAt":{},"eventId":"{}","user":{}}})",
        client.now.ms - ago_ms, event_id, user);
  }
  std::string ada() const { return R"({"userIds":[{"idType":"SHA256_EMAIL","idValue":")" + kAda + R"("}]})"; }
  HttpResponse track(const std::string& events) {
    return client.send("POST", "/linkedin/rest/conversionEvents", R"({"elements":[)" + events + "]}");
  }
  std::string count() { return at(client.control("GET", "/linkedin/events"), "count"); }
};

TEST_F(LinkedinEventsTest, AreCountedOncePerRule) {
  const HttpResponse answer = track(event("o-1", ada()) + "," + event("o-1", ada()));
  EXPECT_EQ(at(answer, "elements.1.status"), "201");
  EXPECT_EQ(count(), "1");
}

TEST_F(LinkedinEventsTest, BadOnesRefuseAllAndAreNamedByTheirPlace) {
  const HttpResponse refused =
      track(event("o-1", ada()) + "," + event("o-2", "{}") + "," + event("o-3", ada(), 91 * 86'400'000LL));
  EXPECT_EQ(refused.status, 422);
  EXPECT_THAT(at(refused, "message"), ::testing::HasSubstr("Index: 1, ERROR ::"));
  EXPECT_THAT(at(refused, "message"), ::testing::HasSubstr("Index: 2, ERROR ::"));
  EXPECT_EQ(count(), "0");
}

TEST_F(LinkedinEventsTest, TimesAreInMilliseconds) {
  EXPECT_EQ(track(event("o-1", ada(), client.now.ms - client.now.ms / 1000)).status, 422);
}

TEST_F(LinkedinEventsTest, ANameAloneWillDo) {
  EXPECT_EQ(track(event("o-1", R"({"userInfo":{"firstName":"Ann","lastName":"Lee"}})")).status, 200);
  EXPECT_EQ(track(event("o-1", R"({"userInfo":{"firstName":"Ann"}})")).status, 422);
}

}  // namespace
}  // namespace tailrace::sandbox
