// Reading and judging the bodies of audienceMembers:ingest, :remove and :removeAll, and of events:ingest.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "model/value.h"
#include "sandbox/members.h"

namespace tailrace::sandbox {

// One entry of BadRequest.fieldViolations.
struct Violation {
  std::string field;   // "audience_members.audience_members[3].user_data.user_identifiers[0].email_address"
  std::string reason;  // an ErrorReason; "" where the JSON itself does not fit
  std::string description;
};
using Violations = std::vector<Violation>;

enum class MembersCall { ingest, remove };  // events:ingest is one too
enum class DataKind { none, user_data, mobile_data, user_id_data };

struct GoogleDestination {
  std::string reference;
  std::string account_type;
  std::string account;
  std::string list;
  Value json;  // as it came, for the status
};

struct GoogleMember {
  std::vector<std::string> references;  // empty: all destinations
  std::vector<MemberId> ids;
  bool consent_denied = false;
};

struct MembersRequest {
  std::vector<GoogleDestination> destinations;
  std::vector<GoogleMember> members;
  DataKind kind = DataKind::none;
  bool validate_only = false;
};

struct GoogleEvent {
  std::vector<std::string> references;  // empty: all destinations
  std::string transaction;
  std::string gclid;
  std::string time;  // as it was written
  bool consent_denied = false;
  Value json;
};

struct EventsRequest {
  std::vector<GoogleDestination> destinations;  // `list` is the conversion action
  std::vector<GoogleEvent> events;
  bool validate_only = false;
};

struct RemoveAllRequest {
  std::vector<GoogleDestination> destinations;
  Time as_of;
  bool validate_only = false;
};

// Every violation of the body is added, as the platform names them all and processes nothing. What is
// returned is of use only when none was.
MembersRequest read_members_request(const Value& body, MembersCall call, Violations& violations);
EventsRequest read_events_request(const Value& body, Time now, Violations& violations);
RemoveAllRequest read_remove_all_request(const Value& body, Time now, Violations& violations);

// Adds a violation per member of `value` that is not in `allowed`, and one if it is not an object. False: it
// is not an object.
bool check_fields(const Value& value, const std::string& field, const std::vector<std::string_view>& allowed,
                  Violations& violations);
// The enum's upper-case name must be one of `allowed`.
void check_enum(const Value* value, const std::string& field, const std::vector<std::string_view>& allowed,
                Violations& violations);
bool read_flag(const Value& body, std::string_view name, const std::string& field, Violations& violations);
bool is_account_type(std::string_view text);

}  // namespace tailrace::sandbox
