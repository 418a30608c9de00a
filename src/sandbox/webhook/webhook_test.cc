// The receiver of signed webhooks, one rule per test.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

const std::string kKey = "0123456789abcdef0123456789abcdef";

std::string message(const std::string& type, const std::string& data) {
  return R"({"type":")" + type + R"(","timestamp":"2027-01-15T08:00:00Z","data":)" + data + "}";
}

std::string change(const std::string& type, const std::vector<std::string>& people) {
  std::string members;
  for (const std::string& person : people) {
    members += (members.empty() ? "" : ",") + (R"({"person":")" + person + "\"}");
  }
  return message(type, R"({"audience":"vip","members":[)" + members + "]}");
}
std::string added(const std::vector<std::string>& people) { return change("audience.members_added", people); }
std::string removed(const std::vector<std::string>& people) {
  return change("audience.members_removed", people);
}

class WebhookTest : public ::testing::Test {
 protected:
  HttpResponse post(const std::string& body, const std::string& id, const std::string& key = kKey,
                    const std::string& url = "/webhook/crm") {
    const std::string timestamp = std::to_string(sent_at.ms / 1000);
    const Sha256 digest = hmac_sha256(key, id + "." + timestamp + "." + body);
    client.headers = {
        {"Webhook-Id", id},
        {"Webhook-Timestamp", timestamp},
        {"Webhook-Signature", "v1,c29tZXRoaW5nIGVsc2U= v1," +
                                  to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()})}};
    return client.send("POST", url, body);
  }
  void require_signatures() {
    ASSERT_EQ(client.control("POST", "/webhook", R"({"secret":"whsec_)" + to_base64(kKey) + "\"}").status,
              200);
  }

  Client client;
  Time sent_at = kStart;
};

TEST_F(WebhookTest, MembersAreAddedAndRemoved) {
  EXPECT_EQ(post(added({"ada", "bob"}), "m1").status, 200);
  EXPECT_EQ(client.members("webhook", "crm:vip"), "person:ada person:bob");
  EXPECT_EQ(post(removed({"bob"}), "m2").status, 200);
  EXPECT_EQ(client.members("webhook", "crm:vip"), "person:ada");
}

TEST_F(WebhookTest, EndpointsKeepTheirOwnAudiences) {
  post(added({"ada"}), "m1", kKey, "/webhook");
  EXPECT_EQ(client.members("webhook", "default:vip"), "person:ada");
  EXPECT_EQ(client.members("webhook", "crm:vip"), "no such audience");
}

TEST_F(WebhookTest, AMessageCountsOncePerId) {
  post(added({"ada"}), "m1");
  post(removed({"ada"}), "m2");
  EXPECT_EQ(at(post(added({"ada"}), "m1"), "repeated"), "true");
  EXPECT_EQ(client.members("webhook", "crm:vip"), "");
}

TEST_F(WebhookTest, OtherTypesAreAcknowledgedAndChangeNothing) {
  EXPECT_EQ(post(message("audience.created", R"({"audience":"vip"})"), "m1").status, 200);
  EXPECT_EQ(client.members("webhook", "crm:vip"), "no such audience");
}

TEST_F(WebhookTest, EventsAreKeptOnceByTheirIdAloneAndInLists) {
  post(message("event.seen", R"({"message_id":"1"})"), "m1");
  post(message("events", R"({"events":[{"type":"event.seen","data":{"message_id":"1"}},)"
                         R"({"type":"event.seen","data":{"message_id":"2"}}]})"),
       "m2");
  EXPECT_EQ(at(client.control("GET", "/webhook/events"), "count"), "2");
  EXPECT_EQ(at(client.control("GET", "/webhook/events"), "repeated"), "1");
}

TEST_F(WebhookTest, AWrongSignatureIsRefusedOnceASecretIsSet) {
  EXPECT_EQ(post(message("ping", "{}"), "m1", "another key").status, 200);
  require_signatures();
  EXPECT_EQ(post(message("ping", "{}"), "m2", "another key").status, 401);
  EXPECT_EQ(post(message("ping", "{}"), "m2").status, 200);
}

TEST_F(WebhookTest, TheSignatureCoversTheBody) {
  require_signatures();
  post(message("ping", "{}"), "m1");
  EXPECT_EQ(client.send("POST", "/webhook/crm", message("ping", "[]")).status, 401);
}

TEST_F(WebhookTest, TheKnownVectorVerifies) {
  // HMAC-SHA256 over "msg_1.1700000000.{}", computed with openssl.
  require_signatures();
  client.now = Time{1'700'000'000'000};
  client.headers = {{"webhook-id", "msg_1"},
                    {"webhook-timestamp", "1700000000"},
                    {"webhook-signature", "v1,2c4VI0bO4Wd5svqP2unEA9pCk0dTAXr/elrHCJ+/efk="}};
  EXPECT_EQ(client.send("POST", "/webhook", "{}").status, 400) << "signed well, but without a type";
  client.headers[2].second = "v1,AAAA";
  EXPECT_EQ(client.send("POST", "/webhook", "{}").status, 401);
}

TEST_F(WebhookTest, AnEndpointMayHaveASecretOfItsOwn) {
  client.control("POST", "/webhook", R"({"endpoint":"crm","secret":"whsec_)" + to_base64(kKey) + "\"}");
  EXPECT_EQ(post(message("ping", "{}"), "m1", "another key").status, 401);
  EXPECT_EQ(post(message("ping", "{}"), "m1", "another key", "/webhook/other").status, 200);
}

TEST_F(WebhookTest, ASecretMustBeWellFormed) {
  for (const char* secret : {"abc", "whsec_", "whsec_c2hvcnQ=", "whsec_???"}) {
    EXPECT_EQ(client.control("POST", "/webhook", R"({"secret":")" + std::string(secret) + "\"}").status, 400);
  }
  EXPECT_EQ(client.control("POST", "/webhook", "{}").status, 400);
}

TEST_F(WebhookTest, AnOldOrFutureTimestampIsRefused) {
  sent_at = kStart - kMinute * 5;
  EXPECT_EQ(post(message("ping", "{}"), "m1").status, 200);
  sent_at = kStart - kMinute * 5 - kSecond;
  EXPECT_EQ(post(message("ping", "{}"), "m2").status, 401);
  sent_at = kStart + kMinute * 5 + kSecond;
  EXPECT_EQ(post(message("ping", "{}"), "m3").status, 401);
}

TEST_F(WebhookTest, AllThreeHeadersAreRequired) {
  for (std::size_t missing = 0; missing < 3; ++missing) {
    post(message("ping", "{}"), "m1");
    client.headers.erase(client.headers.begin() + static_cast<std::ptrdiff_t>(missing));
    EXPECT_EQ(client.send("POST", "/webhook", message("ping", "{}")).status, 400);
  }
  EXPECT_EQ(post(message("ping", "{}"), "m.1").status, 400) << "an id has no dot";
}

TEST_F(WebhookTest, ABodyMustBeAMessage) {
  const std::string type = "audience.members_added";
  for (const std::string& body : {std::string("{"), std::string("[]"), std::string("{}"), message(type, "{}"),
                                  message(type, R"({"audience":"vip","members":[]})"),
                                  message(type, R"({"members":[{"person":"ada"}]})"),
                                  message(type, R"({"audience":"vip","members":[{}]})"),
                                  message(type, R"({"audience":"vip","members":["ada"]})"),
                                  std::string(R"({"type":"ping","timestamp":"soon","data":{}})")}) {
    EXPECT_EQ(post(body, "m1").status, 400) << body;
  }
  EXPECT_EQ(client.send("GET", "/webhook").status, 405);
}

}  // namespace
}  // namespace tailrace::sandbox
