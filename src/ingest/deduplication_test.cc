#include "ingest/deduplication.h"

#include <map>
#include <string>

#include <gmock/gmock.h>

#include "model/record.h"

namespace tailrace::ingest {
namespace {

// Messages of one source, received in order; positions are counted up.
class Inbox {
 public:
  bool seen(const std::string& id, Time at) {
    const Position position(next_++);
    const auto compare = [&](Position earlier) {
      const auto& [other, when] = received_.at(earlier.value);
      if (other != id) return Deduplication::Earlier::other;
      return at - when < memory_.window() ? Deduplication::Earlier::same
                                          : Deduplication::Earlier::same_long_ago;
    };
    const bool known = memory_.seen(message_hash("app", id), position, at, compare);
    if (!known) received_[position.value] = {id, at};
    return known;
  }
  void restart() {
    ByteWriter out;
    memory_.save(out);
    const std::string bytes = out.take();
    memory_ = Deduplication(kDay * 30);
    ByteReader in(bytes);
    ASSERT_TRUE(memory_.restore(in));
    ASSERT_TRUE(in.done());
  }
  std::size_t size() const { return memory_.size(); }
  std::uint64_t memory_bytes() const { return memory_.memory().bytes; }

 private:
  Deduplication memory_{kDay * 30};
  std::map<std::uint64_t, std::pair<std::string, Time>> received_;
  std::uint64_t next_ = 0;
};

constexpr Time day(std::int64_t n) { return Time{} + kDay * n; }

TEST(Deduplication, a_retry_within_the_window_counts_once) {
  Inbox inbox;
  EXPECT_FALSE(inbox.seen("a", day(0)));
  EXPECT_TRUE(inbox.seen("a", day(0)));
  EXPECT_TRUE(inbox.seen("a", day(30) - Millis{1}));
  EXPECT_FALSE(inbox.seen("b", day(30)));
}

TEST(Deduplication, after_the_window_it_is_a_new_message_with_a_window_of_its_own) {
  Inbox inbox;
  EXPECT_FALSE(inbox.seen("a", day(0) + kHour));
  EXPECT_FALSE(inbox.seen("a", day(30) + kHour * 2));
  // The first day is forgotten now; what was said since is not.
  EXPECT_TRUE(inbox.seen("a", day(31) + kHour * 3));
  EXPECT_TRUE(inbox.seen("a", day(60) + kHour));
}

TEST(Deduplication, what_is_past_the_window_makes_room_for_what_comes) {
  Inbox inbox;
  for (int i = 0; i < 200'000; ++i) inbox.seen(std::to_string(i), day(i / 1'000));
  EXPECT_LT(inbox.size(), 80'000u) << "31 days of 1,000, in a table that is tidied when parts of it are full";
  for (int i = 171'000; i < 200'000; ++i) EXPECT_TRUE(inbox.seen(std::to_string(i), day(199))) << i;
}

TEST(Deduplication, what_is_within_the_window_takes_seventeen_bytes_a_message_at_most) {
  Inbox inbox;
  std::size_t remembered = 0;
  for (int i = 0; i < 300'000; ++i) {
    inbox.seen(std::to_string(i), day(0));
    remembered = static_cast<std::size_t>(i) + 1;
    if (remembered > 20'000 && remembered % 1'000 == 0) {
      ASSERT_LT(inbox.memory_bytes(), remembered * 17 + 10'000) << remembered;
    }
  }
  EXPECT_EQ(inbox.size(), remembered);
}

TEST(Deduplication, an_old_record_admitted_late_is_known_as_long_as_its_window_lasts) {
  Deduplication memory(kDay * 30);
  const auto same = [](Position) { return Deduplication::Earlier::same; };
  EXPECT_FALSE(memory.seen(message_hash("app", "new"), Position(10), day(5), same));
  EXPECT_FALSE(memory.seen(message_hash("app", "held back"), Position(3), day(2), same));
  EXPECT_TRUE(memory.seen(message_hash("app", "held back"), Position(11), day(20), same));
}

TEST(Deduplication, a_restart_changes_nothing) {
  Inbox inbox;
  inbox.seen("a", day(0) + kHour);
  inbox.seen("a", day(30) + kHour * 2);
  inbox.restart();
  EXPECT_TRUE(inbox.seen("a", day(31) + kHour * 3));
}

TEST(Deduplication, imports_are_one_source) {
  EXPECT_EQ(message_scope("import:shop#a.jsonl"), message_scope("import:shop#b.jsonl"));
  EXPECT_NE(message_scope("app"), message_scope("import:shop#b.jsonl"));
}

}  // namespace
}  // namespace tailrace::ingest
