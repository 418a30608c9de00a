// The seven segments of the benchmark, whose members at full size four other engines confirm (apply_bench),
// at the size of a test: compared at many instants, person by person, with straight loops over arrays that
// share nothing with the engine.
#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "base/random.h"
#include "engine/engine.h"
#include "model/json.h"
#include "workload.h"
#include "workspace/workspace.h"

namespace tailrace::bench {
namespace {

constexpr std::size_t kSegments = kExpected.size();
constexpr Millis kDelay{100};  // from an event to its receipt, where nothing is late

// ---- plain loops -----------------------------------------------------------------------------------------

struct Person {
  bool high_margin = false;
  std::vector<std::int64_t> views, carts;
  struct Order {
    std::int64_t time;
    std::int64_t cents;
    bool cleanser;
  };
  std::vector<Order> orders;
  std::vector<std::pair<std::int64_t, std::int64_t>> refunds;  // time, cents
};

using Members = std::array<std::set<std::uint32_t>, kSegments>;

struct Shopping {
  std::vector<Person> people;

  void add(const ShopEvent& event) {
    Person& person = people[event.person];
    if (event.name == "Product Viewed") person.views.push_back(event.time.ms);
    if (event.name == "Cart Started") person.carts.push_back(event.time.ms);
    if (event.name == "Order Placed")
      person.orders.push_back({event.time.ms, event.cents, event.category == "cleanser"});
    if (event.name == "Refunded") person.refunds.emplace_back(event.time.ms, event.cents);
  }

  // Who is in s1..s7 at t.
  Members members(std::int64_t t) const {
    constexpr std::int64_t kMinuteMs = 60'000;
    constexpr std::int64_t kHourMs = 60 * kMinuteMs;
    constexpr std::int64_t kDayMs = 24 * kHourMs;
    Members result;
    std::vector<std::pair<std::int64_t, std::uint32_t>> by_value;  // minus cents, id
    for (std::uint32_t id = 0; id < people.size(); ++id) {
      const Person& person = people[id];
      int views_7d = 0;
      for (const std::int64_t time : person.views) views_7d += time > t - 7 * kDayMs && time <= t;
      int orders = 0;
      std::int64_t last_order = INT64_MIN / 2;
      std::int64_t spent = 0;
      bool cleanser = false;
      for (const Person::Order& order : person.orders) {
        if (order.time > t) continue;
        ++orders;
        last_order = std::max(last_order, order.time);
        spent += order.cents;
        cleanser |= order.cleanser && order.time > t - 40 * kDayMs && order.time <= t - 25 * kDayMs;
      }
      std::int64_t net = spent;
      for (const auto& [time, cents] : person.refunds) net -= time <= t ? cents : 0;
      bool abandoned = false;
      for (const std::int64_t cart : person.carts) {
        bool bought = false;
        for (const Person::Order& order : person.orders)
          bought |= order.time >= cart && order.time <= cart + 2 * kHourMs && order.time <= t;
        abandoned |= cart > t - 6 * kHourMs && cart <= t - 2 * kHourMs && !bought;
      }
      const auto ordered_within = [&](std::int64_t span) { return last_order > t - span; };
      if (views_7d >= 2 && !ordered_within(kDayMs)) result[0].insert(id);
      if (abandoned) result[1].insert(id);
      if (ordered_within(30 * kMinuteMs)) result[2].insert(id);
      if (cleanser) result[3].insert(id);
      if (orders >= 2 && spent >= 8000 * orders && !ordered_within(90 * kDayMs)) result[4].insert(id);
      if (net > 0) by_value.emplace_back(-net, id);
      if (person.high_margin && orders >= 2 && !ordered_within(45 * kDayMs)) result[6].insert(id);
    }
    std::ranges::sort(by_value);
    for (std::size_t i = 0; i < (by_value.size() + 9) / 10; ++i) result[5].insert(by_value[i].second);
    return result;
  }
};

// ---- the engine ------------------------------------------------------------------------------------------

class InMemory final : public engine::Records {
 public:
  Result<RecordView> record(Position position, std::string& bytes) override {
    bytes = records_.at(position.value);
    return decode_record(bytes);
  }
  Position add(std::string bytes) {
    records_.push_back(std::move(bytes));
    return Position(records_.size() - 1);
  }

 private:
  std::vector<std::string> records_;
};

class Engine {
 public:
  explicit Engine(const Shape& shape) : shape_(shape) {
    const std::string folder =
        fmt::format("{}/tailrace-workload-{}", std::filesystem::temp_directory_path().string(), ::getpid());
    write_workspace(folder, kSegments);
    const auto loaded = workspace::load(folder);
    std::filesystem::remove_all(folder);
    EXPECT_TRUE(loaded.ok());
    const std::string json = to_json(workspace::to_value(loaded.workspace));
    RecordView record;
    record.kind = RecordKind::workspace;
    record.received_at = kEnd - kSpan;
    record.payload = json;
    std::string bytes;
    EXPECT_TRUE(encode_record(record, bytes));
    apply(std::move(bytes));
    while (engine_.work_pending()) EXPECT_TRUE(engine_.work());
    for (std::uint32_t person = 0; person < shape.people; ++person) {
      append_identify(shape, person, bytes = {});
      apply(std::move(bytes));
    }
  }

  void receive(const ShopEvent& event, Time received_at) {
    std::string bytes;
    append_track(shape_, event, received_at, bytes);
    apply(std::move(bytes));
  }
  void advance(Time t) {
    engine_.advance(t, output_);
    take_told();
  }

  Members members() const {
    Members result;
    for (std::uint32_t i = 0; i < kSegments; ++i) {
      for (const PersonId person : engine_.members(SegmentId(i))) result[i].insert(person.value);
    }
    return result;
  }
  // As those who entered and did not leave since.
  const Members& told() const { return told_; }
  Members members_at(Time t) {
    Members result;
    const workspace::Workspace& workspace = *engine_.workspace();
    for (std::size_t i = 0; i < kSegments; ++i) {
      const auto members = engine_.members_at(workspace, workspace.segments[i].expr, t);
      EXPECT_TRUE(members);
      for (const PersonId person : *members) result[i].insert(person.value);
    }
    return result;
  }
  engine::Counts counts() const { return engine_.counts(); }

 private:
  void apply(std::string bytes) {
    const auto record = decode_record(bytes);
    ASSERT_TRUE(record);
    // The view is of the bytes as they came; the copy in the log is for later.
    ASSERT_TRUE(engine_.apply(records_.add(bytes), *record, output_));
    take_told();
  }
  void take_told() {
    for (const Delta& delta : output_.deltas) {
      std::set<std::uint32_t>& members = told_[delta.segment.value];
      if (delta.change == Change::entered) {
        EXPECT_TRUE(members.insert(delta.person.value).second);
      } else {
        EXPECT_EQ(members.erase(delta.person.value), 1u);
      }
    }
    output_.clear();
  }

  Shape shape_;
  InMemory records_;
  engine::Engine engine_{records_};
  engine::Output output_;
  Members told_;
};

Shopping shopping_of(const Shape& shape) {
  Shopping shopping;
  shopping.people.resize(shape.people);
  for (std::uint32_t person = 0; person < shape.people; ++person)
    shopping.people[person].high_margin = identify_json(shape, person).contains(R"("margin_tier":"high")");
  return shopping;
}

// What is too much and what is missing, by segment.
std::string difference(const Members& got, const Members& expected) {
  std::string text;
  for (std::size_t i = 0; i < kSegments; ++i) {
    for (const std::uint32_t id : got[i])
      if (!expected[i].contains(id)) text += fmt::format("s{}: {} is in and should not be\n", i + 1, id);
    for (const std::uint32_t id : expected[i])
      if (!got[i].contains(id)) text += fmt::format("s{}: {} is not in and should be\n", i + 1, id);
  }
  return text;
}

TEST(SevenSegments, live_members_are_those_of_plain_loops_at_every_checkpoint) {
  const Shape shape{.people = 3'000, .events = 300'000, .seed = 1};
  Shopping shopping = shopping_of(shape);
  Engine engine(shape);
  Shop shop(shape);
  std::array<std::size_t, kSegments> seen{};
  for (std::uint64_t i = 1; i <= shape.events && !HasFailure(); ++i) {
    const ShopEvent event = shop.next();
    shopping.add(event);
    engine.receive(event, event.time + kDelay);
    if (i % 15'000 != 0) continue;
    const Time t = i == shape.events ? kEnd : event.time + kDelay;
    engine.advance(t);
    const Members expected = shopping.members(t.ms);
    EXPECT_EQ(difference(engine.members(), expected), "") << "live, at " << format_time(t);
    EXPECT_EQ(difference(engine.told(), expected), "") << "as told, at " << format_time(t);
    for (std::size_t s = 0; s < kSegments; ++s) seen[s] += expected[s].size();
  }
  EXPECT_THAT(seen, ::testing::Each(::testing::Gt(0u))) << "every segment had members at some checkpoint";
  EXPECT_EQ(engine.counts().events, shape.events);
}

// Events come up to three days late, in no order, and one in twenty comes twice.
TEST(SevenSegments, what_comes_late_and_twice_gives_the_same_now_and_in_the_past) {
  const Shape shape{.people = 1'000, .events = 60'000, .seed = 2};
  Shopping shopping = shopping_of(shape);
  Engine engine(shape);
  Shop shop(shape);
  Random random(7);
  std::vector<std::pair<Time, ShopEvent>> arrivals;
  for (std::uint64_t i = 0; i < shape.events; ++i) {
    const ShopEvent event = shop.next();
    shopping.add(event);
    const auto late = [&] {
      return event.time + Millis{static_cast<std::int64_t>(random.below(259'200'000))};
    };
    arrivals.emplace_back(late(), event);
    if (random.below(20) == 0) arrivals.emplace_back(late(), event);
  }
  std::ranges::stable_sort(arrivals, {}, [](const auto& arrival) { return arrival.first; });
  for (const auto& [received_at, event] : arrivals) engine.receive(event, received_at);
  const Time end = kEnd + kDay * 3;
  engine.advance(end);
  EXPECT_EQ(engine.counts().events, shape.events);
  EXPECT_EQ(engine.counts().duplicates, arrivals.size() - shape.events);
  EXPECT_EQ(difference(engine.members(), shopping.members(end.ms)), "") << "live";
  EXPECT_EQ(difference(engine.told(), shopping.members(end.ms)), "") << "as told";
  for (Time t = kEnd; t > kEnd - kSpan; t = t - kDay * 13 - Millis{7'654'321})
    EXPECT_EQ(difference(engine.members_at(t), shopping.members(t.ms)), "") << format_time(t);
}

}  // namespace
}  // namespace tailrace::bench
