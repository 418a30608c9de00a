#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "cli/dlq.h"

namespace tailrace::cli {
namespace {

Value time(Time at) { return at.ms == 0 ? Value() : Value::of(format_time(at)); }

}  // namespace

std::string_view to_string(delivery::DeadLetter::Of of) {
  switch (of) {
    case delivery::DeadLetter::Of::addition:
      return "addition";
    case delivery::DeadLetter::Of::removal:
      return "removal";
    case delivery::DeadLetter::Of::identifiers:
      return "identifiers";
  }
  return "";
}

Table letters_by_reason(std::span<const Letter> letters) {
  struct Group {
    std::uint64_t count = 0, dropped = 0;
    Time first = kNever, last = kForeverAgo;
  };
  std::map<std::tuple<std::string, std::string, std::string>, Group> groups;
  for (const Letter& letter : letters) {
    Group& group = groups[{letter.sync, letter.what, letter.reason}];
    ++(letter.dropped ? group.dropped : group.count);
    group.first = std::min(group.first, letter.at);
    group.last = std::max(group.last, letter.at);
  }
  std::vector<decltype(groups)::const_iterator> order;
  for (auto at = groups.cbegin(); at != groups.cend(); ++at) order.push_back(at);
  std::ranges::stable_sort(order,
                           [](const auto& a, const auto& b) { return a->second.count > b->second.count; });
  Table table({"sync", "what", "reason", "count", "dropped", "first", "last"});
  for (const auto& at : order) {
    const auto& [sync, what, reason] = at->first;
    table.add({Value::of(sync), Value::of(what), Value::of(reason), number(at->second.count),
               number(at->second.dropped), time(at->second.first), time(at->second.last)});
  }
  return table;
}

Table letters_one_by_one(std::span<const Letter> letters) {
  Table table({"at", "sync", "what", "person", "reason", "dropped"});
  for (const Letter& letter : letters) {
    table.add({time(letter.at), Value::of(letter.sync), Value::of(letter.what), Value::of(letter.person),
               Value::of(letter.reason), Value::of(letter.dropped)});
  }
  return table;
}

}  // namespace tailrace::cli
