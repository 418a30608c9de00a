// Keeps the members of all segments as records come and time goes by, and says who entered and left and when.
//
// An item is a segment or a rank. A record touches the items that depend on what it changed, for its person;
// each of them is evaluated, unless it is of a kind that the touch cannot change, and its next change is
// noted with the person. A person has one timer, at the earliest of these. A rank that moves others over its
// boundary touches the items that use it, for them, at the same instant.
//
// Of a rank whose past is asked for, a record of an earlier instant moves others in the past too. That
// happens at once where it goes back over at most kBacklogAtOnce changes of value; else it waits for a
// second, or 50 microseconds for each change that was made since if that is longer, so that many late records
// cost one way back together (docs/decisions/0007). Present membership of a rank never waits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/bits.h"
#include "base/chunked.h"
#include "model/delta.h"
#include "segments/plan.h"
#include "segments/rank.h"
#include "segments/rank_past.h"
#include "segments/timelines.h"
#include "segments/timers.h"
#include "segments/window_ends.h"

namespace tailrace::segments {

class Tracker final : public RankView {
 public:
  struct Segment {
    std::shared_ptr<const Condition> condition;
    Dependencies dependencies;
    Meaning meaning;
  };
  // ranks: as the compiler lists them; kept. world.ranks is replaced by this tracker.
  Tracker(const World& world, std::vector<RankPlan> ranks, std::vector<Segment> segments);

  // A new tracker knows nobody. fill() does a slice of the work of evaluating everybody, about `people` of
  // them, at t; records may be applied between slices. Until filled() no deltas come out.
  void fill(std::size_t people, Time t);
  // Before fill(): what means the same in a tracker that is up to date, and stays so until filled(), is taken
  // from there: a workspace in which one segment of thousands is new costs an evaluation of that one. Both
  // are to have one time zone, and one meaning of unknown consent.
  void carry_over(const Tracker& from);
  std::size_t new_segments() const { return evaluated_.size(); }  // that are not
  bool filled() const { return pass_ > ranks_.size(); }
  struct FillProgress {
    std::uint64_t done, total;  // people evaluated, once for each rank and once for all segments
  };
  FillProgress fill_progress() const;

  // What a record changed of a person.
  struct Touch {
    PersonId person;
    bool created = false;                        // nothing was known of them before this record
    bool all = false;                            // merged: every item
    std::span<const history::StreamId> streams;  // that got one more event, or more where `all`
    Time event_time;                             // of that event
    std::span<const profiles::TraitId> traits;
    std::span<const profiles::PurposeId> purposes;
    std::string_view sync;  // entered this sync
  };
  void touch(const Touch& touch, Time t, std::vector<Delta>& deltas);
  // The person is gone: deleted.
  void remove(PersonId person, Time t, std::vector<Delta>& deltas);
  // The person is gone, merged into the touched one. One step: nobody else moves in a rank but by the
  // outcome.
  void merge(PersonId gone, const Touch& into, Time t, std::vector<Delta>& deltas);

  // The earliest instant at which something may change. advance fires all due at or before t, each at its
  // instant, in order of (instant, person, segment).
  Time next_change() { return std::min({timers_.next(), pasts_due_, recheck_}); }
  void advance(Time t, std::vector<Delta>& deltas);

  // Hints that a record about this person is near: first the one, some hundred nanoseconds later the other.
  void prefetch(PersonId person) const;
  void prefetch_entries(PersonId person) const { pending_.prefetch_entries(person); }

  bool contains(SegmentId segment, PersonId person) const;
  // What an expression compiled with the segments is for a person; texts and lists in it are lent.
  Scalar value(const Node& node, PersonId person, Time t) const { return node.at(world_, person, t).value; }
  std::uint64_t size(SegmentId segment) const { return sizes_[segment.value]; }
  std::vector<PersonId> members(SegmentId segment) const;
  std::size_t segment_count() const { return segments_.size(); }

  Truth truth(RankId rank, PersonId person, Time t) const override {
    if (pasts_[rank.value] != nullptr) return pasts_[rank.value]->truth(person, t);
    return {tables_[rank.value].contains(person), kNever};
  }
  Time known_from() const override;

  static constexpr std::size_t kBacklogAtOnce = 256;

  void add_memory(MemoryParts& parts) const;

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in, Time t);

 private:
  using Item = std::uint32_t;  // ranks first, then segments
  struct Use {                 // of a stream by an item
    Item item;
    Effect effect;
  };
  struct OfThreshold {
    Threshold threshold;
    std::vector<Use> uses;
  };
  // Thresholds on the distinct values of a column.
  struct Distincts {
    history::Column column;
    std::uint64_t most;  // values that one asks for
    Millis farthest;     // back that one reaches
    std::vector<OfThreshold> thresholds;
  };
  struct StreamUses {
    // Thresholds of one number of times, by how far they reach: an event can bring those to hold that reach
    // as far as its n-th predecessor and not to the one before, which stand next to each other.
    struct Times {
      std::uint64_t times;
      std::vector<OfThreshold> by_reach;
    };
    std::vector<Times> counts;
    std::vector<Distincts> distincts;
    std::vector<Use> others;  // those that see more of the stream than thresholds
  };
  struct Dirty {
    Item item;
    PersonId person;
  };

  void index(Item item, const Dependencies& dependencies);
  void mark(Item item, PersonId person);
  void mark_all_items(PersonId person);
  void mark_items_of_new(PersonId person, Time t);
  void mark_touched(const Touch& touch, Time t);
  void mark_stream(const Touch& touch, history::StreamId stream, Time t);
  void mark_if_it_may_change(const Use& use, PersonId person);
  void forget(PersonId person);
  void settle(Time t, Time cause, std::vector<Delta>& deltas);
  void settle_ranks(Time t);
  void catch_up(RankId rank, std::vector<PersonId>& flips);
  void finish_filling(RankId rank);
  void fill_rank(RankId rank, const Group& group, Time t);
  void fill_segments(const Group& group, Time t);
  void carry_segments(PersonId person, Time t);
  void note_change(PersonId person, Time from);
  void evaluate_rank(RankId rank, PersonId person, Time t, std::vector<PersonId>& flips);
  void evaluate_segment(SegmentId segment, PersonId person, Time t, Time cause, std::vector<Delta>& deltas);
  void wait_for(PersonId person, Item item, Time until, Time t);
  void wake_at_first(PersonId person);
  bool set_member(SegmentId segment, PersonId person, bool inside);
  void reserve(PersonId person);

  // A person's words: when to wake (what stands in timers_), then membership, a bit per segment. A record and
  // a timer ask about many segments of one person, and find them in one cache line.
  std::size_t first_word(PersonId person) const { return person.value * words_per_person_; }
  Time wake(PersonId person) const { return {static_cast<std::int64_t>(words_[first_word(person)])}; }
  void set_wake(PersonId person, Time t) { words_[first_word(person)] = static_cast<std::uint64_t>(t.ms); }
  std::size_t people() const { return people_; }
  // Of a person who has words: the segments they are in.
  template <class Visit>
  void each_segment(PersonId person, Visit visit) const {
    for (std::size_t word = 1; word < words_per_person_; ++word) {
      each_bit(words_[first_word(person) + word],
               [&](std::uint32_t bit) { visit(SegmentId(static_cast<std::uint32_t>(word - 1) * 64 + bit)); });
    }
  }

  World world_;
  Memory memory_;
  std::vector<RankPlan> ranks_;
  std::vector<Segment> segments_;
  std::vector<RankTable> tables_;
  // By rank; null where nobody asks for its past. When those that are late are caught up with.
  std::vector<std::unique_ptr<RankPast>> pasts_;
  Time pasts_due_ = kNever;
  Time recheck_ = kNever;  // what was due when the snapshot was written: everybody is looked at again then
  // From when on a person's values may be others, of those that are marked.
  boost::unordered_flat_map<std::uint32_t, Time> changed_from_;
  Timelines timelines_;
  std::size_t words_per_person_ = 0;
  Chunked<std::uint64_t, 15> words_;
  std::size_t people_ = 0;            // that have words
  std::vector<std::uint64_t> sizes_;  // members, by segment
  WindowEnds pending_;                // (person, item): when it may next change; those that may
  TimerQueue timers_;
  // What an item depends on -> items, in order.
  std::vector<StreamUses> by_stream_;
  std::vector<std::vector<Item>> by_trait_, by_purpose_, by_rank_;
  std::map<std::string, std::vector<Item>, std::less<>> by_sync_;
  std::vector<Dirty> dirty_;
  bool dirty_sorted_ = true;  // by (person, item), without repetition
  std::size_t dirty_ranks_ = 0;
  std::vector<PersonId> due_;
  // Those that have to be looked at for a person of whom nothing is known: ranks and what depends on them,
  // and segments they may be in for that very reason, now or later. Missing: not worked out yet.
  std::optional<std::vector<Item>> items_of_new_;
  std::vector<history::StreamId> streams_;  // that items use, each once
  struct Carried {
    const Tracker* from = nullptr;
    std::vector<std::optional<RankId>> ranks;   // by rank: which one of `from` it is
    std::vector<std::vector<SegmentId>> heirs;  // by segment of `from`
    std::vector<std::uint64_t> segments;        // a bit for each that is an heir
    std::vector<std::uint64_t> inside;          // of them, where the person is a member
  };
  Carried carried_;
  std::vector<SegmentId> evaluated_;  // when it is filled: those that are no heirs
  Item pass_ = 0;                     // of fill: a pass per rank, in order, then one for all segments
  std::uint32_t filled_people_ = 0;
  std::vector<std::uint64_t> fill_left_;  // of a group, by place in evaluated_; kept for its memory
};

}  // namespace tailrace::segments
