// Google's Data Manager API as far as audiences and events of Google Ads go, with the token endpoint in front
// of it, and the conversion adjustments of the Google Ads API.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/event_store.h"
#include "sandbox/google/google_adjustments.h"
#include "sandbox/google/google_members.h"
#include "sandbox/members.h"
#include "sandbox/platform.h"
#include "sandbox/sandbox.h"
#include "sandbox/wire.h"

namespace tailrace::sandbox {

class Google : public Platform {
 public:
  Google(const Options& options, const Limits& limits);

  HttpResponse handle(const Call& call) override;
  HttpResponse refuse(Refusal refusal, int status, const Call& call) override;
  bool is_token_call(const Call& call) const override;
  std::optional<HttpResponse> control(const Call& call) override;
  std::vector<AudienceSummary> audiences() const override;
  Members* members(std::string_view audience) override;
  bool plant(const std::string& id, const std::string& name, const std::string& account) override;

 private:
  struct UserList {
    std::string account_type;
    std::string account;
    std::string display_name;
    std::string description;
    std::string membership_duration;
    std::string key_type;  // CONTACT_ID, MOBILE_ID, USER_ID
    Value ingested_info;   // as it was given
    Members members;
    Time looked_at = {};  // when it was last seen whose membership had ended
  };

  // What became of a request at one of its destinations.
  struct DestinationStatus {
    Value destination;
    std::string status;
    std::int64_t denied = 0;      // members or events without consent
    std::int64_t duplicates = 0;  // events that were there already
    std::string progress_name;
    Value progress;
  };
  struct RequestStatus {
    Time received;
    std::vector<DestinationStatus> destinations;
  };

  // Calls per minute and per day of one quota.
  struct Quota {
    FixedWindow minute{kMinute};
    FixedWindow day{kDay};
  };
  enum class Bucket { ingestion_mutate, ingestion_read, management_mutate, management_read };

  HttpResponse issue_token(const Call& call);
  HttpResponse answer(const Call& call);
  HttpResponse answer_lists(const Call& call);
  HttpResponse create_list(const Call& call, const std::string& type, const std::string& account);
  HttpResponse list_lists(const Call& call, const std::string& type, const std::string& account);
  HttpResponse patch_list(const Call& call, std::int64_t id);
  HttpResponse ingest(const Call& call, MembersCall kind);
  HttpResponse ingest_events(const Call& call);
  HttpResponse remove_all(const Call& call);
  HttpResponse retrieve_status(const Call& call);

  void end_memberships(Time now);
  bool is_authorised(const Call& call) const;
  bool display_name_taken(const std::string& account, const std::string& name, std::int64_t except) const;
  // The lists the destinations name, in their order. Errors: an empty vector, when one is missing or of
  // another account.
  std::vector<UserList*> find_lists(const std::vector<GoogleDestination>& destinations);
  // A violation per list that cannot take this kind of data.
  Violations check_key_types(const std::vector<UserList*>& lists, DataKind kind) const;
  DestinationStatus count_events(const GoogleDestination& destination, const EventsRequest& request,
                                 Time now);
  DestinationStatus apply(UserList& list, const GoogleDestination& destination, const MembersRequest& request,
                          MembersCall kind, Time now);
  HttpResponse accepted(Time now, std::vector<DestinationStatus> destinations, bool validate_only);
  // Status 0: the call is within its quota, and is counted.
  HttpResponse over_quota(Bucket bucket, Time now);
  std::string next_request_id();
  Value describe(std::int64_t id, const UserList& list) const;
  HttpResponse error(int status, const std::string& reason, const std::string& message,
                     const Violations& violations = {},
                     const Value& metadata = Value::with(Value::Kind::object));
  HttpResponse rejected(const Violations& violations);
  HttpResponse no_permission();

  const Options& options_;
  const Limits& limits_;
  KnownPeople known_;
  std::map<std::int64_t, UserList> lists_;
  EventStore events_;
  GoogleAdjustments adjustments_;
  std::map<std::string, Time> tokens_;  // issued, with their ends
  std::map<Bucket, Quota> quotas_;
  std::map<std::string, RequestStatus> requests_;
  std::deque<std::string> request_order_;  // oldest first
  std::int64_t next_list_ = 9'000'000'001;
  std::uint64_t issued_tokens_ = 0;
  std::uint64_t issued_requests_ = 0;
};

}  // namespace tailrace::sandbox
