// libFuzzer entry: any bytes as a method, path, and the body after the line's end. What is taken must decode,
// and the JSON of what is stored must be readable.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "base/hash.h"
#include "model/json.h"
#include "sources/source.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  static const sources::HttpSource& kSource = *sources::find_source("customerio_track");
  static const sources::SourceConfig kConfig = [] {
    sources::SourceConfig made;
    made.name = "test";
    sources::fill_defaults(kSource, made);
    made.secrets = {{"api_key", "no fuzzer knows this"}};
    return made;
  }();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(bytes.find('\n'), bytes.size());
  const std::string_view line = bytes.substr(0, end);
  const std::size_t blank = std::min(line.find(' '), line.size());
  const HttpRequest http{.method = std::string(line.substr(0, blank)),
                         .url = std::string(line.substr(std::min(blank + 1, line.size()))),
                         .headers = {{"Authorization", "Basic " + to_base64(line)}},
                         .body = std::string(bytes.substr(std::min(end + 1, bytes.size())))};
  if (!kSource.serves(http.url)) return 0;
  const sources::Request request{
      .http = http, .path = http.url, .query = {}, .body = http.body, .now = {}, .entropy = 1};
  TR_ASSERT(!kSource.authenticate(kConfig, request));  // nobody guesses the secret
  const sources::Taken taken = kSource.take(kConfig, request);
  TR_ASSERT(taken.answer.status < 400 || taken.records.ends.empty());
  for (std::size_t i = 0; i < taken.records.ends.size(); ++i) {
    const auto record = decode_record(taken.records.at(i));
    TR_ASSERT(record.has_value());
    if (record->kind == RecordKind::rejected) continue;
    TR_ASSERT(record->payload.empty() || parse_json(record->payload).has_value());
    TR_ASSERT(record->context.empty() || parse_json(record->context).has_value());
  }
  return 0;
}
