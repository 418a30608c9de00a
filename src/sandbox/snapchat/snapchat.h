// Snapchat's Ads API as far as customer-list segments go, its token endpoint (/snapchat/token), and the
// Conversions API v3 (/snapchat/v3).
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/audience_store.h"
#include "sandbox/event_store.h"
#include "sandbox/platform.h"

namespace tailrace::sandbox {

struct SnapchatError {
  int status = 400;
  std::string code;  // "E3002"
  std::string message;
};

template <class T>
using SnapchatResult = std::expected<T, SnapchatError>;

class Snapchat : public Platform {
 public:
  Snapchat(const Options& options, const Limits& limits);

  HttpResponse handle(const Call& call) override;
  std::vector<Limit> limits() const override;
  HttpResponse refuse(Refusal refusal, int status, const Call& call) override;
  bool is_token_call(const Call& call) const override;
  std::optional<HttpResponse> control(const Call& call) override;
  std::vector<AudienceSummary> audiences() const override { return store_.summaries(); }
  Members* members(std::string_view audience) override { return store_.members(audience); }
  bool plant(const std::string& id, const std::string& name, const std::string& account) override {
    return store_.plant(id, name, account, AudienceStore::Account::any);
  }

 private:
  HttpResponse track(const Call& call);
  SnapchatResult<Value> answer(const Call& call);
  SnapchatResult<Value> answer_account(const Call& call, const std::string& account);
  SnapchatResult<Value> answer_segment(const Call& call, StoredAudience& segment);
  SnapchatResult<Value> write(const Call& call, const std::string& account, bool fresh);
  SnapchatResult<Value> upload(const Call& call, StoredAudience& segment, bool adds);
  Value describe(const StoredAudience& segment, Time now) const;
  Millis lag() const { return {limits_.of("snapchat_processing_ms")}; }
  HttpResponse error_response(const SnapchatError& error);

  const Options& options_;
  const Limits& limits_;
  AudienceStore store_;
  EventStore events_;
  FixedWindow minute_{kMinute};
  std::uint64_t requests_ = 0;
};

}  // namespace tailrace::sandbox
