#include "server/live_check.h"

#include <map>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tailrace::server {
namespace {

using Kind = LiveFinding::Kind;

constexpr Time kNow{1'772'323'200'000};

workspace::DestinationConfig destination(const std::string& name, const std::string& type,
                                         const std::string& setting, const std::string& value) {
  workspace::DestinationConfig config;
  config.name = name;
  config.type = type;
  config.settings[setting] = value;
  return config;
}

// Meta with an audience sync and a stream, and a lake.
workspace::Workspace shop() {
  workspace::Workspace shop;
  const workspace::SecretReference token{workspace::SecretReference::Kind::environment, "TOKEN"};
  shop.destinations = {destination("Meta", "meta_custom_audiences", "ad_account_id", "act_1"),
                       destination("Meta events", "meta_conversions", "dataset_id", "1"),
                       destination("Lake", "parquet_lake", "location", "lake")};
  for (const std::size_t i : {0U, 1U}) shop.destinations[i].credentials["access_token"] = token;
  shop.syncs.emplace_back();
  shop.syncs.back().name = "VIP";
  shop.syncs.back().destination = "Meta";
  shop.streams.emplace_back();
  shop.streams.back().name = "Purchases";
  shop.streams.back().destination = "Meta events";
  shop.warehouses.emplace_back();
  shop.warehouses.back().name = "Tables";
  shop.warehouses.back().destination = "Lake";
  return shop;
}

class LiveCheckTest : public ::testing::Test {
 protected:
  // "Meta/permissions: ok" by destination and what was asked.
  std::map<std::string, LiveFinding> check(const workspace::Workspace& workspace) {
    const LiveReach reach{
        .exchange = [this](const HttpRequest& request, const HttpReach&) -> Result<HttpResponse> {
          last_url = request.url;
          const std::string path = request.url.substr(0, request.url.find('?'));
          asked.push_back(request.method + " " + path.substr(path.rfind('/') + 1));
          if (!is_up) return fail(Error::Code::unavailable, "nobody is there");
          return HttpResponse{.status = 200, .headers = {}, .body = answers[asked.back()]};
        },
        .probe = [this](const WarehouseConnection& connection) -> Result<void> {
          asked.push_back("probe " + connection.config.setting("location"));
          return probe;
        }};
    const Secrets secrets = [this](const workspace::SecretReference&) -> Result<std::string> {
      if (!has_secret) return fail(Error::Code::not_found, "TOKEN is not set");
      return std::string("a-secret-token");
    };
    const auto findings = check_live(workspace, "/shop", secrets, reach, kNow);
    EXPECT_TRUE(findings) << (findings ? "" : findings.error().message);
    std::map<std::string, LiveFinding> by_name;
    for (const LiveFinding& finding : findings.value_or(std::vector<LiveFinding>())) {
      EXPECT_FALSE(finding.text.contains("a-secret-token")) << finding.text;
      by_name.emplace(finding.destination + "/" + finding.asked, finding);
    }
    return by_name;
  }

  std::map<std::string, std::string> answers{
      {"GET debug_token",
       R"({"data":{"is_valid":true,"scopes":["ads_management"],"expires_at":1893456000}})"},
      {"GET customaudiences", R"({"data":[]})"},
      {"GET 1", R"({"id":"1","name":"Shop"})"}};
  bool is_up = true;
  bool has_secret = true;
  Result<void> probe;
  std::vector<std::string> asked;
  std::string last_url;
};

TEST_F(LiveCheckTest, credentials_that_may_do_everything) {
  const auto found = check(shop());
  EXPECT_EQ(found.at("Meta/permissions").kind, Kind::fine);
  EXPECT_EQ(found.at("Meta/permissions").ends_at, Time{1'893'456'000'000});
  EXPECT_EQ(found.at("Meta/sync \"VIP\"").kind, Kind::fine);
  EXPECT_EQ(found.at("Meta events/permissions").kind, Kind::fine);
  EXPECT_EQ(found.at("Lake/sync \"Tables\"").kind, Kind::fine);
}

TEST_F(LiveCheckTest, an_event_of_nobody_is_sent_where_it_does_not_count) {
  workspace::Workspace pins;
  pins.destinations = {destination("Pinterest", "pinterest_conversions", "ad_account_id", "1")};
  pins.destinations[0].credentials["access_token"] = {workspace::SecretReference::Kind::environment, "TOKEN"};
  pins.streams.emplace_back();
  pins.streams.back().name = "Purchases";
  pins.streams.back().destination = "Pinterest";
  answers["POST events"] =
      R"({"num_events_received":1,"num_events_processed":1,"events":[{"status":"processed"}]})";
  EXPECT_EQ(check(pins).at("Pinterest/sync \"Purchases\"").kind, Kind::fine);
  EXPECT_TRUE(last_url.contains("test=true")) << last_url;
  answers["POST events"] =
      R"({"num_events_received":1,"num_events_processed":0,"events":[{"status":"failed","error_message":"no"}]})";
  EXPECT_EQ(check(pins).at("Pinterest/sync \"Purchases\"").kind, Kind::problem);
}

TEST_F(LiveCheckTest, nothing_is_changed_at_the_platform) {
  check(shop());
  EXPECT_EQ(asked, (std::vector<std::string>{"GET debug_token", "GET customaudiences", "GET 1",
                                             "probe /shop/lake"}));
}

TEST_F(LiveCheckTest, a_permission_that_lacks_is_named_and_ends_the_questions_there) {
  answers["GET debug_token"] = R"({"data":{"is_valid":true,"scopes":["ads_read"]}})";
  const auto found = check(shop());
  const LiveFinding& permissions = found.at("Meta/permissions");
  EXPECT_EQ(permissions.kind, Kind::problem);
  EXPECT_TRUE(permissions.text.contains("ads_management")) << permissions.text;
  EXPECT_FALSE(permissions.mend.empty());
  EXPECT_FALSE(found.contains("Meta/sync \"VIP\""));
  EXPECT_EQ(found.at("Lake/sync \"Tables\"").kind, Kind::fine);
}

TEST_F(LiveCheckTest, a_platform_that_is_down_is_no_problem_of_the_credentials) {
  is_up = false;
  EXPECT_EQ(check(shop()).at("Meta/permissions").kind, Kind::unreachable);
}

TEST_F(LiveCheckTest, a_secret_that_cannot_be_had_is_told_and_nobody_is_asked) {
  has_secret = false;
  const auto found = check(shop());
  EXPECT_EQ(found.at("Meta/credentials").kind, Kind::problem);
  EXPECT_TRUE(found.at("Meta/credentials").text.contains("TOKEN is not set"));
  EXPECT_EQ(asked, std::vector<std::string>{"probe /shop/lake"});
}

TEST_F(LiveCheckTest, an_audience_that_is_not_there) {
  auto workspace = shop();
  workspace.syncs.front().audience_id = "42";
  answers["GET 42"] =
      R"({"error":{"message":"gone","type":"GraphMethodException","code":100,"error_subcode":33}})";
  const auto found = check(workspace);
  EXPECT_EQ(found.at("Meta/sync \"VIP\"").kind, Kind::problem);
}

TEST_F(LiveCheckTest, a_warehouse_that_refuses) {
  probe = invalid("the folder cannot be written to");
  const auto found = check(shop());
  EXPECT_EQ(found.at("Lake/sync \"Tables\"").kind, Kind::problem);
  EXPECT_EQ(found.at("Lake/sync \"Tables\"").text, "the folder cannot be written to");
}

}  // namespace
}  // namespace tailrace::server
