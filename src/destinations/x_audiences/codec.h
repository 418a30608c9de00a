// Requests and answers of X's custom audiences (Ads API v12). Pure.
//
// A request is one array of operations, one per person, so that an error named by its index names the person.
// X takes or refuses a request as a whole.
#pragma once

#include <optional>
#include <string>

#include "destinations/audience_destination.h"
#include "destinations/probe.h"

namespace tailrace::destinations::x_codec {

inline constexpr std::string_view kAccountId = "account_id";

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

HttpRequest encode_find(const Context& context, const std::string& page);
Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config);
HttpRequest encode_create(const Context& context);
Result<std::string> decode_create(const HttpResponse& response);

HttpRequest encode_update(const std::string& audience_id, const Context& context);
Result<void> decode_update(const HttpResponse& response);
HttpRequest encode_measure(const std::string& audience_id, const Context& context);
Result<Measurement> decode_measure(const HttpResponse& response);

// What the user may do on the account.
HttpRequest encode_probe(const Context& context);
Result<Standing> decode_probe(const HttpResponse& response);

}  // namespace tailrace::destinations::x_codec
