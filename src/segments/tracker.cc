#include "segments/tracker.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "base/assert.h"

namespace tailrace::segments {
namespace {

template <class IdType>
void add_index(std::vector<std::vector<std::uint32_t>>& index, IdType id, std::uint32_t item) {
  if (id.value >= index.size()) index.resize(id.value + 1);
  index[id.value].push_back(item);
}

}  // namespace

Tracker::Tracker(const World& world, std::vector<RankPlan> ranks, std::vector<Segment> segments)
    : world_(world),
      ranks_(std::move(ranks)),
      segments_(std::move(segments)),
      words_per_person_((segments_.size() + 63) / 64),
      sizes_(segments_.size()) {
  world_.ranks = this;
  for (std::uint32_t rank = 0; rank < ranks_.size(); ++rank) {
    tables_.emplace_back(ranks_[rank]);
    tables_.back().start_filling();
    Dependencies both = ranks_[rank].by.dependencies;
    both.add(ranks_[rank].eligible_dependencies);
    index(rank, both);
  }
  for (std::uint32_t segment = 0; segment < segments_.size(); ++segment) {
    index(static_cast<Item>(ranks_.size()) + segment, segments_[segment].dependencies);
  }
}

void Tracker::index(Item item, const Dependencies& dependencies) {
  for (const auto stream : dependencies.streams) add_index(by_stream_, stream, item);
  for (const auto trait : dependencies.traits) add_index(by_trait_, trait, item);
  for (const auto purpose : dependencies.purposes) add_index(by_purpose_, purpose, item);
  for (const auto rank : dependencies.ranks) add_index(by_rank_, rank, item);
  for (const auto& sync : dependencies.syncs) by_sync_[sync].push_back(item);
}

void Tracker::reserve(PersonId person) {
  if (person.value >= waiting_.size()) waiting_.resize(person.value + 1);
}

void Tracker::fill(std::size_t people, Time t) {
  const auto limit = static_cast<std::uint32_t>(world_.profiles.person_limit());
  std::vector<PersonId> flips;
  std::vector<Delta> unseen;
  for (; people > 0 && !filled(); --people) {
    if (filled_people_ == limit) {
      if (pass_ < ranks_.size()) tables_[pass_].finish_filling();
      ++pass_;
      filled_people_ = 0;
      continue;
    }
    const PersonId person(filled_people_++);
    if (!world_.profiles.alive(person)) continue;
    reserve(person);
    if (pass_ < ranks_.size()) {
      evaluate_rank(RankId(pass_), person, t, flips);
      continue;
    }
    for (std::uint32_t segment = 0; segment < segments_.size(); ++segment) {
      evaluate_segment(SegmentId(segment), person, t, t, unseen);
    }
  }
}

void Tracker::mark_all_items(PersonId person) {
  reserve(person);
  for (Item item = 0; item < ranks_.size() + segments_.size(); ++item) mark(item, person);
}

void Tracker::mark_touched(const Touch& touch) {
  reserve(touch.person);
  const auto mark_all = [&](const auto& index, const auto& ids) {
    for (const auto id : ids) {
      if (id.value >= index.size()) continue;
      for (const Item item : index[id.value]) mark(item, touch.person);
    }
  };
  if (touch.all) {
    mark_all_items(touch.person);
    return;
  }
  mark_all(by_stream_, touch.streams);
  mark_all(by_trait_, touch.traits);
  mark_all(by_purpose_, touch.purposes);
  if (const auto items = by_sync_.find(touch.sync); items != by_sync_.end()) {
    for (const Item item : items->second) mark(item, touch.person);
  }
}

void Tracker::touch(const Touch& touch, Time t, std::vector<Delta>& deltas) {
  mark_touched(touch);
  settle(t, t, deltas);
}

void Tracker::settle(Time t, Time cause, std::vector<Delta>& deltas) {
  const std::size_t first_delta = deltas.size();
  std::vector<PersonId> flips;
  // Ranks in their order: the people one moves are seen by those after it, and by segments.
  for (Item rank = 0; rank < ranks_.size(); ++rank) {
    flips.clear();
    bool any = false;
    for (const Dirty& dirty : dirty_) {
      if (dirty.item != rank) continue;
      any = true;
      evaluate_rank(RankId(rank), dirty.person, t, flips);
    }
    if (!any || rank >= by_rank_.size()) continue;
    for (const PersonId person : flips) {
      for (const Item item : by_rank_[rank]) mark(item, person);
    }
  }
  const auto key = [](const Dirty& d) { return std::tie(d.person, d.item); };
  std::sort(dirty_.begin(), dirty_.end(), [&](const Dirty& a, const Dirty& b) { return key(a) < key(b); });
  const Dirty* before = nullptr;
  for (const Dirty& dirty : dirty_) {
    const bool again = before != nullptr && key(*before) == key(dirty);
    before = &dirty;
    if (again || dirty.item < ranks_.size()) continue;
    evaluate_segment(SegmentId(dirty.item - static_cast<Item>(ranks_.size())), dirty.person, t, cause,
                     deltas);
  }
  dirty_.clear();
  if (!filled()) deltas.resize(first_delta);
}

void Tracker::evaluate_rank(RankId rank, PersonId person, Time t, std::vector<PersonId>& flips) {
  const RankPlan& plan = ranks_[rank.value];
  std::optional<Number> value;
  if (world_.profiles.alive(person)) {
    const Truth takes_part = plan.eligible ? plan.eligible->truth(world_, person, t) : Truth{true, kNever};
    const Held by = plan.by.node->at(world_, person, t);
    if (takes_part.value && by.value.kind == Scalar::Kind::number) value = by.value.number;
    wait_for(person, rank.value, std::min(takes_part.until, by.until), t);
  }
  tables_[rank.value].update(person, value, flips);
}

void Tracker::evaluate_segment(SegmentId segment, PersonId person, Time t, Time cause,
                               std::vector<Delta>& deltas) {
  Truth truth{false, kNever};
  if (world_.profiles.alive(person)) truth = segments_[segment.value].condition->truth(world_, person, t);
  if (set_member(segment, person, truth.value)) {
    deltas.push_back({t, cause, segment, person, truth.value ? Change::entered : Change::left});
  }
  wait_for(person, static_cast<Item>(ranks_.size()) + segment.value, truth.until, t);
}

bool Tracker::set_member(SegmentId segment, PersonId person, bool inside) {
  const std::size_t word = person.value * words_per_person_ + segment.value / 64;
  if (word >= member_bits_.size()) {
    if (!inside) return false;
    member_bits_.resize(std::max<std::size_t>(person.value + 1, waiting_.size()) * words_per_person_);
  }
  const std::uint64_t bit = std::uint64_t{1} << (segment.value % 64);
  if (((member_bits_[word] & bit) != 0) == inside) return false;
  member_bits_[word] ^= bit;
  if (inside) {
    ++sizes_[segment.value];
  } else {
    --sizes_[segment.value];
  }
  return true;
}

void Tracker::wait_for(PersonId person, Item item, Time until, Time t) {
  reserve(person);
  Waiting& waiting = waiting_[person.value];
  const auto place =
      std::lower_bound(waiting.pending.begin(), waiting.pending.end(), item,
                       [](const Pending& pending, Item wanted) { return pending.item < wanted; });
  const bool known = place != waiting.pending.end() && place->item == item;
  if (known) {
    // A timer that is early only asks once too often; moving it at every event would cost more.
    if (place->at > t && place->at <= until) return;
    if (until == kNever) {
      waiting.pending.erase(place);
      return;
    }
    place->at = until;
  } else {
    if (until == kNever) return;
    waiting.pending.insert(place, {.item = item, .at = until});
  }
  if (until < waiting.wake) {
    waiting.wake = until;
    timers_.push(until, person);
  }
}

void Tracker::advance(Time t, std::vector<Delta>& deltas) {
  while (timers_.next() <= t) {
    const Time at = timers_.next();
    due_.clear();
    while (timers_.next() == at) {
      const PersonId person = timers_.pop().person;
      // An entry that was overtaken by an earlier one of the same person is void.
      if (waiting_[person.value].wake != at) continue;
      waiting_[person.value].wake = kNever;
      due_.push_back(person);
      for (const Pending& pending : waiting_[person.value].pending) {
        if (pending.at <= at) mark(pending.item, person);
      }
    }
    settle(at, at, deltas);
    for (const PersonId person : due_) {
      Waiting& waiting = waiting_[person.value];
      Time next = kNever;
      for (const Pending& pending : waiting.pending) next = std::min(next, pending.at);
      TR_ASSERT(next > at);
      if (next < waiting.wake) {
        waiting.wake = next;
        timers_.push(next, person);
      }
    }
  }
}

void Tracker::remove(PersonId person, Time t, std::vector<Delta>& deltas) {
  TR_ASSERT(!world_.profiles.alive(person));
  mark_all_items(person);
  settle(t, t, deltas);
  forget(person);
}

void Tracker::merge(PersonId gone, const Touch& into, Time t, std::vector<Delta>& deltas) {
  TR_ASSERT(!world_.profiles.alive(gone));
  mark_all_items(gone);
  mark_touched(into);
  settle(t, t, deltas);
  forget(gone);
}

// What still stands in timers_ is void, as nothing is waited for.
void Tracker::forget(PersonId person) {
  waiting_[person.value].pending.clear();
  waiting_[person.value].wake = kNever;
}

bool Tracker::contains(SegmentId segment, PersonId person) const {
  const std::size_t word = person.value * words_per_person_ + segment.value / 64;
  return word < member_bits_.size() && (member_bits_[word] >> (segment.value % 64) & 1) != 0;
}

std::vector<PersonId> Tracker::members(SegmentId segment) const {
  std::vector<PersonId> result;
  result.reserve(size(segment));
  for (std::uint32_t person = 0; result.size() < size(segment); ++person) {
    if (contains(segment, PersonId(person))) result.emplace_back(person);
  }
  return result;
}

void Tracker::save(ByteWriter& out) const {
  TR_ASSERT(filled());
  out.put_array(sizes_);
  out.put_array(member_bits_);
  out.put<std::uint64_t>(waiting_.size());
  for (const Waiting& waiting : waiting_) out.put_array(waiting.pending);
}

Result<void> Tracker::restore(ByteReader& in, Time t) {
  const auto sizes = TRY(in.get_array<std::uint64_t>());
  if (sizes.size() != sizes_.size())
    return fail(Error::Code::corrupt, "another number of segments than the workspace has");
  member_bits_ = TRY(in.get_array<std::uint64_t>());
  // Counted again rather than believed, as members() walks until it has found as many.
  for (std::size_t word = 0; word < member_bits_.size(); ++word) {
    for (std::uint64_t rest = member_bits_[word]; rest != 0; rest &= rest - 1) {
      const std::size_t segment =
          word % words_per_person_ * 64 + static_cast<std::size_t>(std::countr_zero(rest));
      if (segment >= sizes_.size()) return fail(Error::Code::corrupt, "a member of no segment");
      ++sizes_[segment];
    }
  }
  if (sizes != sizes_) return fail(Error::Code::corrupt, "segments of another size than their members");
  waiting_.resize(TRY(in.get_count(8)));
  for (std::uint32_t person = 0; person < waiting_.size(); ++person) {
    Waiting& waiting = waiting_[person];
    waiting.pending = TRY(in.get_array<Pending>());
    for (const Pending& pending : waiting.pending) waiting.wake = std::min(waiting.wake, pending.at);
    if (waiting.wake != kNever) timers_.push(waiting.wake, PersonId(person));
  }
  // Rank tables follow from values; membership of segments stands already.
  if (!ranks_.empty()) {
    std::vector<PersonId> flips;
    for (std::uint32_t rank = 0; rank < ranks_.size(); ++rank) {
      for (std::uint32_t person = 0; person < world_.profiles.person_limit(); ++person) {
        evaluate_rank(RankId(rank), PersonId(person), t, flips);
      }
      tables_[rank].finish_filling();
    }
  }
  pass_ = static_cast<Item>(ranks_.size()) + 1;
  return {};
}

}  // namespace tailrace::segments
