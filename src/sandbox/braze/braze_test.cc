// Braze's contract, one rule per test.
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

class BrazeTest : public ::testing::Test {
 protected:
  HttpResponse send(const std::string& body) { return client.send("POST", "/braze/users/track", body); }
  HttpResponse events(const std::string& list) { return send(R"({"events":[)" + list + "]}"); }
  static std::string event(const std::string& who = R"("external_id":"crm-1")",
                           const std::string& name = "Seen", const std::string& properties = "{}") {
    return "{" + who + R"(,"name":")" + name + R"(","time":"2027-01-15T08:00:00Z","properties":)" +
           properties + "}";
  }
  std::string kept(const std::string& path) { return at(client.control("GET", "/braze/events"), path); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
};

TEST_F(BrazeTest, EveryEventCountsAlsoACopy) {
  EXPECT_EQ(events(event() + "," + event()).status, 201);
  EXPECT_EQ(kept("count"), "2");
  client.headers = {{"Authorization", "Bearer no"}};
  EXPECT_EQ(events(event()).status, 401);
}

TEST_F(BrazeTest, WhatIsNotAsItMustBeIsNamedAndTheRestIsIn) {
  const HttpResponse response = events(event(R"("x":"y")") + "," + event());
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(at(response, "errors.0.index"), "0");
  EXPECT_EQ(at(response, "errors.0.input_array"), "events");
  EXPECT_EQ(kept("count"), "1");
}

TEST_F(BrazeTest, AnAliasMustBeAllowedToBeAProfile) {
  const std::string alias = R"("user_alias":{"alias_name":"a","alias_label":"l"})";
  EXPECT_EQ(at(events(event(alias)), "errors.0.index"), "0");
  EXPECT_EQ(at(events(event(alias + R"(,"_update_existing_only":false)")), "errors"), "-");
}

TEST_F(BrazeTest, RecommendedEventsHaveASchema) {
  const std::string who = R"("external_id":"crm-1")";
  EXPECT_EQ(at(events(event(who, "ecommerce.order_placed", R"({"order_id":"1"})")), "errors.0.index"), "0");
  EXPECT_EQ(
      at(events(event(who, "ecommerce.order_placed",
                      R"({"order_id":"1","total_value":2,"currency":"EUR","source":"web","products":[)"
                      R"({"product_id":"p","product_name":"P","variant_id":"v","price":2,"quantity":1}]})")),
         "errors"),
      "-");
}

TEST_F(BrazeTest, ARequestHas75ObjectsOfAKindAtMost) {
  EXPECT_EQ(events(text_repeated(event(), 75)).status, 201);
  EXPECT_EQ(events(text_repeated(event(), 76)).status, 400);
  EXPECT_EQ(send("{}").status, 400);
}

TEST_F(BrazeTest, AttributesAreAudiences) {
  send(R"({"attributes":[{"external_id":"ada","_update_existing_only":true,"VIP":true}]})");
  EXPECT_EQ(client.members("braze", "VIP"), "external_id:ada");
  send(R"({"attributes":[{"external_id":"ada","VIP":false}]})");
  EXPECT_EQ(client.members("braze", "VIP"), "");
}

}  // namespace
}  // namespace tailrace::sandbox
