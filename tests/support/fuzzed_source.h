// Sources whose senders sign, in fuzz programs: a source with a secret that no fuzzer knows, and what must
// hold whatever comes.
#pragma once

#include <string>
#include <string_view>

#include "base/assert.h"
#include "model/json.h"
#include "model/record.h"
#include "sources/source.h"

namespace tailrace::testing {

inline sources::SourceConfig fuzzed_config(const sources::HttpSource& source, const std::string& secret) {
  sources::SourceConfig config;
  config.name = "test";
  sources::fill_defaults(source, config);
  config.secrets = {{secret, "no fuzzer knows this"}};
  return config;
}

// What is taken decodes, and the JSON of what is stored can be read.
inline void take_fuzzed(const sources::HttpSource& source, const sources::SourceConfig& config,
                        const HttpRequest& http) {
  const sources::Request request{
      .http = http, .path = http.url, .query = {}, .body = http.body, .now = {}, .entropy = 1};
  TR_ASSERT(!source.authenticate(config, request));  // nobody guesses the secret
  const sources::Taken taken = source.take(config, request);
  TR_ASSERT(taken.answer.status < 400 || taken.records.ends.empty());
  for (std::size_t i = 0; i < taken.records.ends.size(); ++i) {
    const auto record = decode_record(taken.records.at(i));
    TR_ASSERT(record.has_value());
    if (record->kind == RecordKind::rejected) continue;
    TR_ASSERT(record->payload.empty() || parse_json(record->payload).has_value());
    TR_ASSERT(record->context.empty() || parse_json(record->context).has_value());
  }
}

}  // namespace tailrace::testing
