// What a destination would do, without a store, a network or a clock: the requests it would send for records,
// how it normalises a value, and what an answer means. For people who debug a match rate or write a
// destination; `tailrace preview --destination`, `normalize` and `classify` are this.
//
// Lines in, lines out, each one JSON object. The same lines give the same bytes. Secrets are masked in
// requests; hashes are shown as they would be sent.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "destinations/destination.h"
#include "model/person.h"

namespace tailrace::destinations {

struct DryRun {
  const Destination* destination = nullptr;
  Config config;                              // with defaults filled in
  std::string audience_id;                    // empty: one is created first, where the destination can
  std::vector<IdentifierKind> identifiers;    // empty: all that the destination can match by
  std::map<std::string, std::string> events;  // of a mapping (conversion.h)
  std::map<std::string, std::string> fields;
  std::string currency;
  Time now;
};

enum class Operation : unsigned char { add, remove, track };
// "add", "upsert" (the same), "remove", "track".
Result<Operation> operation_named(std::string_view name);

// A line of records is a person, {"id": "crm-1", "email": "ada@example.com", "phone": [..], "traits": {..}},
// or an event as the HTTP API takes it. "op" in a record goes before `operation`. Gives, in the order of the
// records, a line {"op","method","url","headers","body","records"} for each request and
// {"record","field","reason"} for each record that is not sent; records are counted from 1. Errors:
// invalid_argument (a mapping that cannot be read, an operation the destination does not have).
Result<std::vector<std::string>> preview(const DryRun& run, std::span<const std::string> records,
                                         Operation operation);

// The latest `timestamp` (or `time`) of these records; missing: none has one.
std::optional<Time> newest_of(std::span<const std::string> records);

// {"field": "email", "raw": " Ada@Example.com "}, also with "country" and "region", to
// {"field","normalized","sha256","error"}. platform: a destination's type ("tiktok_events"), or a platform's
// name, which means its audiences, and its events for the fields that audiences do not have. Errors:
// not_found.
Result<std::vector<const Destination*>> normalisers_named(std::string_view platform);
std::string normalise_line(std::span<const Destination* const> destinations, std::string_view line);

// {"request", "status", "headers", "body"}, where request is a line of preview (or {"records": 3}), to one
// line
// {"record","outcome","reason","code","retry_after_ms"} for each record. outcome: accepted, rejected, or what
// is done with the whole request: retry, split, reauthorise, stop.
std::vector<std::string> classify_line(const Destination& destination, std::string_view line);

}  // namespace tailrace::destinations
