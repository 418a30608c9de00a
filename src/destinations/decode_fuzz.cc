// Feeds answers to every decoder. Input: one byte each for destination, status and number of people, then the
// value of the headers up to the first line end, then the body.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "destinations/audience_destination.h"

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kPrefixBytes) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + kPrefixBytes, size - kPrefixBytes);
  static const auto kDestinations = audience_destinations();
  const AudienceDestination& destination = *kDestinations[data[0] % kDestinations.size()];
  const HttpResponse response = response_of(kStatuses[data[1] % kStatuses.size()], text);
  const std::vector<Member> members(data[2] % 16,
                                    Member{"crm-1", std::vector<UploadIdentifier>(data[2] / 16), {}});
  Batch batch;
  batch.members = members;

  const Reply reply = destination.decode(batch, response);
  const bool done = reply.verdict == Reply::Verdict::done;
  TR_ASSERT(reply.outcomes.size() == members.size() || (!done && reply.outcomes.empty()));
  TR_ASSERT(!reply.retry_after || (*reply.retry_after >= Millis{0} && *reply.retry_after <= kDay));

  const auto created = destination.decode_create(response);
  TR_ASSERT(!created || !created->empty());
  const auto measured = destination.decode_measure(response);
  TR_ASSERT(!measured || !measured->match_rate || (*measured->match_rate >= 0 && *measured->match_rate <= 1));
  const auto token = destination.decode_token(response, Time{});
  TR_ASSERT(!token || token->expires_at > Time{});
  return 0;
}
