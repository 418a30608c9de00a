// Mixpanel's contract, one rule per test.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

class MixpanelTest : public ::testing::Test {
 protected:
  MixpanelTest() { as("sandbox-token:"); }
  void as(const std::string& who) { client.headers = {{"Authorization", "Basic " + to_base64(who)}}; }
  static std::string event(const std::string& insert_id, std::int64_t time = kStart.ms,
                           const std::string& who = "crm-1", const std::string& more = "") {
    return fmt::format(
        R"({{"event":"Seen","properties":{{"time":{},"distinct_id":"{}","$insert_id":"{}"{}}}}})", time, who,
        insert_id, more);
  }
  HttpResponse import(const std::string& events, const std::string& query = "strict=1") {
    return client.send("POST", "/mixpanel/import?" + query, "[" + events + "]");
  }
  HttpResponse engage(const std::string& body) {
    return client.send("POST", "/mixpanel/engage?verbose=1&strict=1", body);
  }
  std::string kept(const std::string& path) { return at(client.control("GET", "/mixpanel/events"), path); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
};

TEST_F(MixpanelTest, AProjectTokenOrAServiceAccountIsNeeded) {
  EXPECT_EQ(import(event("a")).status, 200);
  as("sandbox-token:x");
  EXPECT_EQ(import(event("a")).status, 401);
  as("user:sandbox-token");
  EXPECT_EQ(import(event("a")).status, 401);
  EXPECT_EQ(import(event("a"), "strict=1&project_id=5").status, 200);
}

TEST_F(MixpanelTest, EventsCountOnceByWhatTellsThem) {
  import(event("a") + "," + event("a") + "," + event("b") + "," + event("a", kStart.ms - 1));
  EXPECT_EQ(kept("count"), "3");
  EXPECT_EQ(kept("repeated"), "1");
}

TEST_F(MixpanelTest, WhatIsNotAsItMustBeIsNamedAndTheRestIsIn) {
  const HttpResponse response = import(event("a") + "," + event("b", 5) + "," + event("a_b") + "," +
                                       event("d", kStart.ms, "undefined"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(at(response, "num_records_imported"), "1");
  EXPECT_EQ(at(response, "failed_records.0.index"), "1");
  EXPECT_EQ(at(response, "failed_records.0.field"), "properties.time");
  EXPECT_EQ(at(response, "failed_records.1.field"), "properties.$insert_id");
  EXPECT_EQ(at(response, "failed_records.2.field"), "properties.distinct_id");
  EXPECT_EQ(kept("count"), "1");
}

TEST_F(MixpanelTest, WithoutStrictTheyVanish) {
  EXPECT_EQ(import(event("a") + "," + event("b", 5), "x=1").status, 200);
  EXPECT_EQ(kept("dropped.invalid"), "1");
}

TEST_F(MixpanelTest, AnEventMayBeAnHourAheadAndNotMore) {
  EXPECT_EQ(import(event("a", kStart.ms + kHour.count)).status, 200);
  EXPECT_EQ(import(event("b", kStart.ms + kHour.count + 1)).status, 400);
}

TEST_F(MixpanelTest, PropertiesOfProfilesAreAudiences) {
  EXPECT_EQ(at(engage(R"([{"$token":"sandbox-token","$distinct_id":"crm-1","$set":{"VIP":true}},)"
                      R"({"$token":"sandbox-token","$distinct_id":"crm-2","$set":{"VIP":true}},)"
                      R"({"$token":"sandbox-token","$distinct_id":"crm-1","$set":{"VIP":false}}])"),
               "status"),
            "1");
  EXPECT_EQ(client.members("mixpanel", "VIP"), "external_id:crm-");
}

TEST_F(MixpanelTest, AProfileUpdateThatIsNotTakenIsAnswered200) {
  for (const char* body : {"{}", R"([{"$token":"no","$distinct_id":"a","$set":{"VIP":true}}])",
                           R"([{"$token":"sandbox-token","$set":{"VIP":true}}])",
                           R"([{"$token":"sandbox-token","$distinct_id":"a"}])"}) {
    EXPECT_EQ(engage(body).status, 200) << body;
    EXPECT_EQ(at(engage(body), "status"), "0") << body;
  }
}

}  // namespace
}  // namespace tailrace::sandbox
