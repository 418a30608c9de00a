// libFuzzer entry: any bytes as the body of a reporting webhook. What is taken must decode, and the JSON of
// what is stored must be readable.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sources/source.h"
#include "support/fuzzed_source.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  static const sources::HttpSource& kSource = *sources::find_source("customerio_webhooks");
  static const sources::SourceConfig kConfig = testing::fuzzed_config(kSource, "signing_key");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const HttpRequest http{.method = "POST",
                         .url = "/sources/test",
                         .headers = {{"X-CIO-Timestamp", std::string(bytes.substr(0, 10))},
                                     {"X-CIO-Signature", std::string(bytes.substr(0, 64))}},
                         .body = std::string(bytes)};
  testing::take_fuzzed(kSource, kConfig, http);
  return 0;
}
