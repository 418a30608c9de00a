// The contract of Segment's HTTP API, one rule per test.
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

class SegmentTest : public ::testing::Test {
 protected:
  SegmentTest() { as("sandbox-token:"); }
  void as(const std::string& who) { client.headers = {{"Authorization", "Basic " + to_base64(who)}}; }
  static std::string track(const std::string& id, const std::string& who = R"("userId":"crm-1")") {
    return R"({"type":"track","event":"Seen","messageId":")" + id +
           R"(","timestamp":"2027-01-15T08:00:00Z",)" + who + "}";
  }
  HttpResponse send(const std::string& messages,
                    const std::string& more = R"(,"sentAt":"2027-01-15T08:00:00Z")") {
    return client.send("POST", "/segment/v1/batch", R"({"batch":[)" + messages + "]" + more + "}");
  }
  std::string kept(const std::string& path) { return at(client.control("GET", "/segment/events"), path); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
};

TEST_F(SegmentTest, MessagesCountOnceByTheirIdForADay) {
  send(track("a") + "," + track("a") + "," + track("b"));
  EXPECT_EQ(kept("count"), "2");
  client.now = client.now + kDay;
  send(track("a"));
  EXPECT_EQ(kept("count"), "3");
}

TEST_F(SegmentTest, AWrongKeyOrMessageIsAnswered200) {
  EXPECT_EQ(send(track("a", R"("x":1)")).status, 200);
  as("wrong:");
  EXPECT_EQ(send(track("b")).status, 200);
  EXPECT_EQ(kept("count"), "0");
  EXPECT_EQ(kept("dropped.message"), "1");
  EXPECT_EQ(kept("dropped.write key"), "1");
}

TEST_F(SegmentTest, WhatIsTooLargeOrNoBatchIsRefused) {
  EXPECT_EQ(send("").status, 400);
  EXPECT_EQ(send(track("a"), "").status, 400);
  EXPECT_EQ(send(track("a", R"("userId":")" + std::string(40'000, 'x') + "\"")).status, 400);
  EXPECT_EQ(client.send("POST", "/segment/v1/batch", "{").status, 400);
}

TEST_F(SegmentTest, TraitsAreAudiences) {
  const auto identify = [&](const char* id, const char* value) {
    send(std::string(R"({"type":"identify","messageId":")") + id +
         R"(","timestamp":"2027-01-15T08:00:00Z","userId":"crm-1","traits":{"VIP":)" + value + "}}");
  };
  identify("1", "true");
  EXPECT_EQ(client.members("segment", "VIP"), "external_id:crm-");
  identify("2", "false");
  EXPECT_EQ(client.members("segment", "VIP"), "");
}

}  // namespace
}  // namespace tailrace::sandbox
