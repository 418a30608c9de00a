#include "workload.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <numeric>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "model/json.h"
#include "model/record.h"
#include "workspace/workspace.h"

namespace tailrace::bench {
namespace {

constexpr std::array<std::string_view, 12> kEvents{
    "Product Viewed", "Page Viewed",   "Email Delivered",  "Email Opened", "Product Searched", "Cart Started",
    "Product Added",  "Email Clicked", "Checkout Started", "Order Placed", "Review Submitted", "Refunded"};
enum Kind : std::size_t {
  kView,
  kPage,
  kDelivered,
  kOpened,
  kSearch,
  kCart,
  kAdd,
  kClick,
  kCheckout,
  kOrder,
  kReview,
  kRefund
};
constexpr std::array<std::string_view, 12> kCategories{"cleanser", "serum",     "moisturizer", "sunscreen",
                                                       "toner",    "mask",      "exfoliant",   "eye cream",
                                                       "lip care", "body care", "hair care",   "gift set"};
constexpr std::array<std::string_view, 16> kCountries{"US", "US", "US", "US", "US", "US", "CA", "CA",
                                                      "GB", "GB", "DE", "FR", "AU", "NL", "SE", "BR"};
constexpr std::uint8_t kNoSession = 255;
constexpr int kShareSteps = 1 << 16;
constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ull;

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ull;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

std::uint32_t u32(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
Time start() { return kEnd - kSpan; }

constexpr std::uint32_t kItems = 20'000, kSubcategories = 2'000, kBrands = 1'500, kMarkets = 200;
constexpr std::uint32_t kWeeks = 26, kCampaignsAWeek = 40;

// What a shape with `catalogue` adds. A person who comes back to a product finds the same item; some are much
// more popular than others.
std::string catalogue_json(const ShopEvent& event) {
  const std::uint64_t of_person = mix(event.person * kGolden + 3);
  const auto popular = [](std::uint64_t hash, std::uint32_t count) {
    const double share = static_cast<double>(hash >> 11) / 9007199254740992.0;
    return u32(static_cast<std::uint64_t>(share * share * count));
  };
  if (event.category.empty()) {
    const std::int64_t week =
        std::min<std::int64_t>((event.time - start()).count / (kDay * 7).count, kWeeks - 1);
    return fmt::format(R"("campaign":"campaign-{}")",
                       u32(static_cast<std::uint64_t>(week)) * kCampaignsAWeek + of_person % kCampaignsAWeek);
  }
  const std::uint32_t item = popular(mix(of_person + event.product), kItems);
  return fmt::format(R"("subcategory":"subcategory-{}","brand":"brand-{}","market":"market-{}",)",
                     item % kSubcategories, mix(item) % kBrands, popular(of_person, kMarkets));
}

std::string properties_json(const Shape& shape, const ShopEvent& event) {
  std::string text = "{";
  if (shape.catalogue) text += catalogue_json(event);
  if (!event.category.empty()) {
    text += fmt::format(R"("product_id":"sku-{}","category":"{}")", event.product, event.category);
  }
  if (event.cents > 0) {
    text += fmt::format(R"({}"revenue":{}.{:02},"currency":"USD")", text.size() > 1 ? "," : "",
                        event.cents / 100, event.cents % 100);
  }
  if (event.order > 0) text += fmt::format(R"(,"order_id":"o-{}")", event.order);
  return text + "}";
}
std::string context_json(const ShopEvent& event) {
  return fmt::format(R"({{"library":{{"name":"analytics.js","version":"2.1.0"}},"page":{{"path":"/p/{}"}}}})",
                     event.product);
}
std::string message_id(const Shape& shape, const ShopEvent& event) {
  return fmt::format("m-{:016x}", mix(shape.seed * kGolden ^ (event.serial + 1)));
}

std::uint64_t hash_of(const Shape& shape, std::uint32_t person) {
  return mix(shape.seed * kGolden + person + 1);
}

struct Traits {
  Time created;
  std::uint64_t id;
  std::string json;
};
Traits traits_of(const Shape& shape, std::uint32_t person) {
  const std::uint64_t hash = hash_of(shape, person);
  const Time created = start() - Millis{static_cast<std::int64_t>((hash >> 20) % (900ull * 86'400'000ull))};
  return {
      created, mix(hash + 7),
      fmt::format(
          R"({{"email":"u{}@example.com","phone":"+1{}","country":"{}","created_at":"{}","margin_tier":"{}"}})",
          person, 2'000'000'000ull + mix(hash) % 7'999'999'999ull, kCountries[hash & 15],
          format_time(created), margin_tier(shape, person))};
}

double seconds_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

std::string_view margin_tier(const Shape& shape, std::uint32_t person) {
  const auto tier = (hash_of(shape, person) >> 8) % 100;
  return tier < 50 ? "low" : tier < 85 ? "mid" : "high";
}

Shop::Shop(const Shape& shape) : shape_(shape), state_(mix(shape.seed + 12345)) {
  const auto people = static_cast<double>(shape.people);
  person_of_share_.resize(kShareSteps + 1);
  const double shift = people / 200.0 + 1;
  const double exponent = 0.2;
  const double low = std::pow(shift, exponent);
  const double high = std::pow(people + shift, exponent);
  for (int i = 0; i <= kShareSteps; ++i) {
    person_of_share_[static_cast<std::size_t>(i)] =
        static_cast<float>(std::pow(low + (high - low) * i / kShareSteps, 1 / exponent) - shift);
  }
  stride_ = static_cast<std::uint64_t>(people * 0.6180339887) | 1;
  while (std::gcd(stride_, shape.people) != 1) stride_ += 2;
  const auto hours = static_cast<std::uint64_t>(kSpan.count / kHour.count);
  weight_until_hour_.resize(hours + 1);
  for (std::uint64_t hour = 0; hour < hours; ++hour) {
    const std::int64_t since_epoch = start().ms / kHour.count + static_cast<std::int64_t>(hour);
    const auto of_day = static_cast<int>(since_epoch % 24);
    const auto of_week = static_cast<int>((since_epoch / 24 + 4) % 7);
    double weight = 1 + 0.7 * std::sin((of_day - 9) / 24.0 * 2 * std::numbers::pi);
    weight *= of_week == 0 || of_week == 6 ? 1.15 : 1.0;
    weight_until_hour_[hour + 1] = weight_until_hour_[hour] + weight;
  }
  step_ = weight_until_hour_.back() / static_cast<double>(shape.events);
  millis_per_weight_ = static_cast<double>(kHour.count) / (weight_until_hour_[1] - weight_until_hour_[0]);
  const double per_second = static_cast<double>(shape.events) / (static_cast<double>(kSpan.count) / 1000.0);
  sessions_.resize(std::max<std::size_t>(16, static_cast<std::size_t>(per_second * 300)));
  orders_.resize(shape.events / 400 + 16);
}

std::uint64_t Shop::random() {
  __extension__ using Wide = unsigned __int128;
  state_ += 0xa0761d6478bd642full;
  const Wide product = static_cast<Wide>(state_) * (state_ ^ 0xe7037ed1a0b428dbull);
  return static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product);
}

std::uint32_t Shop::below(std::uint32_t limit) { return u32(std::uint64_t{u32(random())} * limit >> 32); }

std::uint32_t Shop::pick_person() {
  const std::uint64_t bits = random();
  const std::size_t step = bits >> 48;
  const float part = static_cast<float>((bits >> 24) & 0xffffff) * (1.0f / 16777216.0f);
  const float share = person_of_share_[step] + (person_of_share_[step + 1] - person_of_share_[step]) * part;
  const std::uint64_t rank = std::min(static_cast<std::uint64_t>(share), shape_.people - 1);
  return u32((rank * stride_ + 17) % shape_.people);
}

void Shop::pick_product(Session& session) {
  const std::uint64_t bits = random();
  session.category = static_cast<std::uint8_t>((bits & 3) != 0 ? (mix(session.person) + (bits >> 8) % 3) % 12
                                                               : (bits >> 8) % 12);
  session.product = session.category * 40u + u32((bits >> 32) % 40);
}

std::uint32_t Shop::price(std::uint32_t person) {
  const std::uint64_t bits = random();
  const std::uint32_t base = 1500 + u32((bits & 0xffff) * 6500 >> 16);
  const std::uint32_t quantity = 1u + ((bits >> 16) % 4 == 0) + ((bits >> 20) % 10 == 0);
  const std::uint32_t factor = 60 + u32(mix(person + 99ull) % 120);
  return u32(std::uint64_t{base} * quantity * factor / 100);
}

void Shop::message(ShopEvent& event, std::uint32_t draw) {
  if (draw >= 980 && order_count_ > 8) {
    const Order& order = orders_[below(u32(std::min<std::uint64_t>(order_count_, orders_.size())))];
    event.person = order.person;
    event.category = kCategories[order.category];
    event.name = kEvents[draw < 1010 ? kReview : kRefund];
    if (draw >= 1010) {
      event.cents = order.cents;
      event.order = order.order;
    }
    return;
  }
  event.name = kEvents[draw < 540 ? kDelivered : draw < 860 ? kOpened : draw < 980 ? kClick : kOpened];
  event.person = pick_person();
}

void Shop::browse(ShopEvent& event, std::uint64_t bits, std::uint32_t draw) {
  Session& session = sessions_[((bits >> 36) & 0xfffffff) % sessions_.size()];
  std::size_t kind = kPage;
  bool fresh = session.stage == kNoSession;
  const auto look = [&](std::size_t what) {
    kind = what;
    pick_product(session);
  };
  if (session.stage == 0) {
    if (draw < 530) {
      look(kView);
    } else if (draw >= 740 && draw < 820) {
      kind = kSearch;
    } else if (draw >= 820 && draw < 910) {
      kind = kCart;
      session.stage = 1;
    } else {
      fresh = draw >= 910;
    }
  } else if (session.stage == 1) {
    if (draw < 260) {
      look(kView);
    } else if (draw < 500) {
      look(kAdd);
    } else if (draw < 790) {
      kind = kCheckout;
      session.stage = 2;
    } else {
      fresh = true;
    }
  } else if (session.stage == 2) {
    if (draw < 640) {
      kind = kOrder;
    } else if (draw < 720) {
      look(kView);
    } else {
      fresh = true;
    }
  }
  if (fresh) {
    session.person = pick_person();
    session.stage = 0;
    look(kPage);
  }
  event.person = session.person;
  event.name = kEvents[kind];
  if (kind != kPage && kind != kSearch) {
    event.category = kCategories[session.category];
    event.product = session.product;
  }
  if (kind == kOrder) {
    event.cents = price(event.person);
    event.order = u32(++order_count_);
    orders_[order_count_ % orders_.size()] = {event.person, event.cents, event.order, session.category};
    session.stage = kNoSession;
  }
}

ShopEvent Shop::next() {
  ShopEvent event;
  event.serial = serial_++;
  const std::uint64_t bits = random();
  const double place =
      step_ * (static_cast<double>(event.serial) + static_cast<double>(bits & 0xffff) * (1.0 / 65536.0));
  while (hour_ + 2 < weight_until_hour_.size() && place >= weight_until_hour_[hour_ + 1]) {
    ++hour_;
    millis_per_weight_ =
        static_cast<double>(kHour.count) / (weight_until_hour_[hour_ + 1] - weight_until_hour_[hour_]);
  }
  const auto into_hour = static_cast<std::int64_t>((place - weight_until_hour_[hour_]) * millis_per_weight_);
  event.time =
      std::min(start() + kHour * static_cast<std::int64_t>(hour_) + Millis{into_hour}, kEnd - Millis{1});
  const auto draw = u32(bits >> 26) & 1023;
  if ((u32(bits >> 16) & 1023) < 256) {
    message(event, draw);
  } else {
    browse(event, bits, draw);
  }
  if (shape_.hot_events > 0 && mix(event.serial + kGolden) % shape_.events < shape_.hot_events) {
    event.person = kHotPerson;
  }
  return event;
}

std::string identify_json(const Shape& shape, std::uint32_t person) {
  const Traits traits = traits_of(shape, person);
  return fmt::format(
      R"({{"type":"identify","messageId":"i-{:016x}","userId":"u{}","timestamp":"{}","traits":{}}})",
      traits.id, person, format_time(traits.created), traits.json);
}

std::string track_json(const Shape& shape, const ShopEvent& event, Time timestamp) {
  return fmt::format(
      R"({{"type":"track","messageId":"{}","userId":"u{}","event":"{}","timestamp":"{}","context":{},"properties":{}}})",
      message_id(shape, event), event.person, event.name, format_time(timestamp), context_json(event),
      properties_json(shape, event));
}

void append_identify(const Shape& shape, std::uint32_t person, std::string& out) {
  const Traits traits = traits_of(shape, person);
  const std::string id = fmt::format("i-{:016x}", traits.id);
  const std::string user = fmt::format("u{}", person);
  RecordView record;
  record.kind = RecordKind::identify;
  record.received_at = start();
  record.time = traits.created;
  record.source = "web";
  record.message_id = id;
  record.user_id = user;
  record.payload = traits.json;
  if (!encode_record(record, out)) std::abort();
}

void append_track(const Shape& shape, const ShopEvent& event, Time received_at, std::string& out) {
  const std::string id = message_id(shape, event);
  const std::string user = fmt::format("u{}", event.person);
  const std::string properties = properties_json(shape, event);
  const std::string context = context_json(event);
  RecordView record;
  record.kind = RecordKind::track;
  record.received_at = received_at;
  record.time = event.time;
  record.source = "web";
  record.message_id = id;
  record.user_id = user;
  record.event = event.name;
  record.payload = properties;
  record.context = context;
  if (!encode_record(record, out)) std::abort();
}

namespace {

// Beside the seven: forms a marketing team writes, spread evenly over the event names. Those after the first
// hundred differ from them in their windows and numbers.
std::string generated_segment(std::size_t i) {
  static constexpr std::array<std::string_view, 6> kWindows{"30m", "6h", "24h", "3d", "14d", "45d"};
  static constexpr std::array<std::size_t, 6> kWindowMinutes{30, 360, 1440, 4320, 20'160, 64'800};
  const std::size_t round = i < 100 ? 0 : i / 8;
  const auto event = [&](std::size_t shift) { return kEvents[(i * 5 + shift) % 11]; };
  const auto window = [&](std::size_t shift) {
    const std::size_t at = (i + shift) % kWindows.size();
    return round == 0 ? std::string(kWindows[at]) : fmt::format("{}m", kWindowMinutes[at] + round);
  };
  const auto days = [&](std::size_t count) {
    return round == 0 ? fmt::format("{}d", count) : fmt::format("{}m", count * 1440 + round);
  };
  switch (i % 8) {
    case 0:
      return fmt::format(R"(performed "{}" at least {} times within {})", event(0), 2 + i % 4, window(0));
    case 1:
      return fmt::format(R"(performed "{}" within {} and not performed "{}" within {})", event(0), window(0),
                         event(3), window(2));
    case 2:
      return fmt::format(
          R"(last("{}") between 2h and {} ago and not performed "Order Placed" since last "{}")", event(0),
          days(1 + i % 9), event(0));
    case 3:
      return fmt::format(R"(count("{}") >= {} and country = "{}")", event(0), 3 + i % 20 + round,
                         kCountries[i % kCountries.size()]);
    case 4:
      return fmt::format(R"(performed "Order Placed" where category = "{}" within {})",
                         kCategories[i % kCategories.size()], days(10 + i % 60));
    case 5:
      return fmt::format(R"(performed "{}" within {} and margin_tier = "high")", event(0), window(3));
    case 6:
      return fmt::format(R"(sum("Order Placed".revenue) >= {} and not performed "{}" within {})",
                         50 * (1 + i % 10), event(0), window(4));
    default:
      return fmt::format(
          R"(distinct("Product Viewed".category within {}) >= {} and not performed "Order Placed" within {})",
          days(1 + i % 5), 2 + i % 3, window(2));
  }
}

// Of a large workspace, beyond the hundred: what a team makes again and again, of one value each.
std::string catalogue_segment(std::size_t i) {
  const std::uint64_t hash = mix(i * kGolden + 5);
  const std::uint64_t days = 3 + (hash >> 32) % 57;
  const std::string subcategory = fmt::format("subcategory-{}", hash % kSubcategories);
  const std::string brand = fmt::format("brand-{}", hash % kBrands);
  const std::string campaign = fmt::format("campaign-{}", hash % (kWeeks * kCampaignsAWeek));
  const std::string market = fmt::format("market-{}", hash % kMarkets);
  switch (i % 10) {
    case 0:
    case 1:
      return fmt::format(
          R"(performed "Product Viewed" where subcategory = "{}" at least {} times within {}d)", subcategory,
          2 + (hash >> 40) % 3, days);
    case 2:
      return fmt::format(
          R"(performed "Product Added" where subcategory = "{0}" within {1}d and not performed "Order Placed" where subcategory = "{0}" within {1}d)",
          subcategory, days);
    case 3:
      return fmt::format(R"(performed "Order Placed" where subcategory = "{}" within {}d)", subcategory,
                         days);
    case 4:
    case 5:
      return fmt::format(R"(performed "Product Viewed" where brand = "{}" within {}d)", brand, days);
    case 6:
      return fmt::format(R"(sum("Order Placed".revenue where brand = "{}" within {}d) >= {})", brand, days,
                         50 + (hash >> 40) % 200);
    case 7:
      return fmt::format(
          R"(performed "Email Opened" where campaign = "{0}" within {1}d and not performed "Email Clicked" where campaign = "{0}")",
          campaign, days);
    case 8:
      return fmt::format(
          R"(performed "Email Clicked" where campaign = "{}" within {}d and not performed "Order Placed" within 7d)",
          campaign, days);
    default:
      return fmt::format(
          R"(performed "Checkout Started" where market = "{}" within {}d and not performed "Order Placed" within {}h)",
          market, days, 1 + (hash >> 40) % 48);
  }
}

// Every length of time in the text, in minutes, at least one.
std::string scale_windows(std::string_view text, std::uint64_t percent) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    std::uint64_t number = 0;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') {
      number = number * 10 + static_cast<std::uint64_t>(text[end++] - '0');
    }
    const char unit = end > i && end < text.size() ? text[end] : ' ';
    const std::uint64_t minutes = unit == 'm' ? 1 : unit == 'h' ? 60 : unit == 'd' ? 1440 : 0;
    if (minutes > 0) {
      out += fmt::format("{}m", std::max<std::uint64_t>(1, number * minutes * percent / 100));
      i = end + 1;
    } else {
      end = std::max(end, i + 1);
      out += text.substr(i, end - i);
      i = end;
    }
  }
  return out;
}

constexpr std::array<std::string_view, kNamedSegments> kNamed{
    R"(performed "Product Viewed" at least 2 times within 7d and not performed "Order Placed" within 24h)",
    R"(performed "Cart Started" within 6h not followed by "Order Placed" within 2h)",
    R"(performed "Order Placed" within 30m)",
    R"(performed "Order Placed" where category = "cleanser" between 25d and 40d ago)",
    R"(count("Order Placed") >= 2 and avg("Order Placed".revenue) >= 80 and not performed "Order Placed" within 90d)",
    R"(top 10% by sum("Order Placed".revenue) - sum("Refunded".revenue) where sum("Order Placed".revenue) - sum("Refunded".revenue) > 0)",
    R"(margin_tier = "high" and count("Order Placed") >= 2 and not performed "Order Placed" within 45d)"};

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush()) {
    std::fprintf(stderr, "cannot write %s\n", path.c_str());
    std::exit(1);
  }
}

std::string segment_yaml(std::string_view name, std::string_view who) {
  return fmt::format("- name: {}\n  owner: bench\n  purpose: measuring\n  who: >\n    {}\n", name, who);
}

}  // namespace

std::vector<SegmentText> segment_texts(std::size_t count, std::uint64_t window_percent) {
  std::vector<SegmentText> result;
  for (std::size_t i = 0; i < count; ++i) {
    std::string who = i < kNamed.size() ? std::string(kNamed[i]) : generated_segment(i);
    if (window_percent != 100) who = scale_windows(who, window_percent);
    result.push_back({fmt::format("s{}", i + 1), std::move(who)});
  }
  return result;
}

std::vector<SegmentText> catalogue_segment_texts(std::size_t count) {
  std::vector<SegmentText> result = segment_texts(std::min<std::size_t>(count, 100));
  while (result.size() < count)
    result.push_back({fmt::format("s{}", result.size() + 1), catalogue_segment(result.size())});
  return result;
}

void write_workspace(const std::string& folder, std::span<const SegmentText> segments, Columns columns) {
  std::filesystem::create_directories(folder + "/segments");
  write_file(folder + "/tailrace.yaml",
             "name: bench\ngolden_id: external_id\ntime_zone: UTC\nwrite_keys:\n  - name: web\n    env: "
             "TAILRACE_WRITE_KEY\n");
  std::string taxonomy = "unknown_events: quarantine\nevents:\n";
  for (const auto name : kEvents) {
    taxonomy += fmt::format("  {}:\n    owner: bench\n", name);
    taxonomy += fmt::format(
        "    properties:\n      category: {{type: string{0}}}\n      product_id: {{type: string}}\n"
        "      revenue: {{type: number{0}}}\n",
        columns == Columns::indexed ? ", indexed: true" : "");
  }
  taxonomy +=
      "traits:\n  email: string\n  phone: string\n  country: string\n  created_at: time\n  margin_tier: "
      "string\n";
  write_file(folder + "/taxonomy.yaml", taxonomy);
  // In files of a size that a person could still read.
  for (std::size_t begin = 0; begin < segments.size(); begin += 1000) {
    std::string text;
    for (const SegmentText& segment :
         segments.subspan(begin, std::min<std::size_t>(1000, segments.size() - begin)))
      text += segment_yaml(segment.name, segment.who);
    write_file(fmt::format("{}/segments/bench-{}.yaml", folder, begin / 1000), text);
  }
}

void write_workspace(const std::string& folder, std::size_t segments) {
  write_workspace(folder, segment_texts(segments));
}

std::string workspace_json(std::span<const SegmentText> segments, Columns columns) {
  const std::string folder =
      fmt::format("{}/tailrace-bench-{}", std::filesystem::temp_directory_path().string(), ::getpid());
  write_workspace(folder, segments, columns);
  const auto loaded = workspace::load(folder);
  for (const auto& problem : loaded.problems) {
    if (!loaded.ok()) fmt::print(stderr, "{}\n", workspace::render(folder, problem));
  }
  std::filesystem::remove_all(folder);
  if (!loaded.ok()) std::exit(1);
  return to_json(workspace::to_value(loaded.workspace));
}

std::uint64_t random_at(std::uint64_t n) { return mix((n + 1) * kGolden); }

double process_cpu_seconds() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }
double thread_cpu_seconds() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }
double wall_seconds() { return seconds_of(CLOCK_MONOTONIC); }

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t argument(int count, char** values, std::string_view name, std::uint64_t otherwise) {
  for (int i = 1; i + 1 < count; ++i) {
    if (values[i] == "--" + std::string(name)) return std::strtoull(values[i + 1], nullptr, 10);
  }
  return otherwise;
}

}  // namespace tailrace::bench
