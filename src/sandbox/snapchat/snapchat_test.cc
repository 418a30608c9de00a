// Snapchat's contract, one rule per test.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

const std::string kAda = sha256_hex("ada@example.com");
const std::string kBob = sha256_hex("bob@example.com");
constexpr const char* kSegments = "/snapchat/v1/adaccounts/8adc/segments";

std::string row(const std::string& hash) { return "[\"" + hash + "\"]"; }

class SnapchatTest : public ::testing::Test {
 protected:
  void SetUp() override { id = at(create("VIP"), "segments.0.segment.id"); }

  HttpResponse create(const std::string& name, const std::string& days = "180") {
    return client.send("POST", kSegments,
                       fmt::format(R"({{"segments":[{{"name":"{}","source_type":"FIRST_PARTY",)"
                                   R"("retention_in_days":{},"ad_account_id":"8adc"}}]}})",
                                   name, days));
  }
  HttpResponse upload(const std::string& method, const std::string& schema, const std::string& rows) {
    return client.send(method, "/snapchat/v1/segments/" + id + "/users",
                       fmt::format(R"({{"users":[{{"schema":{},"data":{}}}]}})", schema, rows));
  }
  HttpResponse add(const std::string& hash) {
    return upload("POST", R"(["EMAIL_SHA256"])", "[" + row(hash) + "]");
  }
  std::string of_segment(const std::string& field) {
    return at(client.send("GET", "/snapchat/v1/segments/" + id), "segments.0.segment." + field);
  }
  std::string members() { return client.members("snapchat", id); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
  std::string id;
};

TEST_F(SnapchatTest, ATokenIsFetchedWithARefreshToken) {
  const auto fetch = [&](const std::string& form) { return client.send("POST", "/snapchat/token", form); };
  client.headers = {};
  EXPECT_EQ(at(fetch("grant_type=refresh_token&refresh_token=r&client_id=c&client_secret=s"), "access_token"),
            "sandbox-token");
  EXPECT_EQ(at(fetch("grant_type=refresh_token&refresh_token=r"), "error"), "invalid_client");
  EXPECT_EQ(at(fetch("grant_type=refresh_token&client_id=c&client_secret=s"), "error"), "invalid_grant");
  EXPECT_EQ(at(fetch("grant_type=password"), "error"), "unsupported_grant_type");
}

TEST_F(SnapchatTest, AWrongTokenIs401) {
  client.headers = {{"Authorization", "Bearer wrong"}};
  EXPECT_EQ(add(kAda).status, 401);
  EXPECT_EQ(at(add(kAda), "request_status"), "ERROR");
}

TEST_F(SnapchatTest, ASegmentNeedsANameAndARetention) {
  EXPECT_EQ(create("").status, 400);
  EXPECT_EQ(create(std::string(376, 'a')).status, 400);
  EXPECT_EQ(create("a", "0").status, 400);
  EXPECT_EQ(create("a", "10000").status, 400);
  EXPECT_EQ(create("a", "9999").status, 200);
}

TEST_F(SnapchatTest, AddingAndRemovingAreSetOperations) {
  EXPECT_EQ(at(upload("POST", R"(["EMAIL_SHA256"])", "[" + row(kAda) + "," + row(kBob) + "]"),
               "users.0.user.number_uploaded_users"),
            "2");
  EXPECT_EQ(add(kAda).status, 200);
  EXPECT_EQ(upload("DELETE", R"(["EMAIL_SHA256"])", "[" + row(kAda) + "]").status, 200);
  EXPECT_EQ(members(), "email:" + kBob.substr(0, 4));
}

TEST_F(SnapchatTest, ARequestTakesOneSchema) {
  EXPECT_EQ(
      upload("POST", R"(["EMAIL_SHA256","PHONE_SHA256"])", "[[\"" + kAda + "\",\"" + kBob + "\"]]").status,
      400);
  EXPECT_EQ(upload("POST", R"(["EMAIL"])", "[" + row(kAda) + "]").status, 400);
  EXPECT_EQ(members(), "");
}

TEST_F(SnapchatTest, OneBadIdentifierRefusesTheRequest) {
  for (const std::string& bad : {std::string("ada@example.com"), kBob.substr(1), kAda}) {
    EXPECT_EQ(upload("POST", R"(["EMAIL_SHA256"])", "[" + row(kAda) + "," + row(bad) + "]").status, 400)
        << bad;
  }
  EXPECT_EQ(members(), "");
}

TEST_F(SnapchatTest, TooFewPeopleCannotBeTargeted) {
  EXPECT_EQ(of_segment("targetable_status"), "NOT_READY");
  client.control("POST", "/limits", R"({"snapchat_people_min":2})");
  add(kAda);
  EXPECT_EQ(of_segment("targetable_status"), "TOO_FEW_USERS");
  add(kBob);
  EXPECT_EQ(of_segment("targetable_status"), "READY");
}

TEST_F(SnapchatTest, TheSizeLagsBehindTheUpload) {
  client.control("POST", "/limits", R"({"snapchat_processing_ms":3600000})");
  add(kAda);
  EXPECT_EQ(of_segment("upload_status"), "PROCESSING");
  EXPECT_EQ(of_segment("approximate_number_users"), "0");
  client.now = client.now + kHour;
  EXPECT_EQ(of_segment("upload_status"), "COMPLETE");
  EXPECT_EQ(of_segment("approximate_number_users"), "1");
}

TEST_F(SnapchatTest, AllUsersCanBeRemoved) {
  add(kAda);
  EXPECT_EQ(client.send("DELETE", "/snapchat/v1/segments/" + id + "/all_users").status, 200);
  EXPECT_EQ(members(), "");
}

TEST_F(SnapchatTest, ASegmentIsRenamedListedAndDeleted) {
  EXPECT_EQ(client
                .send("PUT", kSegments,
                      fmt::format(R"({{"segments":[{{"id":"{}","name":"Best","retention_in_days":9999,)"
                                  R"("ad_account_id":"8adc"}}]}})",
                                  id))
                .status,
            200);
  EXPECT_EQ(at(client.send("GET", kSegments), "segments.0.segment.name"), "Best");
  EXPECT_EQ(client.send("DELETE", "/snapchat/v1/segments/" + id).status, 200);
  EXPECT_EQ(client.send("GET", "/snapchat/v1/segments/" + id).status, 404);
  EXPECT_EQ(add(kAda).status, 404);
}

TEST_F(SnapchatTest, TooManyRequestsInAMinuteAre429) {
  client.control("POST", "/limits", R"({"snapchat_requests_per_minute":1})");
  client.now = client.now + kHour;
  EXPECT_EQ(add(kAda).status, 200);
  EXPECT_EQ(add(kAda).status, 429);
}

TEST_F(SnapchatTest, FaultsSpeakSnapchatsWords) {
  client.control("POST", "/faults", R"({"kind":"auth","platform":"snapchat","count":1})");
  EXPECT_EQ(at(add(kAda), "error_code"), "E2002");
  client.control("POST", "/faults", R"({"kind":"auth","platform":"snapchat","path":"token","count":1})");
  EXPECT_EQ(at(client.send("POST", "/snapchat/token"), "error"), "invalid_grant");
  client.control("POST", "/faults", R"({"kind":"fail","status":503,"platform":"snapchat","count":1})");
  EXPECT_EQ(add(kAda).status, 503);
}

// --- Events

class SnapchatEventsTest : public ::testing::Test {
 protected:
  std::string event(const std::string& id, const std::string& user, std::int64_t time) const {
    return fmt::format(
        R"({{"event_name":"PURCHASE","event_time":{},"event_id":"{}","action_source":"WEB",)"
        R"("event_source_url":"https://shop.example/","user_data":{},"custom_data":{{"currency":"EUR","value":"1"}}}})",
        time, id, user);
  }
  std::string event(const std::string& id, const std::string& user) const {
    return event(id, user, client.now.ms / 1000 - 60);
  }
  std::string ada() const { return R"({"em":[")" + kAda + R"("]})"; }
  HttpResponse track(const std::string& events, const std::string& path = "events",
                     const std::string& token = "sandbox-token") {
    return client.send("POST", "/snapchat/v3/pixel-1/" + path + "?access_token=" + token,
                       R"({"data":[)" + events + "]}");
  }
  std::string count() { return at(client.control("GET", "/snapchat/events"), "count"); }

  Client client;
};

TEST_F(SnapchatEventsTest, AreCountedOnceWithin48Hours) {
  client.headers = {};
  EXPECT_EQ(at(track(event("o-1", ada())), "status"), "VALID");
  EXPECT_EQ(at(track(event("o-1", ada()) + "," + event("o-2", ada())), "status"), "VALID");
  EXPECT_EQ(count(), "2");
  EXPECT_EQ(at(client.control("GET", "/snapchat/events"), "duplicates"), "1");
}

TEST_F(SnapchatEventsTest, OneBadEventRefusesTheRequestForItsReason) {
  const auto reason = [&](const std::string& bad) {
    const HttpResponse refused = track(event("o-1", ada()) + "," + bad);
    EXPECT_EQ(refused.status, 400);
    return at(refused, "reason");
  };
  EXPECT_EQ(reason(event("o-2", "{}")), "Insufficient PII");
  EXPECT_EQ(reason(event("o-2", R"({"em":["ada@example.com"]})")), "unhashed PII in em");
  EXPECT_EQ(reason(event("o-2", R"({"client_ip_address":")" + kAda + "\"}")), "hashed IP");
  EXPECT_EQ(reason(event("o-2", ada(), client.now.ms / 1000 - 86'400 * 38)), "timestamp out of range");
  EXPECT_EQ(reason("{}"), "missing required field: event_name");
  EXPECT_EQ(count(), "0");
}

TEST_F(SnapchatEventsTest, TimesMayBeInMilliseconds) {
  EXPECT_EQ(track(event("o-1", ada(), client.now.ms)).status, 200);
}

TEST_F(SnapchatEventsTest, ValidatingCountsNothing) {
  EXPECT_EQ(track(event("o-1", ada()), "events/validate").status, 200);
  EXPECT_EQ(track(event("o-1", "{}"), "events/validate").status, 400);
  EXPECT_EQ(count(), "0");
}

TEST_F(SnapchatEventsTest, NeedTheTokenInTheQuery) {
  EXPECT_EQ(track(event("o-1", ada()), "events", "wrong").status, 401);
}

TEST_F(SnapchatEventsTest, TwoThousandAreTheMost) {
  EXPECT_EQ(track(text_repeated(event("o-1", ada()), 2000)).status, 200);
  EXPECT_EQ(track(text_repeated(event("o-1", ada()), 2001)).status, 400);
}

}  // namespace
}  // namespace tailrace::sandbox
