#include "destinations/checks.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "destinations/text.h"

namespace tailrace::destinations {
namespace {

constexpr std::uint32_t kRequestsPerMinuteMax = 1'000'000;

bool is_visible_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool is_this_machine(std::string_view authority) {
  constexpr std::array<std::string_view, 3> kLocal{"127.0.0.1", "localhost", "[::1]"};
  return std::any_of(kLocal.begin(), kLocal.end(), [&](std::string_view host) {
    return authority == host ||
           (authority.starts_with(host) && authority.substr(host.size()).starts_with(':'));
  });
}

std::string_view problem_of_url(std::string_view url, Query query) {
  if (!is_visible_ascii(url)) return "must not hold blanks or characters beyond ASCII";
  const bool secure = url.starts_with("https://");
  if (!secure && !url.starts_with("http://")) return "must begin with https://";
  std::string_view rest = url.substr(secure ? 8 : 7);
  const std::string_view authority = rest.substr(0, std::min(rest.find_first_of("/?#"), rest.size()));
  if (authority.empty() || authority.starts_with(':')) return "names no host";
  if (authority.find('@') != std::string_view::npos) return "must not hold a user name or password";
  if (!secure && !is_this_machine(authority))
    return "must begin with https:// unless the host is this machine";
  if (rest.find('#') != std::string_view::npos) return "must not hold a fragment (#)";
  if (query == Query::refused && rest.find('?') != std::string_view::npos) return "must not hold a query (?)";
  return "";
}

}  // namespace

void check_url(const Config& config, const std::string& name, Query query, Problems& problems) {
  const std::string& url = config.setting(name);
  if (url.empty()) return;
  if (const auto problem = problem_of_url(url, query); !problem.empty())
    problems.push_back(fmt::format("{} {}", name, problem));
}

void check_account_id(const Config& config, const std::string& name, Problems& problems) {
  const std::string digits = without_dashes(config.setting(name));
  if (digits.find_first_not_of("0123456789") != std::string::npos)
    problems.push_back(fmt::format("{} must be a number, such as 1234567890", name));
}

void check_plain(const Config& config, const std::string& name, Problems& problems) {
  if (!is_plain_text(config.setting(name))) problems.push_back(fmt::format("{} must be plain text", name));
}

void check_choice(const Config& config, const std::string& name, std::span<const std::string_view> choices,
                  Problems& problems) {
  const std::string& value = config.setting(name);
  if (value.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  problems.push_back(fmt::format("{} must be one of {}", name, fmt::join(choices, ", ")));
}

void check_boolean(const Config& config, const std::string& name, Problems& problems) {
  constexpr std::array<std::string_view, 2> kBooleans{"true", "false"};
  check_choice(config, name, kBooleans, problems);
}

void check_count(const Config& config, const std::string& name, std::uint32_t max, Problems& problems) {
  const std::string& text = config.setting(name);
  if (text.empty()) return;
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count < 1 || count > max)
    problems.push_back(fmt::format("{} must be a whole number from 1 to {}", name, max));
}

void check_audience_name(const Config& config, std::size_t characters_max, Problems& problems) {
  if (characters_in(config.audience_name) > characters_max)
    problems.push_back(
        fmt::format("the audience's name must not be longer than {} characters", characters_max));
}

void check_limits(const Config& config, const Limits& limits, Problems& problems) {
  check_count(config, std::string(kBatchRecordsMax.name), limits.batch_records_max, problems);
  const std::uint32_t per_minute = limits.requests_per_minute;
  check_count(config, std::string(kRequestsPerMinute.name),
              per_minute == 0 ? kRequestsPerMinuteMax : per_minute, problems);
}

void check_token(const Config& config, const std::string& name, Problems& problems) {
  if (!is_visible_ascii(config.secret(name)))
    problems.push_back(fmt::format("{} holds blanks, line ends or characters beyond ASCII", name));
}

}  // namespace tailrace::destinations
