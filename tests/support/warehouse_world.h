// What the tests of every warehouse say in the same words: a destination against its stand-in, and what must
// hold of it whatever happens. A world of a test derives from WarehouseWorld and has a `server` (with `store`
// and `problems`) and rows(table), as whoever asks there sees them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <gmock/gmock.h>

#include "support/packs.h"
#include "support/scripted_transport.h"
#include "support/warehouse_tables.h"

namespace tailrace::testing {

struct WarehouseWorld {
  explicit WarehouseWorld(std::string_view type)
      : destination(*destinations::find_warehouse_destination(type)) {}
  Result<void> load(const TestPack& pack) {
    transport.add(pack);
    return destination.load(pack.pack, config, transport);
  }
  std::string error_of(const TestPack& pack) {
    const auto done = load(pack);
    return done ? "no error" : done.error().message;
  }

  const destinations::WarehouseDestination& destination;
  ScriptedTransport transport;
  destinations::Config config;
};

// Rows for a first pack: two events and another file of one; a person twice, and another.
inline const PackRows kEvents{{{"message_id", "m1"}, {"name", "Order Completed"}, {"revenue", "19.99"}},
                              {{"message_id", "m2"}}};
inline const PackRows kMore{{{"message_id", "m3"}}};
inline const PackRows kPeople{{{"person", "1"}, {"email", "old"}, {"version", "5"}},
                              {{"person", "1"}, {"email", "new"}, {"version", "7"}},
                              {{"person", "2"}, {"version", "6"}}};

// Two packs are loaded in worlds that are killed before and after each step, and every row is there once. The
// number of kills. also: what else must hold then.
template <class World>
std::uint64_t load_through_every_kill(const std::function<void(World&, const std::string& when)>& also =
                                          [](World&, const std::string&) {}) {
  const TestPack first = make_pack(1, {kEvents, kMore}, kPeople);
  const TestPack second = make_pack(2, {{{{"message_id", "m4"}}}}, {{{"person", "2"}, {"version", "9"}}});
  return survive_every_kill<World>(
      [] { return std::make_unique<World>(); },
      [&](World& world) -> Result<void> {
        TRY(world.load(first));
        return world.load(second);
      },
      [&](World& world, const std::string& when) {
        EXPECT_EQ(
            describe(world.rows("events")),
            "message_id=m1 name=Order Completed revenue=19.99\nmessage_id=m2\nmessage_id=m3\nmessage_id=m4")
            << when;
        EXPECT_EQ(describe(world.rows("people")), "email=new person=1 version=7\nperson=2 version=9") << when;
        PackRows packs = world.rows("_tailrace_packs");
        std::erase_if(packs, [](const PackRow& row) { return row.at("sync") != "warehouse"; });
        EXPECT_EQ(packs.size(), 2u) << when;
        EXPECT_EQ(world.server.problems, std::vector<std::string>()) << when;
        also(world, when);
      });
}

// What somebody changed there stops the load and says how to mend it. other_type: one that no number goes
// into.
template <class World>
void expect_drift_is_told(const std::string& other_type) {
  using ::testing::AllOf;
  using ::testing::HasSubstr;
  World world;
  EXPECT_THAT(world.error_of(make_pack(2, {kEvents}, {})), HasSubstr("holds no pack"));
  ASSERT_EQ(world.error_of(make_pack(1, {kEvents}, kPeople)), "no error");
  TestPack foreign = make_pack(1, {kMore}, {});
  foreign.pack.id = "other";
  EXPECT_THAT(world.error_of(foreign), HasSubstr("another pack 1"));
  world.server.store.tables.at("events").columns["revenue"] = other_type;
  EXPECT_THAT(world.error_of(make_pack(2, {kMore}, {})), HasSubstr("`revenue` of `events`"));
  world.server.store.tables.erase("events");
  EXPECT_THAT(world.error_of(make_pack(2, {kMore}, {})),
              AllOf(HasSubstr("had a table `events`"), HasSubstr("another name")));
}

// text_type: of the column that is added.
template <class World>
void expect_new_columns_are_added(const std::string& text_type) {
  World world;
  ASSERT_EQ(world.error_of(make_pack(1, {kEvents}, {})), "no error");
  auto tables = test_tables();
  tables[0].columns.push_back({"coupon", ColumnType::text, ""});
  ASSERT_EQ(world.error_of(make_pack(2, {{{{"message_id", "m9"}, {"coupon", "SPRING"}}}}, {}, tables)),
            "no error");
  EXPECT_EQ(world.server.store.tables.at("events").columns.at("coupon"), text_type);
  EXPECT_EQ(world.rows("events").size(), 3u);
  EXPECT_EQ(world.server.problems, std::vector<std::string>());
}

}  // namespace tailrace::testing
