// The audiences of one platform, for those whose audiences are a name, an account and members. What a
// platform says of them is its own business.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/members.h"
#include "sandbox/platform.h"
#include "sandbox/sandbox.h"

namespace tailrace::sandbox {

struct StoredAudience {
  std::string id;
  std::string name;
  std::string description;
  std::string account;
  std::string kind;  // of the list, where the platform has several
  std::int64_t retention_days = 0;
  Time created;
  Time updated;  // the latest upload
  std::int64_t received = 0;
  std::int64_t removed = 0;
  Members members;
  std::int64_t settled = 0;  // people matched before the uploads that are still being worked off
};

class AudienceStore {
 public:
  // Ids are counted from first_id on.
  AudienceStore(const Options& options, std::int64_t first_id);

  StoredAudience& create(std::string name, std::string account, Time now);
  StoredAudience* find(std::string_view id);  // nullptr: there is none
  void erase(std::string_view id);
  const std::map<std::string, StoredAudience, std::less<>>& all() const { return audiences_; }

  // To be called before the members change: what was matched so far stays visible until `lag` has passed.
  static void begin_upload(StoredAudience& audience, Time now, Millis lag);
  static bool is_processing(const StoredAudience& audience, Time now, Millis lag);
  static std::int64_t matched(const StoredAudience& audience, Time now, Millis lag);

  // For Platform's functions of these names. An id or account that is not of digits is refused, unless
  // `any_account`.
  std::vector<AudienceSummary> summaries() const;
  Members* members(std::string_view id);
  enum class Account : unsigned char { digits, any };
  bool plant(const std::string& id, const std::string& name, const std::string& account, Account form);

 private:
  KnownPeople known_;
  std::int64_t next_id_;
  std::map<std::string, StoredAudience, std::less<>> audiences_;
};

// The token endpoint of a platform with refresh tokens (RFC 6749 section 6): who the client is may be told in
// the form or by HTTP Basic.
enum class ClientShown : unsigned char { in_form, by_basic };
HttpResponse refresh_answer(const Call& call, const Options& options, ClientShown shown, Millis lifetime);
HttpResponse refresh_refused();

// Whether a request carries the sandbox's token as "Authorization: Bearer".
bool has_bearer(const Call& call, const Options& options);

}  // namespace tailrace::sandbox
