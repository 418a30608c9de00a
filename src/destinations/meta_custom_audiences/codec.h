// Requests and answers of Meta's customer-file custom audiences (Graph API). Pure.
//
// A batch is one session of one request: session_id is derived from the batch, so a resend is the same
// session. It has at most 18 digits, and is even for an addition and odd for a removal: so the match rate,
// which Meta gives per session only, can be taken over additions alone.
//
// A row has room for one identifier of a kind. Someone with two e-mails takes two rows, which share the first
// EXTERN_ID, and what the sync carries of them: names and places, hashed as conversions have them, and a
// value.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "destinations/audience_destination.h"
#include "destinations/identifiers/fields.h"
#include "destinations/meta_graph/graph.h"

namespace tailrace::destinations::meta_codec {

using meta_graph::kAccessToken;
using meta_graph::kAppSecret;
using meta_graph::kBaseUrl;

inline constexpr std::string_view kAdAccountId = "ad_account_id";
inline constexpr std::string_view kCustomerFileSource = "customer_file_source";
inline constexpr std::string_view kValueBased = "value_based";
// A setting, and the attribute that says it of one person.
inline constexpr std::string_view kLimitedDataUse = "limited_data_use";

// The attribute whose number is what a member is worth (LOOKALIKE_VALUE).
inline constexpr std::string_view kValue = "value";
// The column of an attribute that helps to find somebody: a name, a place. nullptr: there is none.
const FieldRule* detail_named(std::span<const FieldRule> fields, std::string_view attribute);

std::size_t rows(const Member& member);

// fields: of the destination; attributes of members that are among them become columns beside the
// identifiers.
HttpRequest encode(const Batch& batch, const Context& context, std::span<const FieldRule> fields);
Reply decode(const Batch& batch, const HttpResponse& response);

HttpRequest encode_find(const Context& context, const std::string& page);
Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config);
HttpRequest encode_create(const Context& context);
Result<std::string> decode_create(const HttpResponse& response);

HttpRequest encode_update(const std::string& audience_id, const Context& context);
Result<void> decode_update(const HttpResponse& response);
HttpRequest encode_measure(const std::string& audience_id, const Context& context);
Result<Measurement> decode_measure(const HttpResponse& response);

}  // namespace tailrace::destinations::meta_codec
