// Reddit's Ads API v3 as far as customer lists and the Conversions API go. What Reddit's public pages leave
// open is taken the way that asks more of the caller, except where a limit chooses.
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/members.h"
#include "sandbox/platform.h"
#include "sandbox/received_events.h"
#include "sandbox/sandbox.h"
#include "sandbox/wire.h"

namespace tailrace::sandbox {

struct RedditError {
  int status = 400;
  std::string reason = "INVALID_REQUEST";
  std::string explanation;
};

template <class T>
using RedditResult = std::expected<T, RedditError>;

class Reddit : public Platform {
 public:
  Reddit(const Options& options, const tailrace::sandbox::Limits& limits);

  HttpResponse handle(const Call& call) override;
  std::vector<Limit> limits() const override;
  std::optional<HttpResponse> control(const Call& call) override;  // GET events
  HttpResponse refuse(Refusal refusal, int status, const Call& call) override;
  bool is_token_call(const Call& call) const override;
  std::vector<AudienceSummary> audiences() const override;
  Members* members(std::string_view audience) override;
  bool plant(const std::string& id, const std::string& name, const std::string& account) override;

 private:
  struct Audience {
    std::string name;
    std::string account;
    Members members;
  };

  RedditResult<Value> answer(const Call& call, const std::vector<std::string>& path);
  RedditResult<Value> create(const Value& data, const std::string& account);
  RedditResult<Value> update_users(const Value& data, Audience& audience, Time now);
  RedditResult<Value> convert(const Value& data, Time now);
  Value describe(const std::string& id, const Audience& audience) const;
  static HttpResponse error_response(const RedditError& error);

  const Options& options_;
  const tailrace::sandbox::Limits& limits_;
  KnownPeople known_;
  std::map<std::string, Audience> audiences_;
  FixedWindow calls_{kMinute};
  ReceivedEvents events_;
  ReceivedEvents test_events_;
  std::uint64_t created_ = 0;
};

}  // namespace tailrace::sandbox
