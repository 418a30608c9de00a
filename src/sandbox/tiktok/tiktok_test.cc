// TikTok's contract, one rule per test.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

using ::testing::HasSubstr;

const std::string kAda = sha256_hex("ada@example.com");
const std::string kBob = sha256_hex("bob@example.com");
const std::string kAdasPhone = sha256_hex("+442079460018");

class TiktokTest : public ::testing::Test {
 protected:
  void SetUp() override {
    client.headers = {{"Access-Token", "sandbox-token"}};
    id = at(
        post("segment/audience/", R"({"advertiser_id":"55","custom_audience_name":"VIP","action":"create"})"),
        "data.audience_id");
  }

  HttpResponse post(const std::string& path, const std::string& body) {
    return client.send("POST", "/tiktok/open_api/v1.3/" + path, body);
  }
  std::string entry(const std::string& hash) const {
    return fmt::format(R"({{"id":"{}","audience_ids":["{}"]}})", hash, id);
  }
  HttpResponse map(const std::string& action, const std::string& schema, const std::string& rows) {
    return post("segment/mapping/",
                fmt::format(R"({{"advertiser_ids":["55"],"action":"{}","id_schema":{},"batch_data":{}}})",
                            action, schema, rows));
  }
  HttpResponse add(const std::string& hash) {
    return map("add", R"(["EMAIL_SHA256"])", "[[" + entry(hash) + "]]");
  }
  std::string size() {
    return at(client.send("GET",
                          "/tiktok/open_api/v1.3/dmp/custom_audience/get/?advertiser_id=55"
                          "&custom_audience_ids=%5B%22" +
                              id + "%22%5D"),
              "data.list.0.audience_details.cover_num");
  }
  std::string members() { return client.members("tiktok", id); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
  std::string id;
};

TEST_F(TiktokTest, ErrorsAreHttp200WithACode) {
  client.headers = {{"Authorization", "Bearer sandbox-token"}};  // not TikTok's header
  const HttpResponse refused = add(kAda);
  EXPECT_EQ(refused.status, 200);
  EXPECT_EQ(at(refused, "code"), "40105");
  client.headers = {{"Access-Token", "sandbox-token"}};
  EXPECT_EQ(at(add(kAda), "code"), "0");
  EXPECT_EQ(at(post("segment/nothing/", "{}"), "code"), "40002");
  EXPECT_EQ(at(post("segment/mapping/", "not JSON"), "code"), "40002");
}

TEST_F(TiktokTest, ARowIsAPersonWithOnePlacePerType) {
  EXPECT_EQ(at(map("add", R"(["EMAIL_SHA256","PHONE_SHA256"])",
                   fmt::format("[[{},{}],[{},{{}}]]", entry(kAda), entry(kAdasPhone), entry(kBob))),
               "code"),
            "0");
  EXPECT_EQ(at(client.control("GET", "/audiences"), "audiences.0.size"), "2");
  EXPECT_EQ(at(client.control("GET", "/audiences"), "audiences.0.identifiers"), "3");
}

TEST_F(TiktokTest, DeletingTakesOutExactlyTheIdentifier) {
  add(kAda);
  add(kBob);
  EXPECT_EQ(at(map("delete", R"(["EMAIL_SHA256"])", "[[" + entry(kAda) + "]]"), "code"), "0");
  EXPECT_EQ(members(), "email:" + kBob.substr(0, 4));
}

TEST_F(TiktokTest, ARowThatIsNotAcceptedLeavesTheAudienceAsItWas) {
  for (const std::string& bad : {std::string("ada@example.com"), kBob.substr(1), "A" + kBob.substr(1)}) {
    const HttpResponse refused =
        map("add", R"(["EMAIL_SHA256"])", fmt::format("[[{}],[{}]]", entry(kAda), entry(bad)));
    EXPECT_EQ(at(refused, "code"), "40002") << bad;
    EXPECT_THAT(at(refused, "message"), HasSubstr("batch_data.1.0"));
  }
  EXPECT_EQ(members(), "");
}

TEST_F(TiktokTest, RowsFitTheirSchema) {
  EXPECT_EQ(at(map("add", R"(["EMAIL_SHA256","PHONE_SHA256"])", "[[" + entry(kAda) + "]]"), "code"), "40002");
  EXPECT_EQ(at(map("add", R"(["EMAIL_SHA256"])", "[[{}]]"), "code"), "40002");
  EXPECT_EQ(at(map("add", R"(["EMAIL"])", "[[" + entry(kAda) + "]]"), "code"), "40002");
  EXPECT_EQ(at(map("add", R"([])", "[[]]"), "code"), "40002");
  EXPECT_EQ(at(map("replace", R"(["EMAIL_SHA256"])", "[[" + entry(kAda) + "]]"), "code"), "40002");
}

TEST_F(TiktokTest, AnAudienceOfAnotherAdvertiserMayNotBeTouched) {
  const HttpResponse refused = post(
      "segment/mapping/",
      fmt::format(
          R"({{"advertiser_ids":["56"],"action":"add","id_schema":["EMAIL_SHA256"],"batch_data":[[{}]]}})",
          entry(kAda)));
  EXPECT_EQ(at(refused, "code"), "40001");
}

TEST_F(TiktokTest, TenThousandIdentifiersAreTheMost) {
  const std::string row = "[" + entry(kAda) + "]";
  EXPECT_EQ(at(map("add", R"(["EMAIL_SHA256"])", "[" + text_repeated(row, 10'000) + "]"), "code"), "0");
  EXPECT_EQ(at(map("add", R"(["EMAIL_SHA256"])", "[" + text_repeated(row, 10'001) + "]"), "code"), "40002");
}

TEST_F(TiktokTest, AnAudienceIsValidFromItsSmallestSizeOn) {
  const auto valid = [&] {
    return at(client.send("GET", "/tiktok/dmp/custom_audience/list/?advertiser_id=55"),
              "data.list.0.is_valid");
  };
  client.control("POST", "/limits", R"({"tiktok_people_min":2})");
  add(kAda);
  EXPECT_EQ(valid(), "false");
  add(kBob);
  EXPECT_EQ(valid(), "true");
}

TEST_F(TiktokTest, TheSizeLagsBehindTheUpload) {
  client.control("POST", "/limits", R"({"tiktok_processing_ms":3600000})");
  add(kAda);
  EXPECT_EQ(size(), "0");
  client.now = client.now + kHour;
  EXPECT_EQ(size(), "1");
}

TEST_F(TiktokTest, TooManyRequestsInASecondAreRefused) {
  client.control("POST", "/limits", R"({"tiktok_requests_per_second":1})");
  client.now = client.now + kMinute;
  EXPECT_EQ(at(add(kAda), "code"), "0");
  EXPECT_EQ(at(add(kBob), "code"), "40100");
  client.now = client.now + kSecond;
  EXPECT_EQ(at(add(kBob), "code"), "0");
}

TEST_F(TiktokTest, AudiencesAreListedByPages) {
  post("segment/audience/", R"({"advertiser_id":"55","custom_audience_name":"Lapsed","action":"create"})");
  post("segment/audience/", R"({"advertiser_id":"56","custom_audience_name":"Other","action":"create"})");
  const HttpResponse second =
      client.send("GET", "/tiktok/dmp/custom_audience/list/?advertiser_id=55&page=2&page_size=1");
  EXPECT_EQ(at(second, "data.list.0.name"), "Lapsed");
  EXPECT_EQ(at(second, "data.page_info.total_page"), "2");
}

TEST_F(TiktokTest, ADeletedAudienceIsGone) {
  post("segment/audience/",
       fmt::format(R"({{"advertiser_id":"55","audience_id":"{}","action":"delete"}})", id));
  EXPECT_EQ(members(), "no such audience");
  EXPECT_EQ(size(), "-");
}

TEST_F(TiktokTest, AnAudienceCanBePlanted) {
  EXPECT_EQ(
      client.control("POST", "/audiences", R"({"platform":"tiktok","id":"7","name":"Old","account":"55"})")
          .status,
      200);
  EXPECT_EQ(client.control("POST", "/audiences", R"({"platform":"tiktok","id":"seven"})").status, 400);
}

TEST_F(TiktokTest, FaultsSpeakTikToksWords) {
  client.control("POST", "/faults", R"({"kind":"throttle","platform":"tiktok","count":1})");
  EXPECT_EQ(at(add(kAda), "code"), "40100");
  client.control("POST", "/faults", R"({"kind":"auth","platform":"tiktok","count":1})");
  EXPECT_EQ(at(add(kAda), "code"), "40105");
  client.control("POST", "/faults", R"({"kind":"fail","status":503,"platform":"tiktok","count":1})");
  EXPECT_EQ(add(kAda).status, 503);
}

// --- Events

class TiktokEventsTest : public TiktokTest {
 protected:
  std::string event(const std::string& event_id, const std::string& user,
                    std::int64_t ago_seconds = 60) const {
    return fmt::format(
        R"({{"event":"Purchase","event_time":{},"event_id":"{}","user":{},"properties":{{"value":1,"currency":"EUR"}}}})",
        client.now.ms / 1000 - ago_seconds, event_id, user);
  }
  std::string ada() const { return R"({"email":[")" + kAda + R"("]})"; }
  HttpResponse track(const std::string& events, const std::string& more = "") {
    return post("event/track/",
                R"({"event_source":"web","event_source_id":"C4",)" + more + R"("data":[)" + events + "]}");
  }
  std::string count() { return at(client.control("GET", "/tiktok/events"), "count"); }
};

TEST_F(TiktokEventsTest, AreCountedOnceWithin48Hours) {
  EXPECT_EQ(at(track(event("o-1", ada()) + "," + event("o-2", ada())), "code"), "0");
  EXPECT_EQ(at(track(event("o-1", ada())), "code"), "0");
  EXPECT_EQ(count(), "2");
  EXPECT_EQ(at(client.control("GET", "/tiktok/events"), "duplicates"), "1");
  EXPECT_EQ(at(client.control("GET", "/tiktok/events"), "events.0.event_id"), "o-2");
  client.now = client.now + kHour * 48;
  track(event("o-1", ada()));
  EXPECT_EQ(count(), "3");
}

TEST_F(TiktokEventsTest, OneBadEventRefusesTheRequestAndIsNamed) {
  for (const std::string& bad :
       {event("o-2", "{}"), event("o-2", R"({"email":["ada@example.com"]})"),
        event("o-2", R"({"email":")" + kAda + "\"}"), event("o-2", R"({"ip":")" + kAda + "\"}"),
        event("o-2", ada(), 86'400 * 40), event("o-2", ada(), -3600), std::string(R"({"event":"Purchase"})"),
        std::string("7")}) {
    const HttpResponse refused = track(event("o-1", ada()) + "," + bad);
    EXPECT_EQ(at(refused, "code"), "40002") << bad;
    EXPECT_THAT(at(refused, "message"), HasSubstr("data.1.")) << bad;
  }
  EXPECT_EQ(count(), "0");
}

TEST_F(TiktokEventsTest, AThousandAreTheMost) {
  EXPECT_EQ(at(track(text_repeated(event("o-1", ada()), 1000)), "code"), "0");
  EXPECT_EQ(at(track(text_repeated(event("o-1", ada()), 1001)), "code"), "40002");
}

TEST_F(TiktokEventsTest, OfATestAreNotCounted) {
  EXPECT_EQ(at(track(event("o-1", ada()), R"("test_event_code":"T1",)"), "code"), "0");
  EXPECT_EQ(count(), "0");
}

}  // namespace
}  // namespace tailrace::sandbox
