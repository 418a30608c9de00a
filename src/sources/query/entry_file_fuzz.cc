// libFuzzer entry: any bytes as a file of rows, as the header of a snapshot, and as a line that ClickHouse
// answers. What can be read is written again as it was.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "sources/query/dialects.h"
#include "sources/query/entry_file.h"
#include "sources/query/row_mapping.h"
#include "support/memory_disk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  testing::MemoryDisk disk;
  TR_ASSERT(disk.make_directories("d").has_value());
  disk.set_contents("d/file", std::string(bytes));
  if (const auto reader = sources::EntryReader::open(disk, "d/file")) {
    sources::Entry entry;
    const auto writer = sources::EntryWriter::create(disk, "d/again", (*reader)->header());
    TR_ASSERT(writer.has_value());
    while (true) {
      const auto next = (*reader)->next(entry);
      if (!next || !*next) break;
      static_cast<void>((*writer)->put(entry));  // what is too long is refused
    }
  }
  if (const auto header = sources::parse_snapshot_header(bytes))
    TR_ASSERT(sources::parse_snapshot_header(sources::to_text(*header)) == *header);
  if (const auto cells = sources::read_tab_separated(bytes)) TR_ASSERT(!cells->empty());
  return 0;
}
