// The workload of the benchmarks: a shop's people and events over 180 days, and a workspace of 100 segments
// over them. The same arguments give the same records, in order of event time.
//
// Most events belong to a browsing session (browse, cart, checkout, order); a quarter are messaging, reviews
// and refunds. How active people are follows a Zipf law; days and weeks have their shape. Order value depends
// on the person. Sizes: 10 million events, 100,000 people, seed 1 is the standard run, for which the members
// of the seven named segments are known from four other engines (kExpected).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace tailrace::bench {

struct Shape {
  std::uint64_t people = 100'000;
  std::uint64_t events = 10'000'000;
  std::uint64_t seed = 1;
  std::uint64_t hot_events = 0;  // about so many of the events are of one person, kHotPerson
  // Events say more: of which of 2,000 subcategories and 1,500 brands a product is, for which of 1,040
  // campaigns (40 a week) a message was sent, to which of 200 markets an order goes.
  bool catalogue = false;
};
constexpr std::uint32_t kHotPerson = 7;

constexpr Time kEnd{1'767'225'600'000};  // all events are before this
constexpr Millis kSpan = kDay * 180;

struct ShopEvent {
  Time time;
  std::uint32_t person = 0;
  std::string_view name;
  std::string_view category;  // empty: the event has none
  std::uint32_t product = 0;
  std::uint32_t cents = 0;  // 0: no revenue
  std::uint32_t order = 0;
  std::uint64_t serial = 0;
};

class Shop {
 public:
  explicit Shop(const Shape& shape);
  // The next event; there are shape.events of them.
  ShopEvent next();

 private:
  struct Session {
    std::uint32_t person = 0;
    std::uint32_t product = 0;
    std::uint8_t stage = 255;  // 0 browsing, 1 has a cart, 2 at the checkout, 255 none
    std::uint8_t category = 0;
  };
  struct Order {
    std::uint32_t person, cents, order;
    std::uint8_t category;
  };
  std::uint64_t random();
  std::uint32_t below(std::uint32_t limit);
  std::uint32_t pick_person();
  void pick_product(Session& session);
  std::uint32_t price(std::uint32_t person);
  void message(ShopEvent& event, std::uint32_t draw);
  void browse(ShopEvent& event, std::uint64_t bits, std::uint32_t draw);

  Shape shape_;
  std::uint64_t state_;
  std::uint64_t serial_ = 0;
  std::uint64_t stride_;
  std::vector<float> person_of_share_;
  std::vector<double> weight_until_hour_;
  double step_ = 0;
  std::uint64_t hour_ = 0;
  double millis_per_weight_ = 0;
  std::vector<Session> sessions_;
  std::vector<Order> orders_;
  std::uint64_t order_count_ = 0;
};

// JSON as an unmodified client library sends it, without the enclosing batch.
std::string identify_json(const Shape& shape, std::uint32_t person);
std::string track_json(const Shape& shape, const ShopEvent& event, Time timestamp);

// Encoded records (model/record.h), received a moment after they happened.
void append_identify(const Shape& shape, std::uint32_t person, std::string& out);
void append_track(const Shape& shape, const ShopEvent& event, Time received_at, std::string& out);

// As people.csv has it: "low", "mid" or "high".
std::string_view margin_tier(const Shape& shape, std::uint32_t person);

struct SegmentText {
  std::string name;
  std::string who;
};
constexpr std::size_t kNamedSegments = 7;
// The seven named ones, s1 to s7, then generated ones; no two are alike. All their windows are so many
// percent as long as they would be.
std::vector<SegmentText> segment_texts(std::size_t count = 100, std::uint64_t window_percent = 100);
// A large workspace, over events of a shape with `catalogue`: the hundred, and beyond them segments about one
// subcategory, brand, campaign or market each.
std::vector<SegmentText> catalogue_segment_texts(std::size_t count);
// Does the taxonomy keep columns of `category` and `revenue` (`indexed`)?
enum class Columns : std::uint8_t { none, indexed };
// Writes tailrace.yaml, taxonomy.yaml and segments into a folder.
void write_workspace(const std::string& folder, std::span<const SegmentText> segments,
                     Columns columns = Columns::none);
void write_workspace(const std::string& folder, std::size_t segments = 100);
// The same as the payload of a workspace record. Ends the program when it is not valid.
std::string workspace_json(std::span<const SegmentText> segments, Columns columns = Columns::none);

// At kEnd, with the standard shape: how many are in segment s1..s7, and the sum of their ids.
struct Expected {
  std::uint64_t count, sum;
};
constexpr std::array<Expected, 7> kExpected{{{18'783, 939'026'836},
                                             {348, 16'919'918},
                                             {15, 991'388},
                                             {1'289, 63'211'769},
                                             {2'144, 107'090'418},
                                             {6'323, 316'573'051},
                                             {2'411, 121'018'629}}};

// The n-th of a fixed row of random numbers.
std::uint64_t random_at(std::uint64_t n);

// CPU seconds this process has used, and those of the calling thread. On a shared machine they say more than
// the clock.
double process_cpu_seconds();
double thread_cpu_seconds();
double wall_seconds();
std::uint64_t resident_bytes();
inline double mebibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// The most that was resident since it was made.
class PeakMemory {
 public:
  // Writing 5 makes the system forget the peak so far.
  PeakMemory() { std::ofstream("/proc/self/clear_refs") << "5\n"; }
  // Beyond so many bytes that are accounted for.
  std::uint64_t beyond(std::uint64_t bytes) const {
    std::ifstream status("/proc/self/status");
    std::uint64_t peak = 0;
    for (std::string word; status >> word;) {
      if (word == "VmHWM:") status >> peak;
    }
    return std::max(peak << 10, bytes) - bytes;
  }
};

// `--name value` of the command line, or the default.
std::uint64_t argument(int count, char** values, std::string_view name, std::uint64_t otherwise);

}  // namespace tailrace::bench
