// LinkedIn's REST API as far as DMP segments of people and conversion events go, and its token endpoint
// (/linkedin/token).
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/audience_store.h"
#include "sandbox/event_store.h"
#include "sandbox/platform.h"

namespace tailrace::sandbox {

struct LinkedinError {
  int status = 400;
  std::string message;
  std::string code = {};  // "REVOKED_ACCESS_TOKEN"; "": none
  std::int64_t service_code = 100;
};

class Linkedin : public Platform {
 public:
  Linkedin(const Options& options, const Limits& limits);

  HttpResponse handle(const Call& call) override;
  std::vector<Limit> limits() const override;
  HttpResponse refuse(Refusal refusal, int status, const Call& call) override;
  bool is_token_call(const Call& call) const override;
  std::optional<HttpResponse> control(const Call& call) override;
  std::vector<AudienceSummary> audiences() const override { return store_.summaries(); }
  Members* members(std::string_view audience) override { return store_.members(audience); }
  bool plant(const std::string& id, const std::string& name, const std::string& account) override {
    return store_.plant(id, name, account, AudienceStore::Account::digits);
  }

 private:
  std::expected<HttpResponse, LinkedinError> answer(const Call& call);
  std::expected<HttpResponse, LinkedinError> track(const Call& call);
  std::expected<HttpResponse, LinkedinError> create(const Call& call);
  std::expected<HttpResponse, LinkedinError> find(const Call& call) const;
  std::expected<HttpResponse, LinkedinError> upload(const Call& call, StoredAudience& segment);
  // What one element of a batch is answered with; a good one has changed the segment.
  Value apply(const Value& element, StoredAudience& segment, Time now);
  Value describe(const StoredAudience& segment, Time now) const;
  Millis lag() const { return {limits_.of("linkedin_processing_ms")}; }

  const Options& options_;
  const Limits& limits_;
  AudienceStore store_;
  EventStore events_;
  FixedWindow minute_{kMinute};
};

}  // namespace tailrace::sandbox
