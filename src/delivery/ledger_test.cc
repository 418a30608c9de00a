#include "delivery/ledger.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include "delivery/fake_platform.h"

namespace tailrace::delivery {
namespace {

using State = Membership::State;
constexpr PersonId kAda{1}, kBob{2};

destinations::UploadIdentifier phone(std::string value) {
  return {
      .kind = IdentifierKind::phone, .value = std::move(value), .hashed = true, .normalisation_version = 3};
}
Membership membership(State state, std::vector<destinations::UploadIdentifier> uploaded = {}) {
  Membership m;
  m.state = state;
  m.uploaded = std::move(uploaded);
  m.changed_at = Time{-5};
  m.received_at = Time{7};
  m.acknowledged_at = Time{9};
  m.reason = "because";
  return m;
}

class LedgerTest : public testing::Test {
 protected:
  LedgerTest() { reopen(); }
  void reopen() {
    ledger.reset();
    auto opened = Ledger::open(directory.path());
    ASSERT_TRUE(opened) << opened.error().message;
    ledger = std::move(*opened);
  }
  void put(PersonId person, const Membership& m, const std::string& sync = "s") {
    const MembershipChange change{person, m};
    ASSERT_TRUE(ledger->write(sync, {&change, 1}, {}));
  }
  // The bytes behind the ledger's back.
  void overwrite(const std::string& key, const std::string& value) {
    ledger.reset();
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, directory.path(), &db).ok());
    ASSERT_TRUE(db->Put({}, key, value).ok());
    delete db;
  }
  // As stored; the ledger must be closed.
  std::string raw(const std::string& key) {
    rocksdb::DB* db = nullptr;
    EXPECT_TRUE(rocksdb::DB::Open({}, directory.path(), &db).ok());
    std::string value;
    EXPECT_TRUE(db->Get({}, key, &value).ok());
    delete db;
    return value;
  }
  std::vector<PersonId> holders(std::string value) { return *ledger->holders("s", phone(std::move(value))); }
  std::string entries() {
    std::string text;
    EXPECT_TRUE(ledger->for_each_entry(
        "s", [&](PersonId person, Time at) { text += fmt::format("{}@{} ", person.value, at.ms); }));
    return text;
  }

  TemporaryDirectory directory;
  std::unique_ptr<Ledger> ledger;
};

TEST_F(LedgerTest, keeps_how_memberships_ended_for_warehouses_while_asked_to) {
  put(kAda, membership(State::adding, {phone("1")}));
  put(kAda, membership(State::member, {phone("1")}));
  EXPECT_EQ(*ledger->deliveries_end(), 1u) << "nobody asked";
  ledger->keep_deliveries(true);
  put(kBob, membership(State::adding, {phone("2")}));
  put(kBob, membership(State::member, {phone("2")}));
  put(kBob, membership(State::removing, {phone("2")}));
  put(kBob, membership(State::left));
  Membership refused = membership(State::rejected);
  refused.refused_at = Time{12};
  put(kAda, refused);
  DeliveryFact event{.id = 0,
                     .sync = "t",
                     .person = kAda,
                     .operation = DeliveryFact::Operation::event,
                     .outcome = DeliveryFact::Outcome::unknown,
                     .position = Position{64},
                     .event = "Order Placed",
                     .changed_at = {},
                     .received_at = Time{3},
                     .sent_at = {},
                     .acknowledged_at = Time{4},
                     .reason = "silence"};
  ASSERT_TRUE(ledger->write_stream("t", {}, {.dead = {}, .mended = {}, .refusals = {}, .settled = {event}}));
  reopen();
  const auto all = [&](std::uint64_t from, std::uint64_t to) {
    std::string text;
    EXPECT_TRUE(ledger->for_each_delivery(from, to, [&](const DeliveryFact& fact) {
      text += fmt::format("{}:{}/{}/{}/{}@{} ", fact.id, fact.sync, fact.person.value,
                          static_cast<int>(fact.operation), static_cast<int>(fact.outcome),
                          fact.acknowledged_at.ms);
      if (fact.operation == DeliveryFact::Operation::event) {
        event.id = fact.id;
        EXPECT_EQ(fact, event);
      }
    }));
    return text;
  };
  EXPECT_EQ(all(0, 100), "1:s/2/0/0@9 2:s/2/1/0@9 3:s/1/0/1@12 4:t/1/2/2@4 ");
  EXPECT_EQ(all(2, 4), "2:s/2/1/0@9 3:s/1/0/1@12 ");
  EXPECT_EQ(*ledger->deliveries_end(), 5u);
  EXPECT_EQ(ledger->verify()->size(), 0u);
}

// Ids are not given out again, and what is written after others were dropped is as good as before: also once
// the store is opened anew and reads what it had not yet put into files.
TEST_F(LedgerTest, drops_deliveries_that_all_warehouses_have) {
  ledger->keep_deliveries(true);
  for (std::uint32_t round = 0; round < 30; ++round) {
    for (std::uint32_t i = 0; i < 20; ++i) {
      put(PersonId{round * 20 + i}, membership(State::adding, {phone(std::to_string(round * 20 + i))}));
      put(PersonId{round * 20 + i}, membership(State::member, {phone(std::to_string(round * 20 + i))}));
    }
    ASSERT_TRUE(ledger->drop_deliveries(round * 20 + 11));
    if (round % 7 == 0) {
      reopen();
      ledger->keep_deliveries(true);
    }
  }
  std::vector<std::uint64_t> left;
  ASSERT_TRUE(
      ledger->for_each_delivery(0, UINT64_MAX, [&](const DeliveryFact& fact) { left.push_back(fact.id); }));
  ASSERT_EQ(left.size(), 10u);
  EXPECT_EQ(left.front(), 591u);
  EXPECT_EQ(left.back(), 600u);
  ASSERT_TRUE(ledger->drop_deliveries(UINT64_MAX));
  reopen();
  EXPECT_EQ(*ledger->deliveries_end(), 601u);
}

TEST_F(LedgerTest, keeps_the_state_of_a_warehouse_sync) {
  EXPECT_EQ(*ledger->warehouse_state("lake"), WarehouseState());
  const WarehouseState state{
      .begun = true,
      .packs = 3,
      .log = Position{100},
      .changes = Position{200},
      .deliveries = 5,
      .pending =
          WarehouseState::Pending{
              .log_end = Position{300}, .changes_end = Position{400}, .deliveries_end = 6, .cut_at = Time{7}},
      .schema = "[]",
      .rows = 8,
      .bytes = 9,
      .loaded_at = Time{10},
      .paused = true,
      .stopped_reason = "the bucket is full"};
  ASSERT_TRUE(ledger->write_warehouse("lake", state));
  reopen();
  EXPECT_EQ(*ledger->warehouse_state("lake"), state);
  EXPECT_EQ(ledger->verify()->size(), 0u);
}

TEST_F(LedgerTest, keeps_all_fields_over_a_restart) {
  Membership m = membership(State::member, {phone("1"), phone("2")});
  m.unanswered = true;
  m.sent_at = Time{77};
  m.live = true;
  m.refused_at = Time{78};
  m.dropped = 79;
  SyncState state;
  state.audience_id = "aud";
  state.sent = 1;
  state.accepted = 2;
  state.rejected = 3;
  state.next_batch_id = 4;
  state.last_success_at = Time{5};
  state.stopped_reason = "no permission";
  state.measured = destinations::Measurement{.size = 6, .match_rate = 0.7, .detail = "6-8"};
  state.measured_at = Time{9};
  const MembershipChange change{kAda, m};
  ASSERT_TRUE(ledger->write("s", {&change, 1}, state));
  reopen();
  EXPECT_EQ(**ledger->find("s", kAda), m);
  const SyncState read = *ledger->state("s");
  EXPECT_EQ(std::tie(read.audience_id, read.sent, read.accepted, read.rejected, read.next_batch_id),
            std::tie(state.audience_id, state.sent, state.accepted, state.rejected, state.next_batch_id));
  EXPECT_EQ(read.last_success_at, Time{5});
  EXPECT_EQ(read.stopped_reason, "no permission");
  EXPECT_EQ(read.measured->size, 6);
  EXPECT_EQ(read.measured->match_rate, 0.7);
  EXPECT_EQ(read.measured->detail, "6-8");
  EXPECT_EQ(read.measured_at, Time{9});
}

TEST_F(LedgerTest, syncs_do_not_see_one_another) {
  put(kAda, membership(State::member, {phone("1")}), "s");
  put(kBob, membership(State::member, {phone("1")}), "s2");
  EXPECT_EQ(holders("1"), std::vector{kAda});
  EXPECT_FALSE(*ledger->find("s", kBob));
  EXPECT_EQ(ledger->state("never seen")->next_batch_id, 1u);
}

TEST_F(LedgerTest, holders_follow_the_state) {
  const std::pair<State, bool> table[] = {{State::adding, true},   {State::member, true},
                                          {State::removing, true}, {State::rejected, false},
                                          {State::adding, true},   {State::left, false}};
  for (const auto& [state, holds] : table) {
    put(kAda, membership(state, {phone("1")}));
    EXPECT_EQ(holders("1").size(), holds ? 1u : 0u) << static_cast<int>(state);
  }
}

TEST_F(LedgerTest, holders_follow_the_identifiers) {
  put(kAda, membership(State::member, {phone("1"), phone("2")}));
  put(kBob, membership(State::member, {phone("2"), phone("3")}));
  EXPECT_EQ(holders("2"), (std::vector{kAda, kBob}));
  put(kAda, membership(State::member, {phone("1"), phone("3")}));
  EXPECT_EQ(holders("2"), std::vector{kBob});
  EXPECT_EQ(holders("3"), (std::vector{kAda, kBob}));
  // A value that begins like another is another.
  put(kAda, membership(State::member, {phone("22")}));
  EXPECT_EQ(holders("2"), std::vector{kBob});
}

TEST_F(LedgerTest, a_person_named_twice_ends_as_named_last) {
  const MembershipChange changes[] = {{kAda, membership(State::adding, {phone("1")})},
                                      {kAda, membership(State::adding, {phone("2")})}};
  ASSERT_TRUE(ledger->write("s", changes, {}));
  EXPECT_EQ(holders("1"), std::vector<PersonId>{});
  EXPECT_EQ(holders("2"), std::vector{kAda});
}

TEST_F(LedgerTest, an_entry_is_an_addition_that_follows_no_membership) {
  for (const State state : {State::adding, State::member, State::member, State::removing, State::left})
    put(kAda, membership(state));
  EXPECT_EQ(entries(), "1@9 ");
  Membership again = membership(State::member);
  again.acknowledged_at = Time{20};
  put(kAda, again);
  EXPECT_EQ(entries(), "1@9 1@20 ");
}

TEST_F(LedgerTest, find_many_answers_in_order) {
  put(kBob, membership(State::left));
  const PersonId people[] = {kAda, kBob, kAda};
  const auto found = *ledger->find_many("s", people);
  EXPECT_FALSE(found[0]);
  EXPECT_TRUE(found[1]);
  EXPECT_FALSE(found[2]);
}

TEST_F(LedgerTest, a_store_from_a_newer_version_is_refused_with_the_mend) {
  overwrite("version", std::string("\0\0\0\10", 4));
  const auto opened = Ledger::open(directory.path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Error::Code::unsupported);
  EXPECT_NE(opened.error().message.find("newer"), std::string::npos);
}

TEST_F(LedgerTest, what_older_formats_wrote_is_read_and_the_store_becomes_format_7) {
  constexpr std::size_t kGuards = 2 * (1 + 8 + 1 + 8 + 12 * 4) + 8 + 1;
  constexpr std::size_t kBaseline = 1 + 4 + 4 + 1 + 8 + 4 + 8 + 8 + 8 + 1 + 1;
  constexpr std::size_t kReupload = 8;
  constexpr std::size_t kSweep = 4 + 4 + 8 + 8;
  constexpr std::size_t kDestination = 4 + 4;
  for (const char version : {'\1', '\2', '\3', '\6'}) {
    SyncState state;
    state.reupload_asked_at = Time{5};
    state.sweep.end = PersonId{5};
    state.audience_id = "aud-1";
    state.destination = "shop";
    state.sent = 7;
    ASSERT_TRUE(ledger->write_state("s", state));
    ledger.reset();
    const std::string key("s\0\0\0\1s", 6);
    std::string bytes = raw(key);
    bytes.resize(bytes.size() - kSweep - (version == '\6' ? 0 : kReupload) -
                 (version >= '\3' ? 0 : kGuards + kBaseline) - (version == '\1' ? kDestination : 0));
    overwrite(key, bytes);
    overwrite("version", std::string("\0\0\0", 3) + version);
    ledger = *Ledger::open(directory.path());
    EXPECT_EQ(ledger->state("s")->audience_id, "aud-1");
    EXPECT_EQ(ledger->state("s")->sent, 7u);
    EXPECT_EQ(ledger->state("s")->destination, version == '\1' ? "" : "shop");
    EXPECT_EQ(ledger->state("s")->guards, GuardState{});
    EXPECT_EQ(ledger->state("s")->reupload_asked_at, version == '\6' ? Time{5} : Time{});
    EXPECT_EQ(ledger->state("s")->sweep, Sweep{});
    ledger.reset();
    EXPECT_EQ(raw("version"), std::string("\0\0\0\7", 4));
    ledger = *Ledger::open(directory.path());
  }
}

TEST_F(LedgerTest, what_guards_hold_and_have_counted_is_kept) {
  SyncState state;
  state.guards.filled = true;
  state.guards.begin(destinations::BatchKind::add, 5, Time{kHour.count * 1000});
  state.guards.removals = {.hold = GuardSide::Hold::change,
                           .held_at = Time{12},
                           .release_asked = true,
                           .released = 3,
                           .recent = {}};
  state.baseline = {.known = true,
                    .name = "VIP",
                    .description = "best",
                    .retention_days = 540,
                    .flag = "CLOSED",
                    .delivered = 1,
                    .size = 2,
                    .strangers = 3};
  state.frozen = true;
  state.reupload_asked_at = Time{99};
  state.sweep = {.next = PersonId{3}, .end = PersonId{9}, .clear_before = Time{98}, .removed_at = Time{97}};
  ASSERT_TRUE(ledger->write_state("s", state));
  reopen();
  EXPECT_EQ(ledger->state("s")->reupload_asked_at, Time{99});
  EXPECT_EQ(ledger->state("s")->sweep, state.sweep);
  EXPECT_EQ(ledger->state("s")->guards, state.guards);
  EXPECT_EQ(ledger->state("s")->baseline, state.baseline);
  EXPECT_TRUE(ledger->state("s")->frozen);
}

TEST_F(LedgerTest, a_membership_of_format_3_was_never_renewed) {
  Membership written = membership(State::member, {phone("1")});
  written.renewed_at = Time{80};
  put(kAda, written);
  EXPECT_EQ(**ledger->find("s", kAda), written);
  ledger.reset();
  const std::string key("m\0\0\0\1s\0\0\0\1", 10);
  std::string bytes = raw(key);
  bytes.resize(bytes.size() - 16);  // the time of renewal and what comes after it
  overwrite(key, bytes);
  overwrite("version", std::string("\0\0\0\3", 4));
  ledger = *Ledger::open(directory.path());
  written.renewed_at = Time{};
  EXPECT_EQ(**ledger->find("s", kAda), written);
}

TEST_F(LedgerTest, a_membership_of_format_5_was_told_without_attributes) {
  Membership written = membership(State::member, {phone("1")});
  written.attributes = 81;
  put(kAda, written);
  EXPECT_EQ(**ledger->find("s", kAda), written);
  ledger.reset();
  const std::string key("m\0\0\0\1s\0\0\0\1", 10);
  std::string bytes = raw(key);
  bytes.resize(bytes.size() - 8);
  overwrite(key, bytes);
  overwrite("version", std::string("\0\0\0\5", 4));
  ledger = *Ledger::open(directory.path());
  written.attributes = 0;
  EXPECT_EQ(**ledger->find("s", kAda), written);
}

TEST_F(LedgerTest, a_membership_of_format_2_has_no_times_of_sending) {
  Membership written = membership(State::member, {phone("1")});
  written.sent_at = Time{77};
  written.live = true;
  written.refused_at = Time{78};
  written.dropped = 79;
  put(kAda, written);
  ledger.reset();
  const std::string key("m\0\0\0\1s\0\0\0\1", 10);
  std::string bytes = raw(key);
  bytes.resize(bytes.size() - 41);  // all from the time of sending on
  overwrite(key, bytes);
  overwrite("version", std::string("\0\0\0\2", 4));
  ledger = *Ledger::open(directory.path());
  written.sent_at = Time{};
  written.live = false;
  written.refused_at = Time{};
  written.dropped = 0;
  EXPECT_EQ(**ledger->find("s", kAda), written);
}

TEST_F(LedgerTest, a_second_owner_is_refused) {
  const auto second = Ledger::open(directory.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Error::Code::conflict);
}

// Every shorter value, a longer one and one with a state that there is not.
TEST_F(LedgerTest, damaged_values_are_corrupt) {
  put(kAda, membership(State::member, {phone("1")}));
  ledger.reset();
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open({}, directory.path(), &db).ok());
  const std::string key("m\0\0\0\1s\0\0\0\1", 10);
  std::string whole;
  ASSERT_TRUE(db->Get({}, key, &whole).ok());
  delete db;
  std::vector<std::string> damaged{whole + "x", "\x7f" + whole.substr(1)};
  for (std::size_t length = 0; length < whole.size(); length += 9) damaged.push_back(whole.substr(0, length));
  for (const auto& bytes : damaged) {
    overwrite(key, bytes);
    reopen();
    const auto found = ledger->find("s", kAda);
    ASSERT_FALSE(found) << bytes.size();
    EXPECT_EQ(found.error().code, Error::Code::corrupt);
    EXPECT_FALSE(ledger->for_each("s", [](PersonId, const Membership&) {}));
  }
}

TEST_F(LedgerTest, a_store_that_is_no_ledger_is_corrupt) {
  TemporaryDirectory elsewhere;
  rocksdb::DB* db = nullptr;
  rocksdb::Options options;
  options.create_if_missing = true;
  ASSERT_TRUE(rocksdb::DB::Open(options, elsewhere.path(), &db).ok());
  ASSERT_TRUE(db->Put({}, "x", "y").ok());
  delete db;
  EXPECT_EQ(Ledger::open(elsewhere.path()).error().code, Error::Code::corrupt);
}

TEST_F(LedgerTest, a_checkpoint_is_a_ledger_of_its_own_as_of_that_instant) {
  put(kAda, membership(State::member, {phone("a")}));
  const std::string copy = directory.path() + "/copy";
  ASSERT_TRUE(ledger->checkpoint(copy));
  put(kBob, membership(State::member, {phone("b")}));
  ASSERT_TRUE(ledger->checkpoint(copy + "2"));
  const auto then = Ledger::open(copy);
  ASSERT_TRUE(then) << then.error().message;
  EXPECT_TRUE(*(*then)->find("s", kAda));
  EXPECT_FALSE(*(*then)->find("s", kBob));
  ASSERT_TRUE(remove_checkpoint(copy + "2"));
  EXPECT_FALSE(std::filesystem::exists(copy + "2"));
  EXPECT_TRUE(*ledger->find("s", kBob));
}

TEST_F(LedgerTest, verify_finds_values_and_holders_that_are_wrong) {
  put(kAda, membership(State::member, {phone("a"), phone("a"), phone("c")}));
  put(kBob, membership(State::left, {phone("b")}));
  EXPECT_EQ(*ledger->verify(), std::vector<std::string>{});
  const std::string sync("\0\0\0\1s", 5);
  overwrite("h" + sync + std::string("\3\0\0\0\1x\0\0\0\7", 10), "");  // a holder nobody claims
  reopen();
  ASSERT_EQ(ledger->verify()->size(), 1u);
  EXPECT_NE(ledger->verify()->front().find("1 identifiers are uploaded"), std::string::npos);
  overwrite("m" + sync + std::string("\0\0\0\2", 4), "nonsense");
  reopen();
  EXPECT_EQ(ledger->verify()->size(), 2u);
}

TEST_F(LedgerTest, a_ledger_that_was_brought_back_goes_on_with_other_batch_ids) {
  SyncState state;
  state.audience_id = "a1";
  state.next_batch_id = 9;
  ASSERT_TRUE(ledger->write_state("s", state));
  ASSERT_TRUE(ledger->skip_batch_ids());
  EXPECT_GT(ledger->state("s")->next_batch_id, 1'000'000u);
  EXPECT_EQ(ledger->state("s")->audience_id, "a1");
}

TEST_F(LedgerTest, a_directory_that_cannot_be_is_io) {
  std::ofstream(directory.path() + "/file") << "x";
  EXPECT_EQ(Ledger::open(directory.path() + "/file/ledger").error().code, Error::Code::io);
}

}  // namespace
}  // namespace tailrace::delivery
