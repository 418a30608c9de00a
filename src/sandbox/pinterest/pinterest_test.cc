// Pinterest's contract, one rule per test.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

const std::string kAda = sha256_hex("ada@example.com");
const std::string kBob = sha256_hex("bob@example.com");
constexpr const char* kAccount = "/pinterest/v5/ad_accounts/549";

class PinterestTest : public ::testing::Test {
 protected:
  void SetUp() override { id = at(create("EMAIL", kAda), "id"); }

  HttpResponse create(const std::string& type, const std::string& records) {
    return client.send("POST", std::string(kAccount) + "/customer_lists",
                       fmt::format(R"({{"name":"VIP","list_type":"{}","records":"{}"}})", type, records));
  }
  HttpResponse change(const std::string& operation, const std::string& records) {
    return client.send("PATCH", std::string(kAccount) + "/customer_lists/" + id,
                       fmt::format(R"({{"operation_type":"{}","records":"{}"}})", operation, records));
  }
  std::string status() {
    return at(client.send("GET", std::string(kAccount) + "/customer_lists/" + id), "status");
  }
  std::string members() { return client.members("pinterest", id); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
  std::string id;
};

TEST_F(PinterestTest, ATokenIsFetchedByAClientShownByBasic) {
  const std::string form = "grant_type=refresh_token&refresh_token=r";
  client.headers = {{"Authorization", "Basic " + to_base64("client:secret")}};
  EXPECT_EQ(at(client.send("POST", "/pinterest/v5/oauth/token", form), "access_token"), "sandbox-token");
  client.headers = {};
  EXPECT_EQ(
      at(client.send("POST", "/pinterest/v5/oauth/token", form + "&client_id=c&client_secret=s"), "error"),
      "invalid_client");
}

TEST_F(PinterestTest, AWrongTokenIs401Code2) {
  client.headers = {{"Authorization", "Bearer wrong"}};
  EXPECT_EQ(change("ADD", kBob).status, 401);
  EXPECT_EQ(at(change("ADD", kBob), "code"), "2");
}

TEST_F(PinterestTest, AListIsMadeWithItsFirstRecords) {
  EXPECT_EQ(members(), "email:" + kAda.substr(0, 4));
  EXPECT_EQ(create("EMAIL", "").status, 400);
  EXPECT_EQ(create("PHONE", kAda).status, 400);
}

TEST_F(PinterestTest, RecordsAreOneTextWithCommas) {
  EXPECT_EQ(change("ADD", kBob + "," + kAda).status, 200);
  EXPECT_EQ(at(change("REMOVE", kAda), "num_removed_user_records"), "1");
  EXPECT_EQ(members(), "email:" + kBob.substr(0, 4));
  EXPECT_EQ(change("REPLACE", kBob).status, 400);
}

TEST_F(PinterestTest, OneBadRecordRefusesTheRequest) {
  for (const std::string& bad : {std::string("Bob@example.com"), std::string(""), kBob.substr(1)}) {
    EXPECT_EQ(change("ADD", kBob + "," + bad).status, 400) << bad;
  }
  EXPECT_EQ(members(), "email:" + kAda.substr(0, 4));
  EXPECT_EQ(change("ADD", "bob@example.com").status, 200);
}

TEST_F(PinterestTest, AdvertisingIdsMustBeHashed) {
  EXPECT_EQ(create("MAID", "aece52e7-03ee-455a-b3c4-e57283966239").status, 400);
  EXPECT_EQ(create("MAID", kAda).status, 200);
}

TEST_F(PinterestTest, AListBelowAHundredPeopleIsTooSmall) {
  EXPECT_EQ(status(), "TOO_SMALL");
  client.control("POST", "/limits", R"({"pinterest_people_min":2,"pinterest_processing_ms":1000})");
  change("ADD", kBob);
  EXPECT_EQ(status(), "PROCESSING");
  client.now = client.now + kSecond;
  EXPECT_EQ(status(), "READY");
}

TEST_F(PinterestTest, TheSizeIsThatOfAnAudienceMadeOfTheList) {
  const HttpResponse made = client.send(
      "POST", std::string(kAccount) + "/audiences",
      fmt::format(
          R"({{"ad_account_id":"549","audience_type":"CUSTOMER_LIST","name":"VIP","rule":{{"customer_list_id":"{}"}}}})",
          id));
  const std::string audience = std::string(kAccount) + "/audiences/" + at(made, "id");
  EXPECT_EQ(at(client.send("GET", audience), "size"), "1");
  EXPECT_EQ(at(client.send("GET", audience), "status"), "TOO_SMALL");
  EXPECT_EQ(client.send("GET", std::string(kAccount) + "/audiences/1").status, 404);
}

TEST_F(PinterestTest, ListsBelongToTheirAccount) {
  EXPECT_EQ(at(client.send("GET", std::string(kAccount) + "/customer_lists"), "items.0.name"), "VIP");
  EXPECT_EQ(at(client.send("GET", "/pinterest/v5/ad_accounts/550/customer_lists"), "items.0"), "-");
  EXPECT_EQ(client.send("GET", "/pinterest/v5/ad_accounts/550/customer_lists/" + id).status, 404);
}

TEST_F(PinterestTest, TooManyRequestsInASecondAre429WithAReset) {
  client.control("POST", "/limits", R"({"pinterest_requests_per_second":1})");
  client.now = client.now + kHour;
  EXPECT_EQ(change("ADD", kBob).status, 200);
  const HttpResponse refused = change("ADD", kBob);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(at(refused, "code"), "8");
  EXPECT_EQ(refused.headers.get("x-ratelimit-reset"), "1");
}

TEST_F(PinterestTest, FaultsSpeakPinterestsWords) {
  client.control("POST", "/faults", R"({"kind":"fail","status":503,"platform":"pinterest","count":1})");
  EXPECT_EQ(at(change("ADD", kBob), "code"), "4197");
  client.control("POST", "/faults", R"({"kind":"auth","platform":"pinterest","count":1})");
  EXPECT_EQ(change("ADD", kBob).status, 401);
}

// --- Events

class PinterestEventsTest : public ::testing::Test {
 protected:
  std::string event(const std::string& id, const std::string& user, std::int64_t ago_seconds = 60,
                    const std::string& source = "web") const {
    return fmt::format(
        R"({{"event_name":"checkout","action_source":"{}","event_time":{},"event_id":"{}","user_data":{}}})",
        source, client.now.ms / 1000 - ago_seconds, id, user);
  }
  std::string ada() const { return R"({"em":[")" + kAda + R"("]})"; }
  HttpResponse track(const std::string& events, const std::string& query = "") {
    return client.send("POST", std::string(kAccount) + "/events" + query, R"({"data":[)" + events + "]}");
  }
  std::string count() { return at(client.control("GET", "/pinterest/events"), "count"); }

  Client client;
};

TEST_F(PinterestEventsTest, AreCountedOnceButInAStore) {
  EXPECT_EQ(at(track(event("o-1", ada()) + "," + event("o-1", ada())), "num_events_processed"), "2");
  EXPECT_EQ(count(), "1");
  track(event("o-2", ada(), 60, "offline") + "," + event("o-2", ada(), 60, "offline"));
  EXPECT_EQ(count(), "3");
}

TEST_F(PinterestEventsTest, EachHasAnOutcomeInItsPlace) {
  const HttpResponse answer = track(event("o-1", ada()) + "," + event("o-2", "{}") + "," +
                                    event("o-3", R"({"em":["ada@example.com"]})") + "," +
                                    event("o-4", ada(), 86'400 * 8) + "," + event("", ada()));
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(at(answer, "details.events.0.status"), "processed");
  for (const char* place : {"1", "2", "3", "4"})
    EXPECT_EQ(at(answer, std::string("details.events.") + place + ".status"), "failed") << place;
  EXPECT_EQ(count(), "1");
}

TEST_F(PinterestEventsTest, OfATestAreNotRecorded) {
  EXPECT_EQ(track(event("o-1", ada()), "?test=true").status, 200);
  EXPECT_EQ(count(), "0");
}

TEST_F(PinterestEventsTest, AThousandAreTheMost) {
  EXPECT_EQ(track(text_repeated(event("o-1", ada()), 1000)).status, 200);
  EXPECT_EQ(track(text_repeated(event("o-1", ada()), 1001)).status, 400);
}

}  // namespace
}  // namespace tailrace::sandbox
