// libFuzzer entry: any bytes as a topic, up to the line's end, and its body. What is taken must decode, and
// the JSON of what is stored must be readable.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sources/source.h"
#include "support/fuzzed_source.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  static const sources::HttpSource& kSource = *sources::find_source("shopify");
  static const sources::SourceConfig kConfig = testing::fuzzed_config(kSource, "webhook_secret");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(bytes.find('\n'), bytes.size());
  const HttpRequest http{.method = "POST",
                         .url = "/sources/test",
                         .headers = {{"X-Shopify-Topic", std::string(bytes.substr(0, end))},
                                     {"X-Shopify-Hmac-Sha256", std::string(bytes.substr(0, 44))}},
                         .body = std::string(bytes.substr(std::min(end + 1, bytes.size())))};
  testing::take_fuzzed(kSource, kConfig, http);
  return 0;
}
