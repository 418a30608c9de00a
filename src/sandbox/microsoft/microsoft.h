// Microsoft Advertising as far as customer lists (Campaign Management v13, JSON) and the UET Conversions API
// go.
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

// A number says what is wrong; faults and errors of one item have the same.
struct MicrosoftError {
  std::int64_t code = 100;
  std::string name = "InvalidParameter";
  int status = 400;
};

template <class T>
using MicrosoftResult = std::expected<T, MicrosoftError>;

class Microsoft : public Platform {
 public:
  Microsoft(const Options& options, const tailrace::sandbox::Limits& limits);

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
    std::string description;
    std::string account;
    std::int64_t membership_days = 30;
    Time changed;
    Members members;
  };

  HttpResponse answer_events(const Call& call);
  MicrosoftResult<Value> answer(const Call& call, const std::vector<std::string>& path, const Value& body);
  MicrosoftResult<Value> create(const Call& call, const Value& body);
  MicrosoftResult<Value> query(const Value& body, Time now) const;
  MicrosoftResult<Value> apply(const Value& body, Time now);
  Value describe(std::int64_t id, const Audience& audience, Time now) const;
  static HttpResponse fault(const MicrosoftError& error);

  const Options& options_;
  const tailrace::sandbox::Limits& limits_;
  KnownPeople known_;
  std::map<std::int64_t, Audience> audiences_;
  FixedWindow calls_{kMinute};
  ReceivedEvents events_;
  std::int64_t next_audience_ = 813'000'001;
};

}  // namespace tailrace::sandbox
