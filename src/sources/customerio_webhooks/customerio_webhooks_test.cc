#include <gmock/gmock.h>

#include "support/source_records.h"

namespace tailrace::sources {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CustomerioWebhooksTest : public ::testing::Test {
 protected:
  CustomerioWebhooksTest() { scene_.config().secrets["signing_key"] = "k"; }

  static HttpRequest request(std::string body) {
    return {.method = "POST", .url = "/sources/test", .headers = {}, .body = std::move(body)};
  }
  static HttpRequest signed_request(std::string body, const std::string& key, Time at) {
    HttpRequest signed_one = request(std::move(body));
    const std::string seconds = std::to_string(at.ms / 1000);
    const Sha256 digest = hmac_sha256(key, "v0:" + seconds + ":" + signed_one.body);
    signed_one.headers = {
        {"X-CIO-Timestamp", seconds},
        {"X-CIO-Signature", to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()})}};
    return signed_one;
  }
  // One event of a few words, about Kim.
  std::string taken(
      const std::string& channel, const std::string& metric, const std::string& more = "",
      const std::string& who = R"({"id":"u-17","email":"kim@example.com","cio_id":"a3"})") const {
    return scene_.taken(request(fmt::format(
        R"({{"event_id":"e-1","object_type":"{}","metric":"{}","timestamp":1772359200,"data":{{"identifiers":{}{}}}}})",
        channel, metric, who, more)));
  }

  testing::SourceScene scene_{*find_source("customerio_webhooks")};
};

TEST_F(CustomerioWebhooksTest, a_signature_is_of_the_time_and_the_body) {
  const Time now = testing::kSourceNow;
  EXPECT_THAT(scene_.stranger(signed_request(R"({"a":1})", "k", now)), IsEmpty());
  EXPECT_THAT(scene_.stranger(request(R"({"a":1})")), HasSubstr("no X-CIO-Signature"));
  EXPECT_THAT(scene_.stranger(signed_request(R"({"a":1})", "another", now)), HasSubstr("not of this body"));
  HttpRequest changed = signed_request(R"({"a":1})", "k", now);
  changed.body = R"({"a":2})";
  EXPECT_THAT(scene_.stranger(changed), HasSubstr("not of this body"));
  HttpRequest moved = signed_request(R"({"a":1})", "k", now);
  moved.headers[0].second = std::to_string(now.ms / 1000 - 1);
  EXPECT_THAT(scene_.stranger(moved), HasSubstr("not of this body"));
  HttpRequest shorter = signed_request(R"({"a":1})", "k", now);
  shorter.headers[1].second.pop_back();
  EXPECT_THAT(scene_.stranger(shorter), HasSubstr("not of this body"));
}

// Worked out by another program: printf 'v0:1700000000:{"a":1}' | openssl dgst -sha256 -hmac k
TEST_F(CustomerioWebhooksTest, a_signature_made_elsewhere_is_known) {
  HttpRequest made = request(R"({"a":1})");
  made.headers = {{"x-cio-timestamp", "1700000000"},
                  {"x-cio-signature", "509df9cd2ff84fa1c17aafdb3b60e9d84db059d5b02510bf261300f1c95cb0c3"}};
  EXPECT_THAT(scene_.stranger(made, Time{1'700'000'000'000}), IsEmpty());
}

TEST_F(CustomerioWebhooksTest, a_signature_holds_five_minutes_each_way) {
  const Time now = testing::kSourceNow;
  for (const std::int64_t seconds : {-300, 300})
    EXPECT_THAT(scene_.stranger(signed_request("{}", "k", now + Millis{seconds * 1000})), IsEmpty());
  for (const std::int64_t seconds : {-301, 301, -4'000'000})
    EXPECT_THAT(scene_.stranger(signed_request("{}", "k", now + Millis{seconds * 1000})),
                HasSubstr("too old"));
  scene_.config().settings["tolerance_seconds"] = "10";
  EXPECT_THAT(scene_.stranger(signed_request("{}", "k", now - Millis{11'000})), HasSubstr("too old"));
}

TEST_F(CustomerioWebhooksTest, the_key_before_holds_while_there_is_one) {
  const HttpRequest old = signed_request("{}", "old", testing::kSourceNow);
  EXPECT_THAT(scene_.stranger(old), HasSubstr("not of this body"));
  scene_.config().secrets["previous_signing_key"] = "old";
  EXPECT_THAT(scene_.stranger(old), IsEmpty());
}

TEST_F(CustomerioWebhooksTest, without_a_key_nobody_may) {
  scene_.config().secrets.clear();
  EXPECT_THAT(scene_.stranger(signed_request("{}", "", testing::kSourceNow)), HasSubstr("not of this body"));
}

TEST_F(CustomerioWebhooksTest, a_click_says_campaign_message_and_link) {
  EXPECT_EQ(
      taken("email", "clicked",
            R"(,"customer_id":"u-17","delivery_id":"dg1","campaign_id":7,"action_id":42,"journey_id":"01H",
                     "trigger_event_id":null,"subject":"Hi","recipient":"kim@example.com","href":"https://example.com/x",
                     "link_id":3,"machine":false,"holdout":"control","content":"<p>secret</p>")"),
      R"(200
track "Email Link Clicked" id=e-1 user=u-17 {"channel":"email","metric":"clicked","delivery_id":"dg1","campaign_id":"7","action_id":"42","journey_id":"01H","subject":"Hi","recipient":"kim@example.com","link_url":"https://example.com/x","link_id":"3","machine":false,"holdout":"control"}
)");
}

TEST_F(CustomerioWebhooksTest, opens_of_machines_stand_apart) {
  EXPECT_THAT(taken("email", "opened"), HasSubstr(R"(track "Email Opened" )"));
  EXPECT_THAT(taken("email", "opened", R"(,"proxied":false,"prefetched":false)"),
              HasSubstr(R"(track "Email Opened" )"));
  for (const char* mark : {R"(,"prefetched":true)", R"(,"synthetic":true)", R"(,"proxied":true)"})
    EXPECT_THAT(taken("email", "opened", mark), HasSubstr(R"(track "Email Opened by Machine" )"));
  EXPECT_THAT(taken("email", "clicked", R"(,"machine":true)"),
              HasSubstr(R"(track "Email Link Clicked by Machine" )"));
  scene_.config().settings["proxied_opens"] = "human";
  EXPECT_THAT(taken("email", "opened", R"(,"proxied":true)"), HasSubstr(R"(track "Email Opened" )"));
  EXPECT_THAT(taken("email", "opened", R"(,"proxied":true,"prefetched":true)"),
              HasSubstr(R"(track "Email Opened by Machine" )"));
}

TEST_F(CustomerioWebhooksTest, each_channel_has_its_names) {
  for (const auto& [channel, metric, name] :
       {std::tuple("sms", "delivered", "SMS Delivered"), std::tuple("push", "clicked", "Push Link Clicked"),
        std::tuple("in_app", "clicked", "In-App Message Clicked"),
        std::tuple("whatsapp", "replied", "WhatsApp Replied"),
        std::tuple("email", "spammed", "Email Marked as Spam"), std::tuple("webhook", "sent", "Webhook Sent"),
        std::tuple("email", "bounced", "Email Bounced"), std::tuple("email", "converted", "Email Converted"),
        std::tuple("carrier_pigeon", "lost_at_sea", "Carrier Pigeon Lost At Sea")}) {
    EXPECT_THAT(taken(channel, metric), HasSubstr(fmt::format("track \"{}\" ", name)));
  }
  EXPECT_THAT(
      scene_.taken(request(
          R"({"event_id":"e-1","event_type":"in_app_opened","timestamp":1772359200,"data":{"customer_id":"u-17"}})")),
      HasSubstr(R"(track "In-App Message Opened" id=e-1 user=u-17)"));
}

TEST_F(CustomerioWebhooksTest, an_unsubscription_is_an_event_and_a_statement_of_its_own) {
  EXPECT_EQ(taken("email", "unsubscribed"), R"(200
identify id=e-1/consent user=u-17 {"consent":{"email":false}}
track "Unsubscribed" id=e-1 user=u-17 {"channel":"email","metric":"unsubscribed"}
)");
  EXPECT_THAT(taken("customer", "subscribed"), HasSubstr(R"({"consent":{"email":true}})"));
  EXPECT_THAT(taken("email", "spammed"), HasSubstr(R"({"consent":{"email":false}})"));
  EXPECT_THAT(taken("customer", "cio_subscription_preferences_changed",
                    R"(,"content":"{\"topics\":{\"topic_1\":true,\"topic_2\":false}}")"),
              HasSubstr(R"({"consent":{"topic_1":true,"topic_2":false}})"));
  EXPECT_THAT(taken("customer", "cio_subscription_preferences_changed", R"(,"content":{"topic_1":true})"),
              HasSubstr(R"({"consent":{"topic_1":true}})"));
}

TEST_F(CustomerioWebhooksTest, whoever_has_no_id_is_named_by_email) {
  EXPECT_EQ(taken("email", "unsubscribed", "", R"({"id":null,"email":"kim@example.com"})"), R"(200
identify id=contact:586a96910b4276a7484faaf56dbe01db {"email":"kim@example.com"}
identify id=e-1/consent context={"traits":{"email":"kim@example.com"}} {"consent":{"email":false}}
track "Unsubscribed" id=e-1 context={"traits":{"email":"kim@example.com"}} {"channel":"email","metric":"unsubscribed"}
)");
  EXPECT_THAT(taken("email", "opened", "", R"({"cio_id":"a3"})"), HasSubstr("anonymous=cio_a3"));
  EXPECT_THAT(taken("email", "opened", R"(,"customer_id":"")", "{}"),
              HasSubstr("rejected id=e-1 because of nobody"));
}

TEST_F(CustomerioWebhooksTest, what_cannot_be_read_is_refused) {
  EXPECT_THAT(scene_.taken(request("")), HasSubstr("400 "));
  EXPECT_THAT(scene_.taken(request("[]")), HasSubstr("must be a JSON object"));
  EXPECT_THAT(scene_.taken(request(R"({"event_id":"e-1")")), HasSubstr("400 "));
  EXPECT_THAT(scene_.taken(request("{\"event_id\":\"\xff\"}")), HasSubstr("UTF-8"));
  EXPECT_THAT(scene_.taken(request(R"({"object_type":"email","metric":"sent","data":{}})")),
              HasSubstr("no `event_id`"));
  EXPECT_THAT(scene_.taken(request(R"({"event_id":"e","data":{}})")), HasSubstr("no `object_type`"));
  EXPECT_THAT(scene_.taken(request(R"({"event_id":"e","object_type":"email","metric":"sent"})")),
              HasSubstr("no `data`"));
  EXPECT_THAT(scene_.taken(request(
                  R"({"event_id":"e","object_type":"email","metric":"sent","timestamp":"noon","data":{}})")),
              HasSubstr("`timestamp`"));
  EXPECT_THAT(
      scene_.taken(request(
          R"({"event_id":"e","object_type":"email","metric":"sent","timestamp":1772359200000,"data":{}})")),
      HasSubstr("`timestamp`"));
  EXPECT_THAT(scene_.taken(request(std::string(600'000, ' '))), HasSubstr("413 "));
  EXPECT_THAT(taken("email", "opened", "", fmt::format(R"({{"id":"{}"}})", std::string(600, 'x'))),
              HasSubstr("send at most 512"));
  HttpRequest got = request("");
  got.method = "GET";
  EXPECT_THAT(scene_.taken(got), HasSubstr("405 "));
}

}  // namespace
}  // namespace tailrace::sources
