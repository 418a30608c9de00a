// What the seven named segments cost without a product around them: plain loops over dense arrays, one table
// per event name in order of time, people numbered from zero, on one thread. The floor under every engine,
// and a check of their answers. One JSON object a line, for bench/peers.py.
//
//   reference_bench [--events 1000000] [--people 10000] [--tail 100000] [--batch 1000] [--batches 100]
//                   [--runs 9]
//
// From scratch, all is worked out from the events. Kept fresh, a batch is appended to the tables and to a sum
// per person (orders, revenue, last order), and all seven are worked out again.
#include <algorithm>
#include <array>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "workload.h"

namespace tailrace::bench {
namespace {

using Ids = std::vector<std::uint32_t>;

struct Table {
  std::vector<std::int64_t> time;
  Ids person;
  std::vector<std::uint32_t> cents;
  std::vector<std::uint8_t> cleanser;

  void append(const ShopEvent& event) {
    time.push_back(event.time.ms);
    person.push_back(event.person);
    cents.push_back(event.cents);
    cleanser.push_back(event.category == "cleanser" ? 1 : 0);
  }
  // The first row later than t.
  std::size_t after(Time t) const {
    return static_cast<std::size_t>(std::upper_bound(time.begin(), time.end(), t.ms) - time.begin());
  }
};

struct PerPerson {
  std::vector<std::uint32_t> orders;
  std::vector<std::int64_t> gross, net, last;  // cents; the time of the last order

  explicit PerPerson(std::size_t people) : orders(people), gross(people), net(people), last(people) {}
  void order(std::uint32_t person, std::uint32_t cents, std::int64_t time) {
    ++orders[person];
    gross[person] += cents;
    net[person] += cents;
    last[person] = std::max(last[person], time);
  }
  void refund(std::uint32_t person, std::uint32_t cents) { net[person] -= cents; }
};

class Reference {
 public:
  explicit Reference(const Shape& shape) : shape_(shape), sums_(shape.people) {
    for (std::uint32_t person = 0; person < shape.people; ++person) {
      high_.push_back(margin_tier(shape, person) == "high" ? 1 : 0);
    }
  }

  void append(const ShopEvent& event) {
    if (event.name == "Product Viewed") {
      views_.append(event);
    } else if (event.name == "Cart Started") {
      carts_.append(event);
    } else if (event.name == "Order Placed") {
      orders_.append(event);
      sums_.order(event.person, event.cents, event.time.ms);
    } else if (event.name == "Refunded") {
      refunds_.append(event);
      sums_.refund(event.person, event.cents);
    } else {
      others_.append(event);
    }
  }

  enum class Sums : unsigned char { kept, from_scratch };
  // 1 to 7. Members in no order.
  Ids members(int segment, Time now, Sums sums) const {
    switch (segment) {
      case 1:
        return viewed_without_order(now);
      case 2:
        return abandoned_cart(now);
      case 3:
        return ordered(now - Millis{30 * 60'000}, now, false);
      case 4:
        return ordered(now - kDay * 40, now - kDay * 25, true);
      default: {
        if (sums == Sums::kept) return of_sums(segment, now, sums_);
        PerPerson fresh(shape_.people);
        for (std::size_t i = 0; i < orders_.time.size(); ++i) {
          fresh.order(orders_.person[i], orders_.cents[i], orders_.time[i]);
        }
        if (segment == 6) {
          for (std::size_t i = 0; i < refunds_.time.size(); ++i) {
            fresh.refund(refunds_.person[i], refunds_.cents[i]);
          }
        }
        return of_sums(segment, now, fresh);
      }
    }
  }

 private:
  Ids viewed_without_order(Time now) const {
    std::vector<std::uint8_t> views(shape_.people);
    for (std::size_t i = views_.after(now - kDay * 7); i < views_.after(now); ++i) {
      std::uint8_t& seen = views[views_.person[i]];
      seen = static_cast<std::uint8_t>(std::min(seen + 1, 2));
    }
    for (std::size_t i = orders_.after(now - kDay); i < orders_.after(now); ++i) views[orders_.person[i]] = 0;
    Ids found;
    for (std::uint32_t person = 0; person < shape_.people; ++person) {
      if (views[person] == 2) found.push_back(person);
    }
    return found;
  }

  Ids abandoned_cart(Time now) const {
    const Millis grace = kHour * 2;
    std::vector<std::pair<std::uint32_t, std::int64_t>> orders;
    for (std::size_t i = orders_.after(now - kHour * 6); i < orders_.after(now); ++i) {
      orders.emplace_back(orders_.person[i], orders_.time[i]);
    }
    std::sort(orders.begin(), orders.end());
    Ids found;
    for (std::size_t i = carts_.after(now - kHour * 6); i < carts_.after(now - grace); ++i) {
      const auto next =
          std::lower_bound(orders.begin(), orders.end(), std::pair(carts_.person[i], carts_.time[i]));
      const bool ordered = next != orders.end() && next->first == carts_.person[i] &&
                           next->second <= carts_.time[i] + grace.count;
      if (!ordered) found.push_back(carts_.person[i]);
    }
    return once_each(std::move(found));
  }

  Ids ordered(Time after, Time until, bool cleanser) const {
    Ids found;
    for (std::size_t i = orders_.after(after); i < orders_.after(until); ++i) {
      if (!cleanser || orders_.cleanser[i] != 0) found.push_back(orders_.person[i]);
    }
    return once_each(std::move(found));
  }

  static Ids once_each(Ids ids) {
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }

  Ids of_sums(int segment, Time now, const PerPerson& sums) const {
    Ids found;
    if (segment == 6) return top_tenth(sums);
    const std::int64_t latest = (now - kDay * (segment == 5 ? 90 : 45)).ms;
    for (std::uint32_t person = 0; person < shape_.people; ++person) {
      if (sums.orders[person] < 2 || sums.last[person] > latest) continue;
      const bool is_one =
          segment == 5 ? sums.gross[person] >= std::int64_t{8000} * sums.orders[person] : high_[person] != 0;
      if (is_one) found.push_back(person);
    }
    return found;
  }

  // Rounded up; of equal ones, those who come first.
  Ids top_tenth(const PerPerson& sums) const {
    std::vector<std::pair<std::int64_t, std::uint32_t>> ranked;
    for (std::uint32_t person = 0; person < shape_.people; ++person) {
      if (sums.net[person] > 0) ranked.emplace_back(-sums.net[person], person);
    }
    const std::size_t count = (ranked.size() + 9) / 10;
    std::nth_element(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count), ranked.end());
    Ids found;
    for (std::size_t i = 0; i < count; ++i) found.push_back(ranked[i].second);
    return found;
  }

  Shape shape_;
  Table views_, carts_, orders_, refunds_, others_;
  PerPerson sums_;
  std::vector<std::uint8_t> high_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int run(int count, char** values) {
  const Shape shape{.people = argument(count, values, "people", 10'000),
                    .events = argument(count, values, "events", 1'000'000)};
  const std::uint64_t tail = std::min(shape.events, argument(count, values, "tail", 100'000));
  const std::uint64_t batch = argument(count, values, "batch", 1000);
  const std::uint64_t batches = argument(count, values, "batches", 100);
  const std::uint64_t runs = argument(count, values, "runs", 9);

  Reference reference(shape);
  Shop shop(shape);
  for (std::uint64_t i = 0; i < shape.events - tail; ++i) reference.append(shop.next());
  std::vector<ShopEvent> last;
  for (std::uint64_t i = 0; i < tail; ++i) last.push_back(shop.next());

  std::vector<double> fresh;
  double cpu = 0;
  std::size_t done = 0;
  while (done < last.size()) {
    const std::size_t until = fresh.size() < batches ? std::min<std::size_t>(done + batch, tail) : tail;
    const bool counts = fresh.size() < batches;
    const double wall_before = wall_seconds();
    const double cpu_before = thread_cpu_seconds();
    for (; done < until; ++done) reference.append(last[done]);
    if (!counts) break;
    for (int segment = 1; segment <= 7; ++segment) {
      reference.members(segment, last[done - 1].time, Reference::Sums::kept);
    }
    fresh.push_back((wall_seconds() - wall_before) * 1e3);
    cpu += thread_cpu_seconds() - cpu_before;
  }
  for (int segment = 1; segment <= 7; ++segment) {
    std::vector<double> wall, used;
    Ids found;
    for (std::uint64_t i = 0; i < runs; ++i) {
      const double wall_before = wall_seconds();
      const double cpu_before = thread_cpu_seconds();
      found = reference.members(segment, kEnd, Reference::Sums::from_scratch);
      wall.push_back((wall_seconds() - wall_before) * 1e3);
      used.push_back((thread_cpu_seconds() - cpu_before) * 1e3);
    }
    std::uint64_t sum = 0;
    for (const std::uint32_t person : found) sum += person;
    fmt::print(R"({{"what":"scratch","segment":"s{}","ms":{:.4f},"cpu_ms":{:.4f}}})"
               "\n",
               segment, median(wall), median(used));
    fmt::print(R"({{"what":"members","segment":"s{}","members":{},"sum":{}}})"
               "\n",
               segment, found.size(), sum);
  }
  if (fresh.empty()) return 0;
  double all = 0;
  for (const double ms : fresh) all += ms;
  const auto events = static_cast<double>(std::min<std::size_t>(fresh.size() * batch, tail));
  fmt::print(
      R"({{"what":"fresh","batch":{},"batches":{},"p50_ms":{:.4f},"max_ms":{:.4f},"events_per_s":{:.0f},"events_per_cpu_s":{:.0f}}})"
      "\n",
      batch, fresh.size(), median(fresh), *std::max_element(fresh.begin(), fresh.end()), events / all * 1e3,
      events / cpu);
  return 0;
}

}  // namespace
}  // namespace tailrace::bench

int main(int count, char** values) { return tailrace::bench::run(count, values); }
