// Meta's Graph API as far as customer-file custom audiences and the Conversions API go.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/members.h"
#include "sandbox/meta/meta_error.h"
#include "sandbox/meta/meta_events.h"
#include "sandbox/platform.h"
#include "sandbox/sandbox.h"
#include "sandbox/wire.h"

namespace tailrace::sandbox {

// The rows of one users or usersreplace call, judged.
struct MetaUpload {
  std::vector<std::vector<MemberId>> rows;  // the valid ones
  std::int64_t received = 0;
  std::int64_t invalid = 0;
  std::int64_t matched = 0;
  Value invalid_samples;  // object: "row 3" -> what is wrong with it
};

// Errors concern the whole request; a bad value makes its row invalid instead.
MetaResult<MetaUpload> read_meta_payload(const Value& payload, const KnownPeople& known);

class Meta : public Platform {
 public:
  Meta(const Options& options, const Limits& limits);

  HttpResponse handle(const Call& call) override;
  HttpResponse refuse(Refusal refusal, int status, const Call& call) override;
  std::optional<HttpResponse> control(const Call& call) override { return events_.control(call); }
  std::vector<AudienceSummary> audiences() const override;
  Members* members(std::string_view audience) override;
  bool plant(const std::string& id, const std::string& name, const std::string& account) override;

 private:
  enum class Edge { add, remove, replace };

  struct Session {
    std::int64_t id = 0;
    std::uint64_t ordinal = 0;  // in order of opening
    Edge edge = Edge::add;
    std::int64_t last_batch = 0;
    std::uint64_t last_digest = 0;  // of the last batch's payload: a resend of it is welcome
    bool finished = false;
    Time started;
    Time ended;
    std::int64_t received = 0;
    std::int64_t matched = 0;
    std::int64_t invalid = 0;
    std::vector<std::vector<MemberId>> staged;  // of a replacement, until its last batch
  };

  struct Audience {
    std::string name;
    std::string description;
    std::string customer_file_source;
    std::string account;  // digits
    std::int64_t retention_days = 0;
    Time created;
    Time updated;
    Members members;
    std::map<std::int64_t, Session> sessions;
  };

  struct Batch {
    std::int64_t session = 0;
    std::int64_t sequence = 1;
    bool last = true;
  };

  MetaResult<Value> answer(const Call& call, const Value& params);
  MetaResult<Value> answer_account(const Call& call, const std::string& account, const Value& params);
  MetaResult<Value> answer_audience(const Call& call, std::int64_t id, const Value& params);
  MetaResult<Value> create(const std::string& account, const Value& params, Time now);
  MetaResult<Value> list(const Call& call, const std::string& account, const Value& params) const;
  MetaResult<Value> update(Audience& audience, const Value& params, Time now);
  MetaResult<Value> upload(std::int64_t id, Edge edge, const Value& params, Time now);
  MetaResult<Value> list_sessions(const Audience& audience, const Value& params) const;
  // Newest first; `fields` empty: all of them.
  MetaResult<Value> describe_sessions(const Audience& audience, std::optional<std::int64_t> wanted,
                                      std::int64_t limit, const std::vector<std::string>& fields) const;
  MetaResult<Value> read_fields(std::int64_t id, const std::string& fields, Time now) const;

  MetaResult<std::optional<Batch>> read_session(const Value& params, Edge edge) const;
  // The session the batch belongs to, opened where it is the first. Errors: the batch is out of order, or the
  // session is finished, expired or another call's.
  MetaResult<Session*> enter_session(std::int64_t id, Edge edge, const Batch& batch, std::uint64_t digest,
                                     Time now);
  void apply(Audience& audience, Session& session, MetaUpload upload, bool last, Time now);
  bool replacing(const Audience& audience, Time now) const;

  bool is_authorised(const Call& call, const Value& params) const;
  std::string account_of(const Call& call) const;
  std::int64_t calls_per_hour(const std::string& account) const;
  void add_usage(HttpResponse& response, const std::string& account, Time now);
  HttpResponse error_response(const MetaError& error);

  const Options& options_;
  const Limits& limits_;
  KnownPeople known_;
  std::map<std::int64_t, Audience> audiences_;
  MetaEvents events_;
  std::map<std::string, RollingHour> calls_;  // by account
  std::int64_t next_audience_ = 120'210'000'000'000'001;
  // For uploads without a session; far from the numbers that clients choose.
  std::int64_t next_session_ = 8'000'000'000'000'000'001;
  std::uint64_t sessions_ = 0;
  std::uint64_t traces_ = 0;
};

}  // namespace tailrace::sandbox
