// libFuzzer entry: any bytes as a file of lines and as a CSV file, and any bytes as a mapping. Each call made
// from a row whose cells are UTF-8 must be readable JSON.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <unistd.h>

#include "base/assert.h"
#include "model/json.h"
#include "sources/messages.h"

namespace {

using namespace tailrace;

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

void read_all(const std::string& path, const std::string& mapping) {
  auto reader = sources::MessageReader::open(path, mapping);
  if (!reader) return;
  sources::Message message;
  for (auto more = (*reader)->next(message); more && *more; more = (*reader)->next(message)) {
    const bool is_call = !mapping.empty() && message.problem.empty();
    TR_ASSERT(!is_call || !is_ascii(message.json) || parse_json(message.json).has_value());
  }
  TR_ASSERT((*reader)->bytes_read() <= (*reader)->bytes_total());
}

std::string file_of(const char* name, std::string_view bytes) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  const std::string path = (folder / ("tailrace-fuzz-" + std::to_string(getpid()) + name)).string();
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

}  // namespace

// The first zero byte parts the mapping from the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const std::string file = file_of(".file", zero == input.npos ? input : input.substr(zero + 1));
  read_all(file, "");
  read_all(file, file_of(".yaml", input.substr(0, zero)));
  read_all(file, file_of(".fixed", "type: identify\ntraits: {x: {column: a, type: json}, y: {column: b}}\n"));
  return 0;
}
