// libFuzzer entry: any bytes as a method, path, and the body after the line's end. What is taken must decode,
// and the JSON of what is stored must be readable.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "sources/source.h"
#include "support/fuzzed_source.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  static const sources::HttpSource& kSource = *sources::find_source("customerio_track");
  static const sources::SourceConfig kConfig = testing::fuzzed_config(kSource, "api_key");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(bytes.find('\n'), bytes.size());
  const std::string_view line = bytes.substr(0, end);
  const std::size_t blank = std::min(line.find(' '), line.size());
  const HttpRequest http{.method = std::string(line.substr(0, blank)),
                         .url = std::string(line.substr(std::min(blank + 1, line.size()))),
                         .headers = {{"Authorization", "Basic " + to_base64(line)}},
                         .body = std::string(bytes.substr(std::min(end + 1, bytes.size())))};
  if (!kSource.serves(http.url)) return 0;
  testing::take_fuzzed(kSource, kConfig, http);
  return 0;
}
