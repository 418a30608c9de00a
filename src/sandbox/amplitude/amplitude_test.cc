// Amplitude's contract, one rule per test.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

class AmplitudeTest : public ::testing::Test {
 protected:
  static std::string event(const std::string& insert_id, const std::string& user = "crm-1",
                           const std::string& more = "") {
    return fmt::format(R"({{"user_id":"{}","event_type":"Seen","time":{},"insert_id":"{}"{}}})", user,
                       kStart.ms, insert_id, more);
  }
  HttpResponse send(const std::string& events, const std::string& path = "/batch",
                    const std::string& key = "sandbox-token") {
    return client.send(
        "POST", "/amplitude" + path,
        R"({"api_key":")" + key + R"(","options":{"min_id_length":1},"events":[)" + events + "]}");
  }
  HttpResponse cohort(const std::string& call, const std::string& body) {
    client.headers = {{"Authorization", "Basic " + to_base64("key:sandbox-token")}};
    return client.send("POST", "/amplitude/api/3/cohorts/" + call, body);
  }
  std::string kept(const std::string& path) { return at(client.control("GET", "/amplitude/events"), path); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
};

TEST_F(AmplitudeTest, EventsCountOnceByTheirInsertId) {
  EXPECT_EQ(at(send(event("a") + "," + event("a") + "," + event("b")), "events_ingested"), "3");
  EXPECT_EQ(send(event("a"), "/2/httpapi").status, 200);
  EXPECT_EQ(kept("count"), "2");
  EXPECT_EQ(kept("repeated"), "2");
}

TEST_F(AmplitudeTest, AKeyIsNeeded) {
  EXPECT_EQ(at(send(event("a"), "/batch", ""), "missing_field"), "api_key");
  EXPECT_EQ(send(event("a"), "/batch", "no").status, 400);
}

TEST_F(AmplitudeTest, ARequestIsRefusedWholeAndTheEventsNamed) {
  const HttpResponse response = send(event("a") + "," + event("b", "null") + "," + R"({"user_id":"crm-1"})");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(at(response, "events_with_invalid_fields.user_id.0"), "1");
  EXPECT_EQ(at(response, "events_with_missing_fields.event_type.0"), "2");
  EXPECT_EQ(kept("count"), "0");
}

TEST_F(AmplitudeTest, ShortIdsAreRefusedUnlessAskedFor) {
  const std::string body = R"({"api_key":"sandbox-token","events":[)" + event("a", "crm") + "]}";
  EXPECT_EQ(client.send("POST", "/amplitude/batch", body).status, 400);
  EXPECT_EQ(send(event("a", "crm")).status, 200);
}

TEST_F(AmplitudeTest, ANoisyUserIsThrottledAndNamed) {
  client.control("POST", "/limits", R"({"amplitude_user_events_per_second":2})");
  const HttpResponse response =
      send(event("a") + "," + event("b", "other") + "," + event("c") + "," + event("d"));
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(at(response, "throttled_events"), "[0,2,3]");
  EXPECT_EQ(send(event("b", "other")).status, 200);
  client.now = client.now + kSecond;
  EXPECT_EQ(send(event("a") + "," + event("c")).status, 200);
}

TEST_F(AmplitudeTest, PropertiesOfUsersAreSetAndTakenAway) {
  const auto told = [&](const std::string& properties) {
    return send(R"({"user_id":"ada","event_type":"$identify","user_properties":)" + properties + "}").status;
  };
  EXPECT_EQ(told(R"({"$set":{"VIP":true,"plan":"pro","tier":2}})"), 200);
  EXPECT_EQ(client.members("amplitude", "VIP"), "external_id:ada");
  EXPECT_EQ(told(R"({"$set":{"VIP":false},"$unset":{"tier":"-"}})"), 200);
  EXPECT_EQ(client.members("amplitude", "VIP"), "");
  EXPECT_EQ(kept("profiles.ada.plan"), "pro");
  EXPECT_EQ(kept("profiles.ada.tier"), "-");  // it has none
  EXPECT_EQ(kept("count"), "0");
  EXPECT_EQ(told(R"({"$set":{"VIP":true},"plan":"pro"})"), 400);
  EXPECT_EQ(told(R"({"$put":{"VIP":true}})"), 400);
}

TEST_F(AmplitudeTest, ACohortIsMadeOfSomebodyAndChanged) {
  const std::string body =
      R"({"name":"VIP","app_id":5,"owner":"o@example.com","id_type":"BY_USER_ID","ids":["seed"]})";
  const std::string id = at(cohort("upload", body), "cohort_id");
  const auto change = [&](const std::string& operation, const std::string& who) {
    return cohort("membership", R"({"cohort_id":")" + id + R"(","memberships":[{"ids":[")" + who +
                                    R"("],"id_type":"BY_NAME","operation":")" + operation + R"("}]})")
        .status;
  };
  EXPECT_EQ(change("ADD", "ada"), 200);
  EXPECT_EQ(change("REMOVE", "seed"), 200);
  EXPECT_EQ(client.members("amplitude", id), "external_id:ada");
  EXPECT_EQ(change("SET", "ada"), 400);
  EXPECT_EQ(
      cohort("upload", R"({"name":"VIP","app_id":5,"owner":"o","id_type":"BY_USER_ID","ids":[]})").status,
      400);
  EXPECT_EQ(cohort("membership", R"({"cohort_id":"none","memberships":[]})").status, 404);
  client.headers = {};
  EXPECT_EQ(client.send("POST", "/amplitude/api/3/cohorts/upload", body).status, 401);
}

}  // namespace
}  // namespace tailrace::sandbox
