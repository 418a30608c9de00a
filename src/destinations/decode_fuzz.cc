// Feeds answers to every decoder, of audiences and of events. Input: one byte each for destination, status
// and number of people or events, then the value of the headers up to the first line end, then the body.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "destinations/audience_destination.h"
#include "destinations/event_destination.h"

namespace {

using namespace tailrace;
using namespace tailrace::destinations;

constexpr std::size_t kPrefixBytes = 3;
constexpr std::array<int, 12> kStatuses{200, 201, 204, 302, 400, 401, 403, 404, 410, 413, 429, 503};

HttpResponse response_of(int status, std::string_view text) {
  const std::size_t line_end = std::min(text.find('\n'), text.size());
  const std::string header(text.substr(0, line_end));
  HttpResponse response;
  response.status = status;
  for (const char* name : {"Retry-After", "X-Business-Use-Case-Usage", "Date"})
    response.headers.emplace_back(name, header);
  response.body = text.substr(std::min(line_end + 1, text.size()));
  return response;
}

void check_reply(const Reply& reply, std::size_t records) {
  const bool done = reply.verdict == Reply::Verdict::done;
  TR_ASSERT(reply.outcomes.size() == records || (!done && reply.outcomes.empty()));
  TR_ASSERT(!reply.retry_after || (*reply.retry_after >= Millis{0} && *reply.retry_after <= kDay));
  TR_ASSERT(reply.verdict != Reply::Verdict::split || records > 1);
  for (const Outcome& outcome : reply.outcomes)
    TR_ASSERT(outcome.reason.empty() == (outcome.kind == Outcome::Kind::accepted));
}

void check_token(const Destination& destination, const HttpResponse& response) {
  const auto token = destination.decode_token(response, Time{});
  TR_ASSERT(!token || token->expires_at > Time{});
}

void check_audience(const AudienceDestination& destination, const HttpResponse& response,
                    std::uint8_t count) {
  const std::vector<Member> members(count % 16,
                                    Member{"crm-1", std::vector<UploadIdentifier>(count / 16), {}});
  Batch batch;
  batch.members = members;
  check_reply(destination.decode(batch, response), members.size());
  const auto created = destination.decode_create(response);
  TR_ASSERT(!created || !created->empty());
  const auto measured = destination.decode_measure(response);
  TR_ASSERT(!measured || !measured->match_rate || (*measured->match_rate >= 0 && *measured->match_rate <= 1));
  static_cast<void>(destination.decode_find(response, Config{}));
  static_cast<void>(destination.decode_update(response));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kPrefixBytes) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + kPrefixBytes, size - kPrefixBytes);
  static const auto kAudiences = audience_destinations();
  static const auto kEvents = event_destinations();
  const HttpResponse response = response_of(kStatuses[data[1] % kStatuses.size()], text);
  const std::size_t which = data[0] % (kAudiences.size() + kEvents.size());
  if (which < kAudiences.size()) {
    check_audience(*kAudiences[which], response, data[2]);
    check_token(*kAudiences[which], response);
  } else {
    const EventDestination& destination = *kEvents[which - kAudiences.size()];
    check_reply(destination.decode(data[2], response), data[2]);
    check_token(destination, response);
  }
  return 0;
}
