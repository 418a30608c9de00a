// Google Ads' conversion adjustments, beside the Data Manager API: retractions and restatements, by the id of
// the order. Whether there was such a conversion is not asked: a tag may have told of it.
#pragma once

#include <map>
#include <string>

#include "sandbox/event_store.h"
#include "sandbox/wire.h"

namespace tailrace::sandbox {

class GoogleAdjustments {
 public:
  // "v26", "customers", "1234567890:uploadConversionAdjustments".
  static bool is_upload(const Call& call);
  // What is valid goes into `events`; the rest is named by its place. A request that is wrong as a whole is
  // answered with 400.
  HttpResponse upload(const Call& call, EventStore& events);

 private:
  struct Adjusted {
    bool retracted = false;
    std::string restated_at;  // the latest; as it was written
  };
  // "" where it is carried out (or would be), else Google's code for why not.
  std::string apply(const Value& adjustment, const std::string& customer, bool validate_only);

  std::map<std::string, Adjusted> orders_;  // by conversion action and order
};

}  // namespace tailrace::sandbox
