// What the engine says it holds, against what was allocated.
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <malloc.h>

#include "base/random.h"
#include "engine/engine.h"
#include "model/json.h"
#include "support/memory_records.h"

#ifdef __SANITIZE_ADDRESS__
// As sanitizer/allocator_interface.h has it, which is not installed with every compiler.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace tailrace::engine {
namespace {

constexpr Time kStart{1'772'323'200'000};
constexpr std::uint64_t kPeople = 3'000;
constexpr std::uint64_t kEvents = 60'000;

std::size_t allocated_bytes() {
#ifdef __SANITIZE_ADDRESS__
  return __sanitizer_get_current_allocated_bytes();
#else
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

// Two names of events, of which one is filtered and has a column, of many people; a rank over them.
void append_all(tailrace::testing::MemoryRecords& records) {
  workspace::Workspace workspace;
  workspace.name = "test";
  workspace.taxonomy.unknown_events = workspace::UnknownEvents::admit;
  for (const char* text :
       {R"(performed "X" where kind = "a" within 7d)", R"(sum("X".price) > 100)",
        R"(performed "Y" at least 3 times within 24h)", R"(top 10% by count("Y"))", R"(country = "DE")"}) {
    workspace::Named named;
    named.name = "s" + std::to_string(workspace.segments.size());
    named.text = text;
    workspace.segments.push_back(named);
  }
  const std::string payload = to_json(workspace::to_value(workspace));
  RecordView record;
  record.kind = RecordKind::workspace;
  record.payload = payload;
  record.received_at = kStart;
  records.append(record);
  Random random(7);
  for (std::uint64_t i = 0; i < kPeople + kEvents; ++i) {
    const bool identify = i < kPeople;
    const std::string user = "user-" + std::to_string(identify ? i : random.below(kPeople)) + "@example.com";
    const std::string id = "a message id of some length " + std::to_string(i);
    const std::string event = random.below(2) == 0 ? "X" : "Y";
    const std::string said = identify
                                 ? R"({"country":"DE","address":{"street":"Example Street )" + user + R"("}})"
                                 : R"({"price":)" + std::to_string(random.below(100)) +
                                       (random.below(2) == 0 ? R"(,"kind":"a"})" : R"(,"kind":"b"})");
    record = {};
    record.kind = identify ? RecordKind::identify : RecordKind::track;
    record.source = "app";
    record.user_id = user;
    record.message_id = id;
    if (!identify) record.event = event;
    record.payload = said;
    record.received_at = record.time = kStart + Millis{static_cast<std::int64_t>(i) * 1'000};
    records.append(record);
  }
}

Result<void> apply_all(const tailrace::testing::MemoryRecords& from, Engine& engine) {
  Output output;
  tailrace::testing::MemoryRecords records = from;
  std::string bytes;
  for (std::uint64_t i = 0; i < records.size(); ++i) {
    TRY(engine.apply(Position(i), TRY(records.record(Position(i), bytes)), output));
    output.clear();
  }
  return {};
}

TEST(EngineMemory, its_parts_add_up_to_what_was_allocated) {
  tailrace::testing::MemoryRecords records;
  append_all(records);
  Engine engine(records);
  const std::size_t before = allocated_bytes();
  ASSERT_TRUE(apply_all(records, engine));
  const auto allocated = static_cast<double>(allocated_bytes() - before);
  const MemoryParts memory = engine.memory();
  // The compiled workspace is not counted, nor what the allocator puts before each block.
  EXPECT_NEAR(static_cast<double>(memory.total().bytes), allocated, allocated * 0.08);
  for (const auto& [name, use] : memory.parts()) EXPECT_LE(use.unused, use.bytes) << name;
  const auto bytes_of = [&](std::string_view wanted) {
    for (const auto& [name, use] : memory.parts()) {
      if (name == wanted) return use.bytes;
    }
    return std::uint64_t{0};
  };
  for (const char* part : {"event_rows", "filtered_streams", "columns", "person_blocks", "window_ends",
                           "deduplication", "directory", "profiles", "ranks", "memberships"})
    EXPECT_GT(bytes_of(part), kPeople) << part;
}

TEST(EngineMemory, a_person_who_goes_gives_their_blocks_back) {
  tailrace::testing::MemoryRecords records;
  append_all(records);
  Engine engine(records);
  ASSERT_TRUE(apply_all(records, engine));
  const auto window_ends = [&] {
    const auto memory = engine.memory();
    for (const auto& [name, use] : memory.parts()) {
      if (name == "window_ends") return use.bytes;
    }
    return std::uint64_t{0};
  };
  const std::uint64_t before = window_ends();
  for (std::uint64_t i = 0; i < kPeople; ++i) {
    const std::string user = "user-" + std::to_string(i) + "@example.com";
    RecordView record;
    record.kind = RecordKind::remove;
    record.source = "app";
    record.user_id = user;
    record.message_id = user;
    record.received_at = engine.now();
    Output output;
    ASSERT_TRUE(engine.apply(records.append(record), record, output));
  }
  EXPECT_LT(window_ends(), before / 2);
}

}  // namespace
}  // namespace tailrace::engine
