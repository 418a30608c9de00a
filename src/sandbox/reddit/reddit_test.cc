// Reddit's contract, one rule per test.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

const std::string kAda = sha256_hex("ada@example.com");
const std::string kBob = sha256_hex("bob@example.com");

class RedditTest : public ::testing::Test {
 protected:
  void SetUp() override {
    id = at(client.send("POST", "/reddit/api/v3/ad_accounts/t2_abc/custom_audiences",
                        R"({"data":{"name":"VIP","type":"CUSTOMER_LIST"}})"),
            "data.id");
    audience = "/reddit/api/v3/custom_audiences/" + id;
  }
  HttpResponse change(const std::string& action, const std::string& rows,
                      const std::string& columns = R"(["EMAIL_SHA256"])") {
    return client.send("PATCH", audience + "/users",
                       R"({"data":{"action_type":")" + action + R"(","column_order":)" + columns +
                           R"(,"user_data":)" + rows + "}}");
  }
  static std::string row(const std::string& digest) { return "[\"" + digest + "\"]"; }
  std::string members() { return client.members("reddit", id); }

  static std::string event(std::int64_t ms, const std::string& more = "") {
    return fmt::format(
        R"({{"event_at":{},"action_source":"WEBSITE","type":{{"tracking_type":"PURCHASE"}}{}}})", ms, more);
  }
  HttpResponse convert(const std::string& events, const std::string& before = "") {
    return client.send("POST", "/reddit/api/v3/pixels/t2_abc/conversion_events",
                       R"({"data":{)" + before + R"("events":[)" + events + "]}}");
  }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
  std::string id;
  std::string audience;
};

std::string tag(const std::string& digest) { return "email:" + digest.substr(0, 4); }

TEST_F(RedditTest, ATokenIsFetchedByAClientThatShowsWhoItIs) {
  const std::string form = "grant_type=refresh_token&refresh_token=r";
  client.headers = {};
  EXPECT_EQ(client.send("POST", "/reddit/token", form).status, 401);
  client.headers = {{"Authorization", "Basic YTpi"}};
  const std::string token = at(client.send("POST", "/reddit/token", form), "access_token");
  client.headers = {{"Authorization", "Bearer " + token}};
  EXPECT_EQ(client.send("GET", audience).status, 200);
  client.headers = {{"Authorization", "Bearer wrong"}};
  EXPECT_EQ(at(client.send("GET", audience), "error.reason"), "UNAUTHORIZED");
}

TEST_F(RedditTest, TheVersionThatWasRemovedIsGone) {
  EXPECT_EQ(client.send("GET", "/reddit/api/v2.0/custom_audiences/1").status, 410);
}

TEST_F(RedditTest, AListHasANameAndAType) {
  const auto create = [&](const char* data) {
    return client.send("POST", "/reddit/api/v3/ad_accounts/t2_abc/custom_audiences", data).status;
  };
  EXPECT_EQ(create(R"({"data":{"name":"A"}})"), 400);
  EXPECT_EQ(create(R"({"data":{"name":"","type":"CUSTOMER_LIST"}})"), 400);
  EXPECT_EQ(create(R"({"name":"A","type":"CUSTOMER_LIST"})"), 400);
}

TEST_F(RedditTest, PeopleAreAddedAndRemoved) {
  EXPECT_EQ(change("ADD", "[" + row(kAda) + "," + row(kBob) + "]").status, 200);
  EXPECT_EQ(change("REMOVE", "[" + row(kBob) + "]").status, 200);
  EXPECT_EQ(members(), tag(kAda));
}

TEST_F(RedditTest, EveryRowHasACellPerColumn) {
  const std::string both = R"(["EMAIL_SHA256","MAID_SHA256"])";
  EXPECT_EQ(change("ADD", "[" + row(kAda) + "]", both).status, 400);
  EXPECT_EQ(change("ADD", R"([["","")" + std::string("]]"), both).status, 400);
  EXPECT_EQ(change("ADD", "[[\"" + kAda + R"(",""]])", both).status, 200);
  EXPECT_EQ(members(), tag(kAda));
}

TEST_F(RedditTest, OneBadRowFailsAll) {
  for (const char* bad : {R"(["ada@example.com"])", "[5]", R"("a")"}) {
    EXPECT_EQ(change("ADD", "[" + row(kAda) + "," + bad + "]").status, 400) << bad;
  }
  EXPECT_EQ(members(), "");
}

TEST_F(RedditTest, RequestsHaveTheirForm) {
  const std::string one = "[" + row(kAda) + "]";
  EXPECT_EQ(change("REPLACE", one).status, 400);
  EXPECT_EQ(change("ADD", one, R"(["PHONE_SHA256"])").status, 400);
  EXPECT_EQ(change("ADD", one, R"(["EMAIL_SHA256","EMAIL_SHA256"])").status, 400);
  EXPECT_EQ(change("ADD", "[]").status, 400);
  EXPECT_EQ(change("ADD", "[" + text_repeated(row(kAda), 2500) + "]").status, 200);
  EXPECT_EQ(change("ADD", "[" + text_repeated(row(kAda), 2501) + "]").status, 400);
  audience = "/reddit/api/v3/custom_audiences/none";
  EXPECT_EQ(change("ADD", one).status, 404);
}

TEST_F(RedditTest, ASmallAudienceHasNoSize) {
  change("ADD", "[" + row(kAda) + "," + row(kBob) + "]");
  EXPECT_EQ(at(client.send("GET", audience), "data.size_range_lower"), "-");
  client.control("POST", "/limits", R"({"reddit_people_min":2})");
  EXPECT_EQ(at(client.send("GET", audience), "data.size_range_lower"), "2");
}

TEST_F(RedditTest, OverTheBudgetTheHeaderSaysWhenItIsRestored) {
  client.control("POST", "/limits", R"({"reddit_requests_per_minute":1})");
  const HttpResponse response = client.send("GET", audience);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.headers.get("X-RateLimit-Reset"), "60");
}

TEST_F(RedditTest, EventsAreKeptOnceByTheirConversionId) {
  const std::string one = event(kStart.ms, R"(,"metadata":{"conversion_id":"order-1","value":1.5})");
  EXPECT_EQ(convert(one + "," + one + "," + event(kStart.ms)).status, 200);
  EXPECT_EQ(at(client.control("GET", "/reddit/events"), "count"), "2");
  EXPECT_EQ(at(client.control("GET", "/reddit/events"), "repeated"), "1");
}

TEST_F(RedditTest, TestEventsAreKeptApart) {
  convert(event(kStart.ms), R"("test_id":"t2_demo",)");
  EXPECT_EQ(at(client.control("GET", "/reddit/events"), "count"), "0");
  EXPECT_EQ(at(client.control("GET", "/reddit/test_events"), "count"), "1");
}

TEST_F(RedditTest, OneBadEventFailsAll) {
  const std::string good = event(kStart.ms) + ",";
  EXPECT_EQ(convert(good + event(kStart.ms - 7 * kDay.count - 1)).status, 400);
  EXPECT_EQ(convert(good + event(kStart.ms + 5 * kMinute.count + 1)).status, 400);
  EXPECT_EQ(convert(good + event(kStart.ms, R"(,"user":{"ip_address":"203.0.113.7"})")).status, 400);
  EXPECT_EQ(convert(good + event(kStart.ms, R"(,"metadata":{"value":"1"})")).status, 400);
  EXPECT_EQ(convert(good + R"({"event_at":"2027-01-15T08:00:00Z"})").status, 400);
  EXPECT_EQ(
      convert(good + fmt::format(
                         R"({{"event_at":{},"action_source":"WEBSITE","type":{{"tracking_type":"CUSTOM"}}}})",
                         kStart.ms))
          .status,
      400);
  EXPECT_EQ(at(client.control("GET", "/reddit/events"), "count"), "0");
}

TEST_F(RedditTest, TheOtherReadingListsBadEventsInASuccess) {
  const std::string both = event(kStart.ms) + "," + event(0);
  client.control("POST", "/limits", R"({"reddit_invalid_events":1})");
  EXPECT_EQ(at(convert(both), "data.invalid_events.0.index"), "1");
  client.control("POST", "/limits", R"({"reddit_invalid_events":2})");
  EXPECT_EQ(at(convert(both), "data.invalid_events.0.index"), "-");
  EXPECT_NE(at(convert(both), "data.invalid_events.0.error_message"), "-");
}

}  // namespace
}  // namespace tailrace::sandbox
