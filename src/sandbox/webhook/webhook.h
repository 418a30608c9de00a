// A receiver of signed webhooks (Standard Webhooks) that keeps who was added and removed.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sandbox/members.h"
#include "sandbox/platform.h"
#include "sandbox/received_events.h"
#include "sandbox/sandbox.h"
#include "sandbox/wire.h"

namespace tailrace::sandbox {

// The path below /webhook names the receiver's endpoint ("default" where there is none); its audiences are
// "<endpoint>:<audience>". Members come in messages of the types audience.members_added and
// audience.members_removed, with data {"audience": NAME, "members": [{"person": ID, ...}, ...]}; events in
// those of the types event.<name> and "events"; messages of other types are acknowledged and change nothing.
class Webhook : public Platform {
 public:
  HttpResponse handle(const Call& call) override;
  std::optional<HttpResponse> control(const Call& call) override;  // POST {"endpoint", "secret"}; GET events
  HttpResponse refuse(Refusal refusal, int status, const Call& call) override;
  std::vector<AudienceSummary> audiences() const override;
  Members* members(std::string_view audience) override;
  bool plant(const std::string& id, const std::string& name, const std::string& account) override;
  std::string_view stranger_kind() const override { return "person"; }

  // The secret with which messages to the endpoint must be signed ("" for all that have none of their own).
  // An empty secret ends the check. False: it is not "whsec_" and base64 of 24 to 64 bytes.
  bool set_secret(const std::string& endpoint, const std::string& secret);

 private:
  std::string key_for(const std::string& endpoint) const;
  bool seen_before(const std::string& message_id);
  void keep_events(const Value& message, Time now);

  std::map<std::string, std::string> keys_;  // endpoint -> decoded secret
  std::map<std::string, Members> audiences_;
  std::set<std::string> seen_;
  std::deque<std::string> seen_order_;
  ReceivedEvents events_{kDay * 365};
};

}  // namespace tailrace::sandbox
