// PostHog's contract, one rule per test.
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

class PosthogTest : public ::testing::Test {
 protected:
  static std::string event(const std::string& last, const std::string& properties = "{}") {
    return R"({"event":"Seen","distinct_id":"crm-1","uuid":"00000000-0000-4000-8000-00000000000)" + last +
           R"(","timestamp":"2027-01-15T08:00:00Z","properties":)" + properties + "}";
  }
  HttpResponse send(const std::string& events, const std::string& key = "sandbox-token") {
    return client.send("POST", "/posthog/batch/", R"({"api_key":")" + key + R"(","batch":[)" + events + "]}");
  }
  std::string kept(const std::string& path) { return at(client.control("GET", "/posthog/events"), path); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
};

TEST_F(PosthogTest, EventsCountOnceByTheirUuid) {
  EXPECT_EQ(at(send(event("1") + "," + event("1") + "," + event("2")), "status"), "1");
  EXPECT_EQ(kept("count"), "2");
}

TEST_F(PosthogTest, AKeyIsNeededAndNoPersonalOne) {
  EXPECT_EQ(send(event("1"), "no").status, 401);
  EXPECT_EQ(send(event("1"), "phx_personal").status, 401);
}

TEST_F(PosthogTest, OneBadEventFailsAll) {
  for (const char* bad : {R"({"event":"","distinct_id":"a"})", R"({"event":"Seen"})",
                          R"({"event":"Seen","distinct_id":"a","uuid":"no"})",
                          R"({"event":"Seen","distinct_id":"a","timestamp":"no"})"}) {
    EXPECT_EQ(send(event("1") + "," + bad).status, 400) << bad;
  }
  EXPECT_EQ(send("").status, 400);
  EXPECT_EQ(kept("count"), "0");
}

TEST_F(PosthogTest, PropertiesOfPersonsAreAudiences) {
  send(event("1", R"({"$set":{"VIP":true}})"));
  EXPECT_EQ(client.members("posthog", "VIP"), "external_id:crm-");
  send(event("2", R"({"$set":{"VIP":false}})"));
  EXPECT_EQ(client.members("posthog", "VIP"), "");
}

}  // namespace
}  // namespace tailrace::sandbox
