// One configured destination while delivery runs: its token, its rate and its breaker, which the syncs to it
// share. No clock, no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/http.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "delivery/backoff.h"
#include "delivery/breaker.h"
#include "delivery/rate_limit.h"
#include "destinations/destination.h"

namespace tailrace::delivery {

// What of a platform's words is kept.
constexpr std::size_t kReasonBytesMax = 300;
// "the audience does not exist (1487301)".
std::string with_code(const destinations::Reply& reply);

// No answer, or the platform says that it does not work at all.
bool is_silence(const Result<HttpResponse>& response);

// Of a request that failed, or an answer that said so: later it may be otherwise.
inline bool passes_by_itself(const Error& error) {
  return error.code == Error::Code::unavailable || error.code == Error::Code::not_found;
}

// So long before credentials end their owner is told.
constexpr Millis kCredentialsWarning = kDay * 14;
// "its credentials end on 2027-03-01".
std::string ending(Time at);

class Connector {
 public:
  // Both are lent.
  Connector(const destinations::Destination& destination, const destinations::Config& config,
            std::uint32_t requests_per_minute)
      : rate(requests_per_minute), destination_(&destination), config_(&config) {}

  RateLimit rate;
  Breaker breaker;
  std::uint32_t changes_since_renewal = 0;  // requests of the syncs that keep audiences

  // When the next request may go: within the rate, and with somebody there to answer.
  Time may_speak_at() const { return std::max(breaker.next_at(), rate.next_at()); }

  // Whether requests can be authenticated now; where a token must be fetched first, its request is in
  // `fetch`, and one whose answer did not come yet or that is to wait is not asked for again before `at`.
  struct Access {
    bool ready = false;
    std::optional<HttpRequest> fetch;
    Time at = kNever;
  };
  Access access(Time now);
  // The answer to `fetch`. A refusal that does not pass by itself is tried again after `refused_again`.
  void on_token(const Result<HttpResponse>& response, Time now, const Backoff& backoff, Millis refused_again,
                Random& random);
  const std::string& token() const { return token_.value; }
  // Of the token a request went out with. Another sync may have renewed it since.
  std::uint64_t token_generation() const { return token_generation_; }
  void forget_token(std::uint64_t generation) {
    if (token_generation_ == generation) token_ = {};
  }
  bool needs_token() const { return needs_token_; }  // true until its destination says otherwise
  // The credentials are others from now on: what was refused may be taken.
  void renew() {
    token_ = {};
    token_refused_ = false;
    token_problem_.clear();
    token_failures_ = 0;
    token_at_ = kForeverAgo;
  }
  const std::string& token_problem() const { return token_problem_; }
  bool is_token_refused() const { return token_refused_; }  // and that does not pass by itself
  Time token_at() const { return token_at_; }               // not asked for before

  // Of every answer. True: somebody is there again, so that what waited for that may go.
  bool notice(const Result<HttpResponse>& response, Time now, const Backoff& backoff, Random& random);

 private:
  const destinations::Destination* destination_;
  const destinations::Config* config_;
  bool needs_token_ = true;
  destinations::Token token_;
  Time refresh_at_ = kForeverAgo;
  std::uint64_t token_generation_ = 0;
  bool fetching_token_ = false;
  Time token_at_ = kForeverAgo;
  std::uint32_t token_failures_ = 0;
  std::string token_problem_;
  bool token_refused_ = false;
};

}  // namespace tailrace::delivery
