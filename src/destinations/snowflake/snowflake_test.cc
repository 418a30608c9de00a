// Against strict stand-ins of Snowflake and of the store its stage looks into.
#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "destinations/snowflake/codec.h"
#include "support/snowflake_server.h"
#include "support/warehouse_world.h"

namespace tailrace::destinations {
namespace {

using ::testing::AllOf;
using testing::describe;
using ::testing::HasSubstr;
using testing::kEvents;
using testing::kMore;
using testing::kPeople;
using testing::make_pack;
using ::testing::Not;
using testing::ObjectStoreServer;
using testing::PackRows;
using testing::TestPack;

const std::string& private_key() {
  static const std::string kPem = [] {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_RSA_gen(2048), &EVP_PKEY_free);
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
    PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    char* bytes = nullptr;
    const long length = BIO_get_mem_data(out.get(), &bytes);
    return std::string(bytes, static_cast<std::size_t>(length));
  }();
  return kPem;
}

struct Warehouse : testing::WarehouseWorld {
  Warehouse() : WarehouseWorld("snowflake") {
    transport.server = [this](const HttpRequest& request) {
      return request.url.find("snowflakecomputing") != std::string::npos ? server.handle(request)
                                                                         : files.handle(request);
    };
    config.settings = {{"account", "example-account"},
                       {"user", "tailrace"},
                       {"database", "ANALYTICS"},
                       {"warehouse", "LOAD_WH"},
                       {"stage", "ANALYTICS.TAILRACE.STAGE"},
                       {"stage_location", "s3://example-lake/snowflake"}};
    config.secrets = {
        {"private_key", private_key()}, {"access_key_id", files.key_id}, {"secret_access_key", files.secret}};
    fill_defaults(destination, config);
  }
  PackRows rows(const std::string& table) const { return server.store.rows(table); }
  ObjectStoreServer files{ObjectStoreServer::Speaks::amazon};
  testing::SnowflakeServer server{files};
};

TEST(Snowflake, stages_files_and_copies_them_in_one_transaction) {
  Warehouse warehouse;
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents, kMore}, kPeople)), "no error");
  EXPECT_EQ(describe(warehouse.server.store.rows("events")),
            "message_id=m1 name=Order Completed revenue=19.99\nmessage_id=m2\nmessage_id=m3");
  EXPECT_EQ(describe(warehouse.server.store.rows("people")),
            "email=new person=1 version=7\nperson=2 version=6");
  EXPECT_EQ(warehouse.server.store.tables.at("events").columns.at("revenue"), "number(38, 9)");
  EXPECT_EQ(warehouse.files.objects.size(), 3u);
  EXPECT_EQ(warehouse.server.problems, std::vector<std::string>());
}

TEST(Snowflake, killed_at_any_step_every_row_is_there_once) {
  const auto kills =
      testing::load_through_every_kill<Warehouse>([](Warehouse& warehouse, const std::string& when) {
        EXPECT_EQ(warehouse.rows("_tailrace_packs").size(), 3u) << when;  // and the lock
        EXPECT_EQ(warehouse.files.problems, std::vector<std::string>()) << when;
      });
  EXPECT_GT(kills, 60u);
}

TEST(Snowflake, a_request_whose_answer_was_lost_is_asked_for_again_and_runs_once) {
  Warehouse warehouse;
  int lost = 0;
  warehouse.transport.server = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (request.url.find("snowflakecomputing") == std::string::npos) return warehouse.files.handle(request);
    HttpResponse answer = warehouse.server.handle(request);
    if (request.body.find("BEGIN TRANSACTION") != std::string::npos && lost++ == 0)
      return fail(Error::Code::unavailable, "the answer was lost");
    return answer;
  };
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents}, {})), "no error");
  EXPECT_EQ(lost, 2);
  EXPECT_EQ(warehouse.server.store.rows("events").size(), 2u);
}

TEST(Snowflake, a_transaction_that_fails_leaves_nothing) {
  Warehouse warehouse;
  warehouse.server.refuse_copies = "100080";
  const auto refused = warehouse.load(make_pack(1, {kEvents}, kPeople));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Error::Code::invalid_argument);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("altered"), Not(HasSubstr("ada@"))));
  EXPECT_EQ(warehouse.server.store.rows("events").size(), 0u);
  EXPECT_EQ(warehouse.server.store.rows("_tailrace_packs").size(), 1u);
  warehouse.server.refuse_copies = "";
  EXPECT_EQ(warehouse.error_of(make_pack(1, {kEvents}, kPeople)), "no error");
  EXPECT_EQ(warehouse.server.store.rows("events").size(), 2u);
}

TEST(Snowflake, a_dropped_table_an_altered_column_a_gap_and_a_foreign_pack_say_how_to_mend) {
  testing::expect_drift_is_told<Warehouse>("boolean");
}

TEST(Snowflake, new_columns_are_added) { testing::expect_new_columns_are_added<Warehouse>("varchar"); }

TEST(Snowflake, another_user_is_refused) {
  Warehouse warehouse;
  warehouse.config.settings["user"] = "somebody";
  EXPECT_THAT(warehouse.error_of(make_pack(1, {kEvents}, {})), HasSubstr("RSA_PUBLIC_KEY"));
}

TEST(Snowflake, the_probe_finds_out_about_the_stage) {
  Warehouse warehouse;
  EXPECT_TRUE(warehouse.destination.probe(warehouse.config, warehouse.transport));
  EXPECT_EQ(warehouse.files.objects.size(), 0u);
  warehouse.files.may_write = false;
  EXPECT_FALSE(warehouse.destination.probe(warehouse.config, warehouse.transport));
}

TEST(SnowflakeToken, names_account_user_and_the_key) {
  Config config;
  config.settings = {{"account", "abc12345.eu-central-1"}, {"user", "tailrace"}};
  config.secrets = {{"private_key", private_key()}};
  const std::string token = snowflake_codec::token(config, Time{1'772'359'200'000}).value();
  EXPECT_EQ(token, snowflake_codec::token(config, Time{1'772'359'200'000}).value());
  EXPECT_EQ(std::ranges::count(token, '.'), 2);
}

}  // namespace
}  // namespace tailrace::destinations
