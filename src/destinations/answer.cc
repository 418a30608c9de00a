#include "destinations/answer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::destinations {
namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::vector<std::string_view> split_date(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" ,-"), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::optional<int> month_number(std::string_view name) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto found = std::find(kMonths.begin(), kMonths.end(), name);
  if (found == kMonths.end()) return std::nullopt;
  return static_cast<int>(found - kMonths.begin()) + 1;
}

// The three forms of RFC 9110: "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT" and
// "Sun Nov  6 08:49:37 1994".
std::optional<Time> parse_http_date(std::string_view text) {
  const auto parts = split_date(text);
  const bool asctime = parts.size() == 5;
  if (!asctime && parts.size() != 6) return std::nullopt;
  const auto month = month_number(parts[asctime ? 1 : 2]);
  const auto day = whole_number(parts[asctime ? 2 : 1]);
  auto year = whole_number(parts[asctime ? 4 : 3]);
  if (!month || !day || !year || *day < 1 || *day > 31 || *year < 0 || *year > 9999) return std::nullopt;
  // Two digits: no server that writes them was there before 1970.
  if (parts[asctime ? 4 : 3].size() == 2) *year += *year < 70 ? 2000 : 1900;
  const auto time =
      parse_time(fmt::format("{:04}-{:02}-{:02}T{}Z", *year, *month, *day, parts[asctime ? 3 : 4]));
  if (!time) return std::nullopt;
  return *time;
}

Millis bounded(Millis wait) { return std::clamp(wait, Millis{0}, kRetryAfterMax); }

Reply reply_of(Reply::Verdict verdict, std::string reason, std::string code) {
  Reply reply;
  reply.verdict = verdict;
  reply.reason = std::move(reason);
  reply.code = std::move(code);
  return reply;
}

}  // namespace

std::optional<Millis> retry_after(const HttpResponse& response) {
  const auto header = response.headers.get("retry-after");
  if (!header) return std::nullopt;
  if (const auto seconds = whole_number(*header))
    return bounded(kSecond * std::clamp<std::int64_t>(*seconds, 0, kRetryAfterMax.count / kSecond.count));
  const auto date = response.headers.get("date");
  const auto until = parse_http_date(*header);
  if (!date || !until) return std::nullopt;
  const auto sent = parse_http_date(*date);
  if (!sent) return std::nullopt;
  return bounded(*until - *sent);
}

std::optional<Time> sent_at(const HttpResponse& response) {
  const auto date = response.headers.get("date");
  return date ? parse_http_date(*date) : std::nullopt;
}

std::optional<Value> json_object(const HttpResponse& response) {
  auto value = parse_json(response.body);
  if (!value || value->kind != Value::Kind::object) return std::nullopt;
  return std::move(*value);
}

const Value* member(const Value* object, std::string_view key) {
  if (object == nullptr || object->kind != Value::Kind::object) return nullptr;
  return object->find(key);
}

std::string_view text_member(const Value* object, std::string_view key) {
  const Value* value = member(object, key);
  if (value == nullptr || value->kind != Value::Kind::string) return "";
  return value->string;
}

std::optional<std::int64_t> integer_member(const Value* object, std::string_view key) {
  const Value* value = member(object, key);
  if (value == nullptr) return std::nullopt;
  if (value->kind == Value::Kind::string) return whole_number(value->string);
  if (value->kind != Value::Kind::number) return std::nullopt;
  const auto decimal = value->number.as_decimal();
  if (!decimal || decimal->scale != 0) return std::nullopt;
  return decimal->mantissa;
}

std::optional<double> number_member(const Value* object, std::string_view key) {
  const Value* value = member(object, key);
  if (value == nullptr || value->kind != Value::Kind::number) return std::nullopt;
  return value->number.to_double();
}

std::optional<Millis> wait_until_reset(const HttpResponse& response, std::string_view header) {
  constexpr std::int64_t kSecondsOfAnInstant = 1'000'000'000;  // nobody waits for thirty years
  const auto text = response.headers.get(header);
  if (!text) return std::nullopt;
  const auto seconds = whole_number(text->substr(0, text->find('.')));  // some write "42.0"
  if (!seconds || *seconds < 0) return std::nullopt;
  if (*seconds < kSecondsOfAnInstant)
    return bounded(kSecond * std::min(*seconds, kRetryAfterMax.count / kSecond.count));
  const auto sent = sent_at(response);
  if (!sent || *seconds > kTimeMax.ms / kSecond.count) return std::nullopt;
  return bounded(Time{*seconds * kSecond.count} - *sent);
}

std::string code_word(std::string_view text) {
  constexpr std::size_t kLengthMax = 64;
  const bool fits = text.size() <= kLengthMax && std::all_of(text.begin(), text.end(), [](char c) {
                      return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
                    });
  return fits ? std::string(text) : std::string();
}

Reply accepted(Records records) {
  Reply reply;
  reply.outcomes.resize(records.count);
  return reply;
}

Reply rejected(Records records, std::string reason, std::string code) {
  Reply reply = reply_of(Reply::Verdict::done, "", std::move(code));
  reply.outcomes.assign(records.count, {Outcome::Kind::rejected, std::move(reason)});
  return reply;
}

Reply retry(std::string reason, std::string code, std::optional<Millis> after) {
  Reply reply = reply_of(Reply::Verdict::retry, std::move(reason), std::move(code));
  if (after) reply.retry_after = bounded(*after);
  return reply;
}

Reply reauthorise(std::string reason, std::string code) {
  return reply_of(Reply::Verdict::reauthorise, std::move(reason), std::move(code));
}

Reply stop(std::string reason, std::string code) {
  return reply_of(Reply::Verdict::stop, std::move(reason), std::move(code));
}

Reply split(Records records, std::string reason, std::string code) {
  if (records.count == 0) return stop(std::move(reason), std::move(code));
  if (records.count == 1) return rejected(records, std::move(reason), std::move(code));
  return reply_of(Reply::Verdict::split, std::move(reason), std::move(code));
}

Reply judge_status(Records records, const HttpResponse& response) {
  const int status = response.status;
  const std::string code = fmt::format("{}", status);
  if (status == 401) return reauthorise("the token is not accepted (HTTP 401)", code);
  if (status == 408) return retry("the platform waited too long for the request (HTTP 408)", code);
  if (status == 413) return split(records, "the request is too large (HTTP 413)", code);
  if (status == 429) return retry("throttled (HTTP 429)", code, retry_after(response));
  if (status >= 500)
    return retry(fmt::format("the platform failed (HTTP {})", status), code, retry_after(response));
  if (status >= 400) return stop(fmt::format("the platform refuses the request (HTTP {})", status), code);
  if (status >= 300)
    return stop(fmt::format("the platform answers with a redirect (HTTP {}): mend the URL", status), code);
  return retry(fmt::format("the answer cannot be read (HTTP {})", status), code);
}

std::unexpected<Error> failed(std::string_view what, const Reply& reply) {
  const bool again = reply.verdict == Reply::Verdict::retry;
  return fail(again ? Error::Code::unavailable : Error::Code::invalid_argument,
              fmt::format("{}: {}", what, reply.reason));
}

}  // namespace tailrace::destinations
