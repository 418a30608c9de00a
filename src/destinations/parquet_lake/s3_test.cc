// Against a real S3-compatible server, over real sockets (support/s3_server.h).
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "destinations/object_store/object_store.h"
#include "io/http_client.h"
#include "io/system_clock.h"
#include "support/s3_server.h"
#include "support/scripted_transport.h"

namespace tailrace::destinations {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::make_pack;
using testing::PackRows;
using testing::S3Server;
using testing::TestPack;

const PackRows kEvents{{{"message_id", "m1"}, {"name", "Order Completed"}}, {{"message_id", "m2"}}};

class RealS3 : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = S3Server::instance();
    if (server_ == nullptr) GTEST_SKIP() << S3Server::why();
    client_ = io::HttpClient::start({}).value();
    prefix_ =
        "s3://example-lake/" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name());
    configure();
  }

  void configure() {
    config_ = {};
    config_.settings = {{"location", prefix_}, {"endpoint_url", server_->url()}};
    config_.secrets = {{"access_key_id", S3Server::kKeyId}, {"secret_access_key", S3Server::kSecret}};
    fill_defaults(*destination_, config_);
  }

  void open(testing::ScriptedTransport& transport) {
    transport.clock = io::system_now();
    transport.server = [this](const HttpRequest& request) {
      const auto promise = std::make_shared<std::promise<Result<HttpResponse>>>();
      client_->send(request, {.private_addresses = true},
                    [promise](Result<HttpResponse> answer) { promise->set_value(std::move(answer)); });
      return promise->get_future().get();
    };
  }

  Result<void> load(const TestPack& pack) {
    testing::ScriptedTransport transport;
    open(transport);
    transport.add(pack);
    return destination_->load(pack.pack, config_, transport);
  }

  std::string object(const std::string& name) {
    testing::ScriptedTransport transport;
    open(transport);
    const auto store =
        open_object_store(parse_location(config_.settings["location"]).value(), config_, transport).value();
    return store->read(name).value().value_or("none");
  }

  static TestPack large_pack() {
    TestPack pack = make_pack(1, {kEvents}, {});
    PackFile& file = pack.pack.files[0];
    std::string& bytes = pack.bytes[file.path];
    for (int i = 0; bytes.size() < (17u << 20); ++i) bytes += std::to_string(i);
    file.bytes = bytes.size();
    file.sha256 = sha256_hex(bytes);
    return pack;
  }

  const WarehouseDestination* destination_ = find_warehouse_destination("parquet_lake");
  S3Server* server_ = nullptr;
  std::unique_ptr<io::HttpClient> client_;
  std::string prefix_;
  Config config_;
};

TEST_F(RealS3, takes_a_pack_and_the_same_again) {
  const TestPack pack = make_pack(1, {kEvents}, {{{"person", "1"}, {"version", "2"}}});
  for (int tries = 0; tries < 2; ++tries) {
    const auto done = load(pack);
    ASSERT_TRUE(done) << done.error().message;
  }
  for (const PackFile& file : pack.pack.files) EXPECT_EQ(object(file.name), pack.bytes.at(file.path));
  EXPECT_EQ(object(pack.pack.manifest_name), pack.pack.manifest);
  EXPECT_THAT(object("_manifests/latest.json"), HasSubstr("p000001_w"));
}

TEST_F(RealS3, signs_names_with_blanks_signs_and_letters_of_other_scripts) {
  config_.settings["location"] = prefix_ + "/a b/dt=2026-03-01/x+y&z/\xc3\xa9";
  const auto done = load(make_pack(1, {kEvents}, {}));
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_THAT(object("_manifests/latest.json"), HasSubstr("p000001_w"));
}

TEST_F(RealS3, takes_a_large_file_in_parts_and_the_same_again) {
  const TestPack pack = large_pack();
  const auto done = load(pack);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(load(make_pack(2, {kEvents}, {})));
  testing::ScriptedTransport transport;
  open(transport);
  transport.add(pack);
  EXPECT_TRUE(destination_->load(pack.pack, config_, transport));
  EXPECT_EQ(transport.log.size(), 2u) << "the pointer and the manifest tell that it is there";
}

TEST_F(RealS3, killed_at_any_step_of_a_large_file_it_is_whole_and_no_part_is_left) {
  struct World {
    testing::ScriptedTransport transport;
  };
  const TestPack pack = large_pack();
  int world_number = 0;
  const std::string prefix = prefix_;
  testing::survive_every_kill<World>(
      [&] {
        config_.settings["location"] = prefix + "/" + std::to_string(++world_number);
        auto world = std::make_unique<World>();
        open(world->transport);
        world->transport.add(pack);
        return world;
      },
      [&](World& world) { return destination_->load(pack.pack, config_, world.transport); },
      [&](World& world, const std::string& when) {
        EXPECT_THAT(object("_manifests/latest.json"), HasSubstr("p000001_w")) << when;
        // Asked for again without its pointer, every object is found as it should be.
        const auto store =
            open_object_store(parse_location(config_.settings["location"]).value(), config_, world.transport)
                .value();
        const auto again = store->create(pack.pack.files[0].name, pack.pack.files[0]);
        EXPECT_TRUE(again) << when << ": " << again.error().message;
      });
}

TEST_F(RealS3, another_object_of_the_name_is_left) {
  testing::ScriptedTransport transport;
  open(transport);
  const TestPack pack = make_pack(1, {kEvents}, {});
  const auto store = open_object_store(parse_location(prefix_).value(), config_, transport).value();
  ASSERT_TRUE(store->replace(pack.pack.files[0].name, "somebody's"));
  const auto done = load(pack);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("with other bytes"));
  EXPECT_EQ(object(pack.pack.files[0].name), "somebody's");
}

TEST_F(RealS3, says_what_is_wrong) {
  const auto error_with = [&](auto change) {
    configure();
    change(config_);
    const auto done = load(make_pack(1, {kEvents}, {}));
    return done ? std::string("no error") : done.error().message;
  };
  EXPECT_THAT(error_with([](Config& config) { config.settings["location"] = "s3://example-other/a"; }),
              HasSubstr("no such bucket"));
  EXPECT_THAT(error_with([](Config& config) { config.secrets["secret_access_key"] = "another"; }),
              HasSubstr("does not know the credentials"));
  EXPECT_THAT(error_with([](Config& config) { config.secrets["access_key_id"] = "nobody"; }),
              HasSubstr("does not know the credentials"));
  configure();
  testing::ScriptedTransport transport;
  open(transport);
  transport.clock = transport.clock - kHour;
  const TestPack pack = make_pack(1, {kEvents}, {});
  transport.add(pack);
  const auto late = destination_->load(pack.pack, config_, transport);
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("clock"));
}

TEST_F(RealS3, the_probe_succeeds) {
  testing::ScriptedTransport transport;
  open(transport);
  const auto done = destination_->probe(config_, transport);
  EXPECT_TRUE(done) << done.error().message;
}

}  // namespace
}  // namespace tailrace::destinations
