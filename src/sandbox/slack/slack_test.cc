// The contract of Slack's incoming webhooks, one rule per test.
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

class SlackTest : public ::testing::Test {
 protected:
  HttpResponse send(const std::string& body, const std::string& path = "/services/T/B/x") {
    return client.send("POST", "/slack" + path, body);
  }
  Client client;
};

TEST_F(SlackTest, ATextIsPosted) {
  EXPECT_EQ(send(R"({"text":"hello"})").body, "ok");
  EXPECT_EQ(at(client.control("GET", "/slack/events"), "events.0.text"), "hello");
}

TEST_F(SlackTest, WhatIsNoMessageIsRefusedInAWord) {
  EXPECT_EQ(send("{}").body, "invalid_payload");
  EXPECT_EQ(send("no").status, 400);
  EXPECT_EQ(send(R"({"text":"x"})", "/services/T").body, "no_service");
}

TEST_F(SlackTest, OverTheLimitItSaysHowLongToWait) {
  client.control("POST", "/limits", R"({"slack_messages_per_minute":1})");
  send(R"({"text":"a"})");
  const HttpResponse response = send(R"({"text":"b"})");
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.headers.get("Retry-After"), "1");
}

}  // namespace
}  // namespace tailrace::sandbox
