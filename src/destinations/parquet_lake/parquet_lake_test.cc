// Against a strict stand-in of each store (support/object_store_server.h). What a real server says of the
// same requests is tested in tests/end_to_end/object_store_test.py.
#include <array>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "destinations/warehouse_destination.h"
#include "support/object_store_server.h"
#include "support/scripted_transport.h"

namespace tailrace::destinations {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Kill;
using testing::make_pack;
using testing::ObjectStoreServer;
using testing::PackRows;
using testing::ScriptedTransport;
using testing::TestPack;
using Speaks = ObjectStoreServer::Speaks;

const PackRows kEvents{{{"message_id", "m1"}, {"name", "Order Completed"}}, {{"message_id", "m2"}}};
const PackRows kPeople{{{"person", "1"}, {"version", "5"}}};

// A file so large that it goes out in parts.
TestPack with_large_file(TestPack pack) {
  PackFile& file = pack.pack.files[0];
  std::string& bytes = pack.bytes[file.path];
  bytes.resize((std::size_t{8} << 20) + 1000, 'x');
  file.bytes = bytes.size();
  file.sha256 = sha256_hex(bytes);
  return pack;
}

struct Store {
  explicit Store(Speaks speaks) : server(speaks) {
    transport.server = [this](const HttpRequest& request) -> Result<HttpResponse> {
      if (request.url.starts_with("https://oauth2.")) return HttpResponse{200, {}, token_answer};
      return server.handle(request);
    };
    config.settings["location"] = speaks == Speaks::amazon   ? "s3://example-lake/a b/lake/"
                                  : speaks == Speaks::google ? "gs://example-lake/a b/lake"
                                                             : "azure://example-lake/a b/lake";
    config.settings["storage_account"] = "exampleaccount";
    config.secrets = {{"access_key_id", "secret-access-key-id"}, {"secret_access_key", "secret-access-key"}};
    if (speaks == Speaks::azure) {
      server.secret = "c2VjcmV0LWFjY291bnQta2V5";
      config.secrets = {{"account_key", server.secret}};
    }
    fill_defaults(destination, config);
  }

  Result<void> load(const TestPack& pack) {
    transport.add(pack);
    return destination.load(pack.pack, config, transport);
  }
  std::string error_of(const TestPack& pack) {
    const auto done = load(pack);
    return done ? "no error" : done.error().message;
  }
  // "name: bytes" of the small ones, the bucket and the prefix left off.
  std::string names() const {
    std::string all;
    for (const auto& [name, object] : server.objects)
      all += name.substr(std::string("example-lake/a b/lake/").size()) + "\n";
    return all;
  }
  std::string object(const std::string& name) const {
    const auto found = server.objects.find("example-lake/a b/lake/" + name);
    return found == server.objects.end() ? "none" : found->second.bytes;
  }

  const WarehouseDestination& destination = *find_warehouse_destination("parquet_lake");
  ObjectStoreServer server;
  ScriptedTransport transport;
  Config config;
  std::string token_answer = R"({"access_token":"t1","expires_in":3600,"token_type":"Bearer"})";
};

class Lake : public ::testing::TestWithParam<Speaks> {
 protected:
  Store store_{GetParam()};
};

TEST_P(Lake, files_come_first_then_the_manifest_and_last_the_pointer) {
  const TestPack pack = make_pack(1, {kEvents, kEvents}, kPeople);
  ASSERT_EQ(store_.error_of(pack), "no error");
  EXPECT_EQ(store_.names(),
            "_manifests/latest.json\n_manifests/p000001_w.json\n"
            "events/dt=2026-03-01/events_v1_0_1000.parquet\nevents/dt=2026-03-01/events_v1_0_1000_1.parquet\n"
            "people/dt=2026-03-01/people_v1_0_1000.parquet\n");
  for (const PackFile& file : pack.pack.files) EXPECT_EQ(store_.object(file.name), pack.bytes.at(file.path));
  EXPECT_EQ(store_.object("_manifests/latest.json"),
            "{\"workspace\":\"shop\",\"sync\":\"warehouse\",\"sequence\":1,\"pack\":\"p000001_w\","
            "\"manifest\":\"_manifests/"
            "p000001_w.json\",\"begin\":0,\"end\":1000}\n");
  const auto& log = store_.transport.log;
  ASSERT_EQ(log.size(), 6u);
  EXPECT_THAT(log[4], HasSubstr("p000001_w.json"));
  EXPECT_THAT(log[5], HasSubstr("latest.json"));
  EXPECT_EQ(store_.server.problems, std::vector<std::string>());
}

TEST_P(Lake, the_same_pack_again_writes_nothing) {
  const TestPack pack = make_pack(1, {kEvents}, kPeople);
  ASSERT_EQ(store_.error_of(pack), "no error");
  ASSERT_EQ(store_.error_of(make_pack(2, {kEvents}, {})), "no error");
  const auto writes = store_.server.writes;
  EXPECT_EQ(store_.error_of(pack), "no error");
  EXPECT_EQ(store_.error_of(make_pack(2, {kEvents}, {})), "no error");
  EXPECT_EQ(store_.server.writes, writes);
}

TEST_P(Lake, killed_at_any_step_every_file_is_there_once_and_whole) {
  const TestPack first = make_pack(1, {kEvents}, kPeople);
  const TestPack second = make_pack(2, {kEvents}, {});
  testing::survive_every_kill<Store>(
      [&] { return std::make_unique<Store>(GetParam()); },
      [&](Store& store) -> Result<void> {
        TRY(store.load(first));
        return store.load(second);
      },
      [&](Store& store, const std::string& when) {
        EXPECT_EQ(store.server.objects.size(), 6u) << when;
        for (const TestPack* pack : {&first, &second}) {
          for (const PackFile& file : pack->pack.files)
            EXPECT_TRUE(store.object(file.name) == pack->bytes.at(file.path)) << when;
        }
        EXPECT_THAT(store.object("_manifests/latest.json"), HasSubstr("p000002_w")) << when;
        EXPECT_EQ(store.server.writes, 7u) << when;  // the pointer twice
        EXPECT_EQ(store.server.unfinished.size(), 0u) << when;
        EXPECT_EQ(store.server.problems, std::vector<std::string>()) << when;
      });
}

TEST_P(Lake, killed_at_any_step_a_large_file_is_there_whole_and_no_part_is_left) {
  const TestPack pack = with_large_file(make_pack(1, {kEvents}, {}));
  testing::survive_every_kill<Store>(
      [&] { return std::make_unique<Store>(GetParam()); }, [&](Store& store) { return store.load(pack); },
      [&](Store& store, const std::string& when) {
        EXPECT_TRUE(store.object(pack.pack.files[0].name) == pack.bytes.begin()->second) << when;
        EXPECT_EQ(store.server.writes, 3u) << when;
        EXPECT_EQ(store.server.unfinished.size(), 0u) << when;
        EXPECT_EQ(store.server.problems, std::vector<std::string>()) << when;
      });
}

TEST_P(Lake, a_name_that_other_bytes_have_is_left_and_stops_the_sync) {
  const TestPack pack = make_pack(1, {kEvents}, {});
  store_.server.objects["example-lake/a b/lake/" + pack.pack.files[0].name] = {"somebody's", {}};
  const auto done = store_.load(pack);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Error::Code::conflict);
  EXPECT_THAT(done.error().message,
              AllOf(HasSubstr(pack.pack.files[0].name), HasSubstr("location of its own")));
  EXPECT_EQ(store_.object(pack.pack.files[0].name), "somebody's");
  EXPECT_EQ(store_.object("_manifests/latest.json"), "none");
}

TEST_P(Lake, two_syncs_do_not_share_a_location) {
  ASSERT_EQ(store_.error_of(make_pack(1, {kEvents}, {})), "no error");
  TestPack other = make_pack(1, {kEvents}, {});
  other.pack.sync = "another";
  EXPECT_THAT(store_.error_of(other), HasSubstr("tables of another sync"));
}

TEST_P(Lake, a_gap_a_foreign_pack_and_a_damaged_pointer_say_how_to_mend) {
  EXPECT_THAT(store_.error_of(make_pack(2, {kEvents}, {})),
              AllOf(HasSubstr("holds no pack"), HasSubstr("another name")));
  ASSERT_EQ(store_.error_of(make_pack(1, {kEvents}, {})), "no error");
  EXPECT_THAT(store_.error_of(make_pack(3, {kEvents}, {})), HasSubstr("packs up to 1"));
  TestPack foreign = make_pack(1, {kEvents}, {});
  foreign.pack.id = "p000001_other";
  foreign.pack.manifest_name = "_manifests/p000001_other.json";
  EXPECT_THAT(store_.error_of(foreign), HasSubstr("another pack 1"));
  store_.server.objects["example-lake/a b/lake/_manifests/latest.json"].bytes = "{\"sequence\":";
  EXPECT_THAT(store_.error_of(make_pack(2, {kEvents}, {})), HasSubstr("cannot be read"));
}

TEST_P(Lake, a_full_store_and_a_wrong_clock_are_waited_for) {
  store_.server.full = true;
  auto done = store_.load(make_pack(1, {kEvents}, {}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Error::Code::unavailable);
  EXPECT_THAT(done.error().message, HasSubstr("full"));
  store_.server.full = false;
  if (GetParam() != Speaks::azure) {
    store_.transport.clock = store_.transport.clock - kHour;
    done = store_.load(make_pack(1, {kEvents}, {}));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Error::Code::unavailable);
    EXPECT_THAT(done.error().message, HasSubstr("clock"));
    store_.transport.clock = store_.transport.clock + kHour;
  }
  EXPECT_EQ(store_.error_of(make_pack(1, {kEvents}, {})), "no error");
}

TEST_P(Lake, revoked_rights_and_a_missing_bucket_stop_with_what_is_needed) {
  store_.server.may_write = false;
  EXPECT_THAT(store_.error_of(make_pack(1, {kEvents}, {})), HasSubstr("must be allowed"));
  store_.server.may_write = true;
  store_.server.bucket = "example-other";
  EXPECT_THAT(store_.error_of(make_pack(1, {kEvents}, {})), HasSubstr("create it, or mend `location`"));
  store_.server.bucket = "example-lake";
  store_.server.secret = "YW5vdGhlcg==";
  EXPECT_THAT(store_.error_of(make_pack(1, {kEvents}, {})), HasSubstr("does not know the credentials"));
}

TEST_P(Lake, a_local_file_that_is_damaged_is_not_sent) {
  TestPack pack = make_pack(1, {kEvents}, {});
  pack.bytes.begin()->second[8] ^= 1;
  const auto done = store_.load(pack);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Error::Code::corrupt);
  EXPECT_EQ(store_.server.objects.size(), 0u);
}

TEST_P(Lake, the_probe_leaves_nothing) {
  EXPECT_TRUE(store_.destination.probe(store_.config, store_.transport));
  EXPECT_EQ(store_.server.objects.size(), 0u);
  store_.server.may_write = false;
  EXPECT_FALSE(store_.destination.probe(store_.config, store_.transport));
}

const auto kNameOf = [](const auto& test) {
  constexpr std::array kNames{"amazon", "google", "azure"};
  return std::string(kNames.at(static_cast<std::size_t>(test.param)));
};
INSTANTIATE_TEST_SUITE_P(Stores, Lake, ::testing::Values(Speaks::amazon, Speaks::google, Speaks::azure),
                         kNameOf);

TEST(LakeAtAmazon, a_bucket_in_another_region_is_named) {
  Store store(Speaks::amazon);
  store.server.region = "eu-central-1";
  EXPECT_THAT(store.error_of(make_pack(1, {kEvents}, {})), HasSubstr("region: eu-central-1"));
}

TEST(LakeAtAmazon, a_store_that_knows_no_conditions_is_looked_at_before_it_is_written) {
  Store store(Speaks::amazon);
  store.server.knows_conditions = false;
  const TestPack pack = with_large_file(make_pack(1, {kEvents}, kPeople));
  ASSERT_EQ(store.error_of(pack), "no error");
  store.server.objects.erase("example-lake/a b/lake/_manifests/latest.json");
  ASSERT_EQ(store.error_of(pack), "no error");
  store.server.objects["example-lake/a b/lake/" + pack.pack.files[1].name].metadata.clear();
  store.server.objects.erase("example-lake/a b/lake/_manifests/latest.json");
  EXPECT_THAT(store.error_of(pack), HasSubstr("with other bytes"));
}

TEST(LakeAtAmazon, a_server_of_ones_own_is_asked_by_path) {
  Store store(Speaks::amazon);
  store.config.settings["endpoint_url"] = "https://minio.example.com:9000/";
  ASSERT_EQ(store.error_of(make_pack(1, {kEvents}, {})), "no error");
  EXPECT_THAT(store.transport.log[0],
              HasSubstr("https://minio.example.com:9000/example-lake/a%20b/lake/_manifests/latest.json"));
}

TEST(LakeInAFolder, killed_at_any_step_every_file_is_there) {
  struct Folder {
    ScriptedTransport transport;
  };
  const auto& destination = *find_warehouse_destination("parquet_lake");
  Config config;
  config.settings["location"] = "/srv/lake/";
  const TestPack pack = make_pack(1, {kEvents}, kPeople);
  const auto kills = testing::survive_every_kill<Folder>(
      [&] {
        auto folder = std::make_unique<Folder>();
        folder->transport.add(pack);
        return folder;
      },
      [&](Folder& folder) { return destination.load(pack.pack, config, folder.transport); },
      [&](Folder& folder, const std::string& when) {
        for (const PackFile& file : pack.pack.files)
          EXPECT_EQ(folder.transport.files["/srv/lake/" + file.name], pack.bytes.at(file.path)) << when;
        EXPECT_EQ(folder.transport.files["/srv/lake/" + pack.pack.manifest_name], pack.pack.manifest) << when;
        EXPECT_THAT(folder.transport.files["/srv/lake/_manifests/latest.json"], HasSubstr("p000001_w"))
            << when;
      });
  EXPECT_EQ(kills, 8u);
}

TEST(LakeLocation, is_checked) {
  const auto& destination = *find_warehouse_destination("parquet_lake");
  const auto problems = [&](const std::string& location) {
    Config config;
    config.settings["location"] = location;
    config.secrets = {{"access_key_id", ""}, {"secret_access_key", ""}};
    fill_defaults(destination, config);
    return fmt::format("{}", fmt::join(destination.check(config), "; "));
  };
  EXPECT_EQ(problems("/srv/lake"), "");
  EXPECT_EQ(problems("s3://example-lake"), "");
  EXPECT_EQ(problems("gs://example-lake/a/b"), "");
  EXPECT_THAT(problems("azure://example-lake/a"),
              AllOf(HasSubstr("storage_account"), HasSubstr("account_key")));
  EXPECT_THAT(problems("ftp://example.com"), HasSubstr("location must be a folder"));
  EXPECT_THAT(problems("s3://"), HasSubstr("must name a bucket"));
  EXPECT_THAT(problems("s3://example-lake/a/../b"), HasSubstr(".."));
  EXPECT_THAT(problems("s3://UPPER_case/a"), HasSubstr("must name a bucket"));
  EXPECT_THAT(problems("/"), HasSubstr("must name a folder"));
}

}  // namespace
}  // namespace tailrace::destinations
