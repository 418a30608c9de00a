#include <gmock/gmock.h>

#include "support/source_records.h"

namespace tailrace::sources {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CustomerioTrackTest : public ::testing::Test {
 protected:
  CustomerioTrackTest() {
    scene_.config().settings["site_id"] = "site";
    scene_.config().secrets["api_key"] = "key";
  }

  static HttpRequest request(const std::string& line, std::string body = "") {
    const std::size_t blank = line.find(' ');
    return {.method = line.substr(0, blank),
            .url = line.substr(blank + 1),
            .headers = {},
            .body = std::move(body)};
  }
  std::string taken(const std::string& line, std::string body = "") const {
    return scene_.taken(request(line, std::move(body)));
  }
  std::string entity(const std::string& body) const { return taken("POST /api/v2/entity", body); }
  std::string authorized(const std::string& authorization) const {
    HttpRequest one = request("GET /api/v1/accounts/region");
    one.headers = {{"Authorization", authorization}};
    return scene_.stranger(one);
  }

  testing::SourceScene scene_{*find_source("customerio_track")};
};

TEST_F(CustomerioTrackTest, site_id_and_key_are_both_asked_for) {
  EXPECT_THAT(authorized("Basic " + to_base64("site:key")), IsEmpty());
  EXPECT_THAT(authorized("basic  " + to_base64("site:key")), IsEmpty());
  for (const char* wrong : {"site:", "site:other", "other:key", "sitekey", ":key", "site:key2"})
    EXPECT_THAT(authorized("Basic " + to_base64(wrong)), HasSubstr("unknown site id or API key")) << wrong;
  EXPECT_THAT(authorized("Basic !"), HasSubstr("no base64"));
  EXPECT_THAT(authorized("Bearer key"), HasSubstr("no site id"));
  EXPECT_THAT(scene_.stranger(request("GET /api/v1/accounts/region")), HasSubstr("no site id"));
}

TEST_F(CustomerioTrackTest, whoever_may_send_is_told_the_region) {
  HttpRequest one = request("GET /api/v1/accounts/region");
  one.headers = {{"Host", "tailrace.example.com"}};
  EXPECT_EQ(scene_.take(one).answer.body,
            R"({"url":"https://tailrace.example.com","region":"us","environment_id":1})");
}

TEST_F(CustomerioTrackTest, attributes_are_traits) {
  EXPECT_EQ(taken("PUT /api/v1/customers/u-17",
                  R"({"email": "Kim@example.com", "plan": "pro", "seats": 12.50, "old": null, "_update": true,
                     "_timestamp": 1772359100, "anonymous_id": "visitor"})"),
            R"(200
identify at=2026-03-01T09:58:20.000Z user=u-17 anonymous=visitor {"email":"Kim@example.com","plan":"pro","seats":12.50,"old":null}
)");
  EXPECT_EQ(taken("PUT /api/v1/customers/u-17"), "200\nidentify user=u-17 {}\n");
}

TEST_F(CustomerioTrackTest, the_identifier_of_a_path_is_told_by_its_shape) {
  EXPECT_THAT(taken("PUT /api/v1/customers/a%2Fb%20c", "{}"), HasSubstr("user=a/b c"));
  EXPECT_THAT(taken("PUT /api/v1/customers/cio_03", "{}"), HasSubstr("anonymous=cio_03"));
  EXPECT_EQ(taken("PUT /api/v1/customers/kim%40example.com", R"({"plan":"pro"})"), R"(200
identify context={"traits":{"email":"kim@example.com"}} {"email":"kim@example.com","plan":"pro"}
)");
  EXPECT_THAT(taken("PUT /api/v1/customers/", "{}"), HasSubstr("400 "));
  EXPECT_THAT(taken("PUT /api/v1/customers/%zz", "{}"), HasSubstr("400 "));
  EXPECT_THAT(taken("PUT /api/v1/customers/%ff", "{}"), HasSubstr("400 "));
  EXPECT_THAT(taken("PUT /api/v1/customers/" + std::string(513, 'x'), "{}"), HasSubstr("send at most 512"));
}

TEST_F(CustomerioTrackTest, somebody_known_by_email_gets_a_user_id) {
  EXPECT_EQ(taken("PUT /api/v1/customers/kim%40example.com", R"({"id":"u-17"})"), R"(200
identify user=u-17 {"email":"kim@example.com"}
identify user=u-17 context={"previous":{"email":"kim@example.com"}}
)");
}

TEST_F(CustomerioTrackTest, unsubscription_and_topics_are_consent) {
  EXPECT_THAT(taken("PUT /api/v1/customers/u-17", R"({"unsubscribed":true})"),
              HasSubstr(R"({"unsubscribed":true,"consent":{"email":false}})"));
  EXPECT_THAT(taken("PUT /api/v1/customers/u-17", R"({"unsubscribed":"false"})"),
              HasSubstr(R"("consent":{"email":true})"));
  EXPECT_THAT(
      taken("PUT /api/v1/customers/u-17", R"({"cio_subscription_preferences":{"topics":{"topic_7":false}}})"),
      HasSubstr(R"("consent":{"topic_7":false})"));
  EXPECT_THAT(taken("PUT /api/v1/customers/u-17", R"({"cio_subscription_preferences.topics.topic_7":true})"),
              HasSubstr(R"("consent":{"topic_7":true})"));
}

TEST_F(CustomerioTrackTest, events_pages_and_screens) {
  EXPECT_EQ(
      taken("POST /api/v1/customers/u-17/events",
            R"({"name":" Order Placed ","id":"01HZ","timestamp":1772359100,"data":{"revenue": 20.50}})"),
      R"(200
track "Order Placed" id=01HZ at=2026-03-01T09:58:20.000Z user=u-17 {"revenue":20.50}
)");
  EXPECT_EQ(taken("POST /api/v1/customers/u-17/events", R"({"type":"page","name":"/pricing"})"),
            "200\npage \"/pricing\" user=u-17\n");
  EXPECT_EQ(taken("POST /api/v1/customers/u-17/events", R"({"type":"screen","name":"Basket"})"),
            "200\nscreen \"Basket\" user=u-17\n");
  EXPECT_EQ(taken("POST /api/v1/events", R"({"name":"Seen","anonymous_id":"visitor"})"),
            "200\ntrack \"Seen\" anonymous=visitor\n");
  EXPECT_THAT(taken("POST /api/v1/events", R"({"name":"Invited","data":{"recipient":"kim@example.com"}})"),
              HasSubstr("200\nrejected because an event of nobody"));
}

TEST_F(CustomerioTrackTest, an_event_of_an_email_makes_its_owner_known) {
  EXPECT_THAT(taken("POST /api/v1/customers/kim@example.com/events", R"({"name":"Seen"})"),
              HasSubstr(R"( {"email":"kim@example.com"}
track "Seen" context={"traits":{"email":"kim@example.com"}}
)"));
}

TEST_F(CustomerioTrackTest, what_is_wrong_is_refused_and_nothing_kept) {
  for (const auto& [body, why] :
       {std::pair(R"({"data":{}})", "`name` is missing"), std::pair(R"({"name":"  "})", "`name` is missing"),
        std::pair(R"({"name":7})", "`name` is missing"),
        std::pair(R"({"name":"x","timestamp":"soon"})", "`timestamp`"),
        std::pair(R"({"name":"x","timestamp":99999999999999})", "`timestamp`"),
        std::pair(R"({"name":"x","type":"click"})", "`type`"),
        std::pair(R"({"name":"x","data":[1]})", "no object"), std::pair("{", "not valid JSON"),
        std::pair("[]", "must be a JSON object"),
        std::pair(R"({"name":"x","data":{"n":1e999}})", "larger than a double")}) {
    const std::string answer = taken("POST /api/v1/customers/u-17/events", body);
    EXPECT_THAT(answer, HasSubstr("400 {\"meta\":{\"error\":")) << body;
    EXPECT_THAT(answer, HasSubstr(why)) << body;
  }
  EXPECT_THAT(taken("POST /api/v1/customers/u-17/events",
                    R"({"name":"x","data":{"a":")" + std::string(600'000, 'a') + "\"}}"),
              HasSubstr("413 "));
  for (const char* line :
       {"POST /api/v1/nothing", "GET /api/v1/customers/u-17", "POST /api/v1/customers/u-17/dance",
        "PUT /api/v1/customers/u-17/events", "POST /api/v2/nothing", "POST /api/v1/"})
    EXPECT_THAT(taken(line, "{}"), HasSubstr("404 ")) << line;
  EXPECT_THAT(taken("GET /api/v2/entity"), HasSubstr("405 "));
}

TEST_F(CustomerioTrackTest, devices) {
  EXPECT_EQ(
      taken("PUT /api/v1/customers/u-17/devices",
            R"({"device":{"id":"tok","platform":"ios","last_used":1772359100,"attributes":{"app":"2.1"}}})"),
      R"(200
track "Device Created or Updated" user=u-17 {"token":"tok","platform":"ios","last_used":1772359100,"app":"2.1"}
)");
  EXPECT_EQ(taken("DELETE /api/v1/customers/u-17/devices/a%2Fb"),
            "200\ntrack \"Device Deleted\" user=u-17 {\"token\":\"a/b\"}\n");
  EXPECT_THAT(taken("PUT /api/v1/customers/u-17/devices", R"({"device":{"platform":"ios"}})"),
              HasSubstr("400 "));
}

TEST_F(CustomerioTrackTest, merges) {
  EXPECT_EQ(taken("POST /api/v1/merge_customers", R"({"primary":{"id":"u-17"},"secondary":{"id":"u-18"}})"),
            "200\nalias user=u-17 previous=u-18\n");
  EXPECT_EQ(taken("POST /api/v1/merge_customers",
                  R"({"primary":{"id":"u-17"},"secondary":{"email":"old@example.com"}})"),
            "200\nalias user=u-17 context={\"previous\":{\"email\":\"old@example.com\"}}\n");
  EXPECT_THAT(taken("POST /api/v1/merge_customers",
                    R"({"primary":{"email":"kim@example.com"},"secondary":{"cio_id":"a3"}})"),
              HasSubstr(R"(alias previous=cio_a3 context={"traits":{"email":"kim@example.com"}})"));
  EXPECT_THAT(taken("POST /api/v1/merge_customers", R"({"primary":{"id":"u-17"}})"),
              HasSubstr("`secondary` is missing"));
}

TEST_F(CustomerioTrackTest, suppression_withdraws_consent_and_deletion_forgets) {
  EXPECT_EQ(taken("POST /api/v1/customers/u-17/suppress", "{}"),
            "200\nidentify user=u-17 {\"consent\":{\"email\":false,\"sms\":false,\"push\":false}}\n");
  scene_.config().settings["suppress_withdraws"] = "email,ads ,";
  EXPECT_EQ(taken("POST /api/v1/customers/u-17/suppress", "{}"),
            "200\nidentify user=u-17 {\"consent\":{\"email\":false,\"ads\":false}}\n");
  EXPECT_EQ(taken("POST /api/v1/customers/u-17/unsuppress", "{}"), "200\n");
  EXPECT_EQ(taken("DELETE /api/v1/customers/u-17"), "200\ndelete user=u-17\n");
  EXPECT_EQ(taken("DELETE /api/v1/customers/kim@example.com"),
            "200\ndelete context={\"traits\":{\"email\":\"kim@example.com\"}}\n");
}

TEST_F(CustomerioTrackTest, metrics_are_of_whom_they_name) {
  EXPECT_THAT(
      taken("POST /api/v1/metrics", R"({"delivery_id":"dg1","metric":"clicked","timestamp":1772359100,
                    "recipient":"kim@example.com","href":"https://example.com/x"})"),
      HasSubstr(
          R"(track "Email Link Clicked" at=2026-03-01T09:58:20.000Z context={"traits":{"email":"kim@example.com"}} {"channel":"email","metric":"clicked","delivery_id":"dg1","recipient":"kim@example.com","link_url":"https://example.com/x"})"));
  EXPECT_THAT(taken("POST /api/v1/push/events",
                    R"({"delivery_id":"dg1","event":"opened","device_id":"tok","timestamp":1772359100})"),
              HasSubstr("200\nrejected because it names a delivery and nobody"));
  EXPECT_THAT(taken("POST /api/v1/push/events", "{}"), HasSubstr("400 "));
}

TEST_F(CustomerioTrackTest, operations_of_v2) {
  EXPECT_EQ(
      entity(
          R"({"type":"person","action":"identify","identifiers":{"id":"u-17"},"attributes":{"plan":"pro"}})"),
      "200\nidentify user=u-17 {\"plan\":\"pro\"}\n");
  EXPECT_THAT(
      entity(
          R"({"type":"person","action":"identify","identifiers":{"phone":"+44 20 7946 0018"},"attributes":{}})"),
      HasSubstr(R"(identify context={"traits":{"phone":"+44 20 7946 0018"}} {"phone":"+44 20 7946 0018"})"));
  EXPECT_EQ(
      entity(
          R"({"type":"person","action":"event","identifiers":{"cio_id":"a3"},"name":"Trial Started","id":"01HZ",
                      "timestamp":1772359100,"attributes":{"days":14}})"),
      "200\ntrack \"Trial Started\" id=01HZ at=2026-03-01T09:58:20.000Z anonymous=cio_a3 {\"days\":14}\n");
  EXPECT_EQ(entity(R"({"type":"person","action":"page","identifiers":{"id":"u-17"},"name":"/"})"),
            "200\npage \"/\" user=u-17\n");
  EXPECT_EQ(entity(R"({"type":"person","action":"delete","identifiers":{"id":"u-17"}})"),
            "200\ndelete user=u-17\n");
  EXPECT_EQ(
      entity(
          R"({"type":"person","action":"merge","primary":{"id":"u-17"},"secondary":{"id":"u-18"},"timestamp":1772359200})"),
      "200\nalias user=u-17 previous=u-18\n");
  EXPECT_THAT(
      entity(
          R"({"type":"person","action":"add_device","identifiers":{"id":"u-17"},"device":{"token":"tok","platform":"ios"}})"),
      HasSubstr(R"({"token":"tok","platform":"ios"})"));
  EXPECT_THAT(entity(R"({"type":"object","action":"identify","identifiers":{"object_id":"a"}})"),
              HasSubstr("200\nrejected because"));
  EXPECT_EQ(entity(R"({"type":"person","action":"event","identifiers":{"id":"u-17"}})"),
            R"(400 {"errors":[{"reason":"required","field":"name","message":"`name` is missing"}]})"
            "\n");
  EXPECT_THAT(entity(R"({"type":"person","action":"event","name":"x"})"),
              HasSubstr("`identifiers` is missing"));
  EXPECT_THAT(entity(R"({"type":"person","action":"fly","identifiers":{"id":"u-17"}})"),
              HasSubstr("no such action"));
}

TEST_F(CustomerioTrackTest, a_batch_keeps_what_is_right) {
  EXPECT_EQ(
      scene_
          .take(request("POST /api/v2/batch", R"({"batch":[
      {"type":"person","action":"identify","identifiers":{"id":"u-1"}},
      {"type":"person","action":"event","identifiers":{"id":"u-1"}},
      {"type":"person","action":"event","identifiers":{"id":"u-1"},"name":"x","attributes":{"a":"\ud800"}},
      7,
      {"type":"person","action":"event","identifiers":{"id":"u-2"},"name":"x"}]})"))
          .answer.body,
      R"({"errors":[{"batch_index":1,"reason":"required","field":"name","message":"`name` is missing"},)"
      R"({"batch_index":2,"reason":"invalid","message":"a text has half of a surrogate pair (\\ud800 to \\udfff); send whole characters"},)"
      R"({"batch_index":3,"reason":"invalid","message":"an operation is an object"}]})");
  EXPECT_EQ(taken("POST /api/v2/batch", R"({"batch":[
      {"type":"person","action":"identify","identifiers":{"id":"u-1"}},
      {"type":"person","action":"event","identifiers":{"id":"u-1"}},
      {"type":"person","action":"event","identifiers":{"id":"u-2"},"name":"x"}]})"),
            "207\nidentify user=u-1 {}\ntrack \"x\" user=u-2\n");
  EXPECT_THAT(taken("POST /api/v2/batch", R"({"batch":[7,8]})"), HasSubstr("400 {\"errors\":["));
  for (const char* none : {"{}", R"({"batch":[]})", R"({"batch":{}})"})
    EXPECT_THAT(taken("POST /api/v2/batch", none), HasSubstr("`batch` is missing"));
  EXPECT_THAT(taken("POST /api/v2/batch", R"({"batch":[)"), HasSubstr("400 {\"errors\":["));
  std::string many = R"({"batch":[0)";
  for (int i = 0; i < 2'500; ++i) many += ",0";
  EXPECT_THAT(taken("POST /api/v2/batch", many + "]}"), HasSubstr("more than 2500"));
}

}  // namespace
}  // namespace tailrace::sources
