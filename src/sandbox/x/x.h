// X's Ads API v12 as far as custom audiences and the conversion API go.
//
// Requests must be signed by OAuth 1.0a with the sandbox's own secrets, and with its token as oauth_token;
// any consumer key will do. A sandbox that accepts any token checks the form of the header alone.
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

inline constexpr std::string_view kXConsumerSecret = "sandbox-consumer-secret";
inline constexpr std::string_view kXTokenSecret = "sandbox-token-secret";

struct XError {
  int status = 400;
  std::string code = "INVALID_PARAMETER";
  std::string message;
  std::string parameter = {};
  // Per operation, in their order, where one of them is at fault; "" for those that are fine.
  std::vector<std::string> operations = {};
};

template <class T>
using XResult = std::expected<T, XError>;

class X : public Platform {
 public:
  X(const Options& options, const tailrace::sandbox::Limits& limits);

  HttpResponse handle(const Call& call) override;
  std::vector<Limit> limits() const override;
  std::optional<HttpResponse> control(const Call& call) override;  // GET events
  HttpResponse refuse(Refusal refusal, int status, const Call& call) override;
  std::vector<AudienceSummary> audiences() const override;
  Members* members(std::string_view audience) override;
  bool plant(const std::string& id, const std::string& name, const std::string& account) override;

 private:
  struct Audience {
    std::string name;
    std::string description;
    std::string account;
    Time created;
    Time changed;  // its members
    bool uploaded = false;
    Members members;
  };

  // Missing: the request is signed as it must be.
  std::optional<XError> authorise(const Call& call) const;
  XResult<Value> answer(const Call& call, const std::vector<std::string>& path);
  XResult<Value> answer_audiences(const Call& call, const std::string& account);
  XResult<Value> answer_audience(const Call& call, const std::string& account, const std::string& id);
  XResult<Value> create(const Call& call, const std::string& account);
  XResult<Value> upload(const Call& call, Audience& audience);
  XResult<Value> convert(const Call& call, const std::string& pixel);
  Value describe(const std::string& id, const Audience& audience, Time now) const;
  bool has_name(const std::string& account, const std::string& name, const std::string& but) const;
  HttpResponse error_response(const XError& error) const;

  const Options& options_;
  const tailrace::sandbox::Limits& limits_;
  KnownPeople known_;
  std::map<std::string, Audience> audiences_;
  FixedWindow calls_{kMinute};
  FixedWindow conversions_{kMinute * 15};
  ReceivedEvents events_;
  std::uint64_t created_ = 0;
};

}  // namespace tailrace::sandbox
