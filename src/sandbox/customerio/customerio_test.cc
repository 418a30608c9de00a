// Customer.io's contract, one rule per test.
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

class CustomerioTest : public ::testing::Test {
 protected:
  CustomerioTest() { as("site:sandbox-token"); }
  void as(const std::string& who) { client.headers = {{"Authorization", "Basic " + to_base64(who)}}; }
  static std::string event(const std::string& last, const std::string& more = "") {
    return R"({"type":"person","action":"event","identifiers":{"id":"crm-1"},"name":"Seen","id":"01JGFJJZ00000000000000000)" +
           last + R"(","timestamp":1800000000)" + more + "}";
  }
  HttpResponse batch(const std::string& items) {
    return client.send("POST", "/customerio/api/v2/batch", R"({"batch":[)" + items + "]}");
  }
  HttpResponse segment(const std::string& call, const std::string& ids) {
    return client.send("POST", "/customerio/api/v1/segments/" + call, R"({"ids":[)" + ids + "]}");
  }
  std::string kept(const std::string& path) { return at(client.control("GET", "/customerio/events"), path); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
};

TEST_F(CustomerioTest, EventsCountOnceByTheirId) {
  EXPECT_EQ(batch(event("1") + "," + event("1") + "," + event("2")).status, 200);
  EXPECT_EQ(kept("count"), "2");
  as("site:no");
  EXPECT_EQ(batch(event("3")).status, 401);
}

TEST_F(CustomerioTest, SomeBadItemsAreNamedInA207) {
  const HttpResponse response = batch(event("1") + "," + R"({"type":"person","action":"event"})");
  EXPECT_EQ(response.status, 207);
  EXPECT_EQ(at(response, "errors.0.batch_index"), "1");
  EXPECT_EQ(kept("count"), "1");
}

TEST_F(CustomerioTest, ItemsHaveTheirForm) {
  EXPECT_EQ(
      batch(R"({"type":"person","action":"event","identifiers":{"id":"a"},"name":"x","id":"m-1"})").status,
      400);
  EXPECT_EQ(
      batch(R"({"type":"person","action":"event","identifiers":{"id":"a","email":"b"},"name":"x"})").status,
      400);
  EXPECT_EQ(batch(R"({"type":"person","action":"event","identifiers":{"id":"a"},"name":""})").status, 400);
  EXPECT_EQ(
      batch(
          R"({"type":"person","action":"event","identifiers":{"id":"a"},"name":"x","timestamp":1800000000000})")
          .status,
      400);
  EXPECT_EQ(batch("").status, 400);
}

TEST_F(CustomerioTest, AManualSegmentIsMadeByTheAppAndChangedByTrack) {
  client.headers = {{"Authorization", "Bearer sandbox-token"}};
  const std::string id =
      at(client.send("POST", "/customerio/app/v1/segments", R"({"segment":{"name":"VIP"}})"), "segment.id");
  as("site:sandbox-token");
  EXPECT_EQ(segment(id + "/add_customers?id_type=id", R"("ada","bob")").status, 200);
  EXPECT_EQ(segment(id + "/remove_customers?id_type=id", R"("bob")").status, 200);
  EXPECT_EQ(client.members("customerio", id), "external_id:ada");
  EXPECT_EQ(segment(id + "/add_customers?id_type=phone", R"("ada")").status, 400);
  EXPECT_EQ(segment(id + "/add_customers", text_repeated(R"("a")", 1001)).status, 400);
  EXPECT_EQ(segment("99/add_customers", R"("ada")").status, 404);
}

TEST_F(CustomerioTest, AttributesAreAudiencesToo) {
  batch(
      R"({"type":"person","action":"identify","identifiers":{"email":"a@example.com"},"attributes":{"VIP":true}})");
  EXPECT_EQ(client.members("customerio", "VIP"), "email:a@ex");
}

TEST_F(CustomerioTest, PipelinesSayNoOnlyWhereTheyAreStrict) {
  const auto send = [&](const std::string& message) {
    return client
        .send("POST", "/customerio/cdp/v1/batch",
              R"({"batch":[)" + message + R"(],"sentAt":"2027-01-15T08:00:00Z"})")
        .status;
  };
  const std::string bad = R"({"type":"track"})";
  client.headers = {{"Authorization", "Basic " + to_base64("wrong:")}};
  EXPECT_EQ(send(bad), 200);
  client.headers.emplace_back("X-Strict-Mode", "1");
  EXPECT_EQ(send(bad), 401);
  client.headers[0].second = "Basic " + to_base64("sandbox-token:");
  EXPECT_EQ(send(bad), 400);
  EXPECT_EQ(
      send(
          R"({"type":"track","event":"Seen","userId":"a","messageId":"m","timestamp":"2027-01-15T08:00:00Z"})"),
      200);
  EXPECT_EQ(kept("count"), "1");
}

}  // namespace
}  // namespace tailrace::sandbox
