// TikTok's API for Business as far as streaming audiences and the Events API 2.0 go.
//
// Where TikTok's pages leave a reading open, both are accepted: ids as texts or numbers, with or without the
// version in the path.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/audience_store.h"
#include "sandbox/event_store.h"
#include "sandbox/platform.h"

namespace tailrace::sandbox {

// A code of the envelope, which goes with HTTP 200.
struct TiktokError {
  std::int64_t code = 40002;
  std::string message;
};

template <class T>
using TiktokResult = std::expected<T, TiktokError>;

class Tiktok : public Platform {
 public:
  Tiktok(const Options& options, const Limits& limits);

  HttpResponse handle(const Call& call) override;
  std::vector<Limit> limits() const override;
  HttpResponse refuse(Refusal refusal, int status, const Call& call) override;
  std::optional<HttpResponse> control(const Call& call) override;
  std::vector<AudienceSummary> audiences() const override { return store_.summaries(); }
  Members* members(std::string_view audience) override { return store_.members(audience); }
  bool plant(const std::string& id, const std::string& name, const std::string& account) override {
    return store_.plant(id, name, account, AudienceStore::Account::digits);
  }

 private:
  // One identifier of a row, and the audiences it is for.
  struct Entry {
    MemberId id;
    std::vector<std::string> audiences;
  };
  using Row = std::vector<Entry>;

  TiktokResult<Value> answer(const Call& call);
  TiktokResult<Value> segment(const Value& body, Time now);
  TiktokResult<Value> map(const Value& body, Time now);
  TiktokResult<std::vector<Row>> read_rows(const Value& body, const std::vector<std::string>& advertisers);
  TiktokResult<Row> read_row(const Value& row, const std::vector<std::string>& schema, std::size_t number,
                             const std::vector<std::string>& advertisers);
  TiktokResult<Value> track(const Value& body, Time now);
  TiktokResult<Value> get(const Call& call);
  TiktokResult<Value> list(const Call& call) const;
  Value describe(const StoredAudience& audience, Time now) const;
  Millis lag() const { return {limits_.of("tiktok_processing_ms")}; }
  bool is_authorised(const Call& call) const;

  const Options& options_;
  const Limits& limits_;
  AudienceStore store_;
  EventStore events_;
  FixedWindow second_{kSecond};
  std::uint64_t requests_ = 0;
};

}  // namespace tailrace::sandbox
