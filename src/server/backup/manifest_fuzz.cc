// Any bytes as the manifest of a backup and as a list of deletions, also with a checksum that is right: what
// is read is written the same way, and names no place outside of a store.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/hash.h"
#include "server/backup/manifest.h"

namespace {

using namespace tailrace;
using namespace tailrace::server;

void read(std::string_view text) {
  if (const auto manifest = parse_manifest(text)) {
    for (const BackupFile& file : manifest->files) {
      TR_ASSERT(file.place == "snapshot" || file.place.starts_with("snapshot.") ||
                file.place.starts_with("log/") || file.place.starts_with("ledger/"));
      TR_ASSERT(file.place.find("..") == std::string::npos || file.place.find("/.") == std::string::npos);
      TR_ASSERT(file.name.find("/.") == std::string::npos && !file.name.starts_with('/'));
    }
    const auto again = parse_manifest(to_text(*manifest));
    TR_ASSERT(again && *again == *manifest);
  }
  if (const auto deletions = parse_deletions(text)) {
    const auto again = parse_deletions(to_text(*deletions));
    TR_ASSERT(again && *again == *deletions);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  read(text);
  read(text + "sum " + sha256_hex(text) + "\n");
  return 0;
}
