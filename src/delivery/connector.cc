#include "delivery/connector.h"

#include <algorithm>

#include <fmt/format.h>

namespace tailrace::delivery {
namespace {

constexpr Millis kTokenRefreshEarly{5 * 60 * 1000};

}  // namespace

std::string with_code(const destinations::Reply& reply) {
  std::string text = reply.reason.empty() ? "the platform gave no reason" : reply.reason;
  text.resize(std::min(text.size(), kReasonBytesMax));
  const std::string code = fmt::format(" ({})", reply.code);
  return reply.code.empty() || text.ends_with(code) ? text : text + code;
}

std::string ending(Time at) {
  return fmt::format("its credentials end on {}: give it new ones before", format_time(at).substr(0, 10));
}

bool is_silence(const Result<HttpResponse>& response) { return !response || response->status >= 500; }

Connector::Access Connector::access(Time now) {
  if (!needs_token_) return {.ready = true, .fetch = {}};
  if (!token_.value.empty() && now < refresh_at_) return {.ready = true, .fetch = {}};
  if (fetching_token_) return {};
  if (now < token_at_) return {.fetch = {}, .at = token_at_};
  auto request = destination_->encode_token(*config_, now);
  if (!request) {
    needs_token_ = false;
    return {.ready = true, .fetch = {}};
  }
  fetching_token_ = true;
  return {.fetch = std::move(request)};
}

void Connector::on_token(const Result<HttpResponse>& response, Time now, const Backoff& backoff,
                         Millis refused_again, Random& random) {
  fetching_token_ = false;
  auto token = response ? destination_->decode_token(*response, now)
                        : Result<destinations::Token>(std::unexpected(response.error()));
  if (token && (token->value.empty() || token->expires_at <= now))
    token = fail(Error::Code::unavailable, "the access token had expired when it came");
  if (!token) {
    const bool passes = passes_by_itself(token.error());
    token_refused_ = !passes;
    token_problem_ = "no access token: " + token.error().message.substr(0, kReasonBytesMax);
    ++token_failures_;
    token_at_ = now + (passes ? backoff.wait(token_failures_, std::nullopt, random) : refused_again);
    return;
  }
  token_ = std::move(*token);
  ++token_generation_;
  // Early enough that no request meets its end, but never so early that a short-lived one is renewed at once.
  const Millis lifetime = token_.expires_at - now;
  refresh_at_ = token_.expires_at - std::min(kTokenRefreshEarly, Millis{lifetime.count / 4});
  token_failures_ = 0;
  token_refused_ = false;
  token_problem_.clear();
}

bool Connector::notice(const Result<HttpResponse>& response, Time now, const Backoff& backoff,
                       Random& random) {
  if (is_silence(response)) {
    breaker.on_silence(now, backoff, random);
    return false;
  }
  if (!breaker.on_answer()) return false;
  token_at_ = std::min(token_at_, now);
  return true;
}

}  // namespace tailrace::delivery
