// Pinterest's API v5 as far as customer lists, the audiences made of them and events go, and its token
// endpoint
// (/pinterest/v5/oauth/token).
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/audience_store.h"
#include "sandbox/event_store.h"
#include "sandbox/platform.h"

namespace tailrace::sandbox {

struct PinterestError {
  int status = 400;
  int code = 1;
  std::string message;
};

template <class T>
using PinterestResult = std::expected<T, PinterestError>;

class Pinterest : public Platform {
 public:
  Pinterest(const Options& options, const Limits& limits);

  HttpResponse handle(const Call& call) override;
  std::vector<Limit> limits() const override;
  HttpResponse refuse(Refusal refusal, int status, const Call& call) override;
  bool is_token_call(const Call& call) const override;
  std::optional<HttpResponse> control(const Call& call) override;
  std::vector<AudienceSummary> audiences() const override { return store_.summaries(); }
  Members* members(std::string_view audience) override { return store_.members(audience); }
  bool plant(const std::string& id, const std::string& name, const std::string& account) override;

 private:
  HttpResponse track(const Call& call, const std::string& account);
  PinterestResult<Value> answer(const Call& call);
  PinterestResult<Value> answer_lists(const Call& call, const std::string& account,
                                      const std::vector<std::string>& path);
  PinterestResult<Value> answer_audiences(const Call& call, const std::string& account,
                                          const std::vector<std::string>& path);
  PinterestResult<Value> create(const Call& call, const std::string& account);
  PinterestResult<Value> change(const Call& call, StoredAudience& list);
  void apply(StoredAudience& list, const std::vector<MemberId>& ids, bool adds, Time now);
  Value describe(const StoredAudience& list, Time now) const;
  Value describe_audience(const std::string& id, const StoredAudience& list, Time now) const;
  Millis lag() const { return {limits_.of("pinterest_processing_ms")}; }
  HttpResponse error_response(const PinterestError& error) const;

  struct Targeting {
    std::string name;
    std::string list;
  };

  const Options& options_;
  const Limits& limits_;
  AudienceStore store_;
  EventStore events_;
  std::map<std::string, Targeting> targeting_;  // by the audience's id
  std::int64_t next_targeting_ = 2'542'620'905'475;
  FixedWindow second_{kSecond};
};

}  // namespace tailrace::sandbox
