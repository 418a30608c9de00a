// Klaviyo's contract, one rule per test.
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

class KlaviyoTest : public ::testing::Test {
 protected:
  KlaviyoTest() {
    client.headers = {{"Authorization", "Klaviyo-API-Key sandbox-token"},
                      {"revision", "2026-07-15"},
                      {"Content-Type", "application/vnd.api+json"}};
  }
  static std::string event(const std::string& id, const std::string& profile = R"("external_id":"crm-1")",
                           const std::string& time = "2027-01-15T08:00:00Z") {
    return R"({"type":"event-bulk-create","attributes":{"profile":{"data":{"type":"profile","attributes":{)" +
           profile + R"(}}},"events":{"data":[{"type":"event","attributes":{"time":")" + time +
           R"(","unique_id":")" + id +
           R"(","properties":{},"metric":{"data":{"type":"metric","attributes":{"name":"Seen"}}}}}]}}})";
  }
  HttpResponse send(const std::string& events) {
    return client.send(
        "POST", "/klaviyo/api/event-bulk-create-jobs",
        R"({"data":{"type":"event-bulk-create-job","attributes":{"events-bulk-create":{"data":[)" + events +
            "]}}}}");
  }
  HttpResponse import(const std::string& profiles) {
    return client.send("POST", "/klaviyo/api/profile-bulk-import-jobs",
                       R"({"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":[)" +
                           profiles + "]}}}}");
  }
  std::string kept(const std::string& path) { return at(client.control("GET", "/klaviyo/events"), path); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
};

TEST_F(KlaviyoTest, EventsCountOnceByIdProfileAndMetric) {
  EXPECT_EQ(send(event("a") + "," + event("a") + "," + event("a", R"("email":"b@example.com")")).status, 202);
  EXPECT_EQ(kept("count"), "2");
}

TEST_F(KlaviyoTest, WithoutAnIdAllOfASecondAreOne) {
  send(event("", R"("external_id":"crm-1")", "2027-01-15T08:00:00.100Z") + "," +
       event("", R"("external_id":"crm-1")", "2027-01-15T08:00:00.900Z"));
  EXPECT_EQ(kept("count"), "1");
}

TEST_F(KlaviyoTest, OneBadEventFailsAllAndIsPointedAt) {
  const HttpResponse response = send(event("a") + "," + event("b", ""));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(at(response, "errors.0.source.pointer"),
            "/data/attributes/events-bulk-create/data/1/attributes/profile");
  EXPECT_EQ(kept("count"), "0");
}

TEST_F(KlaviyoTest, HeadersAreNeeded) {
  for (std::size_t missing = 0; missing < 3; ++missing) {
    const HttpHeaders all = client.headers;
    client.headers.erase(client.headers.begin() + static_cast<std::ptrdiff_t>(missing));
    EXPECT_GE(send(event("a")).status, 400);
    client.headers = all;
  }
}

TEST_F(KlaviyoTest, PropertiesOfProfilesAreAudiences) {
  EXPECT_EQ(
      import(R"({"type":"profile","attributes":{"external_id":"ada","properties":{"VIP":true}}})").status,
      202);
  EXPECT_EQ(client.members("klaviyo", "VIP"), "external_id:ada");
  EXPECT_EQ(import(R"({"type":"profile","attributes":{"properties":{"VIP":true}}})").status, 400);
}

}  // namespace
}  // namespace tailrace::sandbox
