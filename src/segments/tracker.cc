#include "segments/tracker.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <tuple>

#include "base/assert.h"
#include "segments/walk.h"

namespace tailrace::segments {
namespace {

// Of thresholds, with those over all time as the farthest.
constexpr Millis kEver{std::numeric_limits<std::int64_t>::max()};
constexpr PersonId kNobody{std::numeric_limits<std::uint32_t>::max()};
Millis reach(const Threshold& threshold) { return threshold.far.value_or(kEver); }

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
      words_per_person_(1 + (segments_.size() + 63) / 64),
      sizes_(segments_.size()) {
  world_.ranks = this;
  world_.memory = &memory_;
  world_.timelines = &timelines_;
  for (std::uint32_t rank = 0; rank < ranks_.size(); ++rank) {
    tables_.emplace_back(ranks_[rank]);
    tables_.back().start_filling(RankTable::Filling::in_order);
    pasts_.push_back(ranks_[rank].past_is_asked ? std::make_unique<RankPast>() : nullptr);
    Dependencies both;
    both.add(ranks_[rank].by.dependencies, Dependencies::Bearing::any);
    both.add(ranks_[rank].eligible_dependencies, Dependencies::Bearing::any);
    index(rank, both);
  }
  for (std::uint32_t segment = 0; segment < segments_.size(); ++segment) {
    index(static_cast<Item>(ranks_.size()) + segment, segments_[segment].dependencies);
    evaluated_.emplace_back(segment);
  }
  for (std::uint32_t stream = 0; stream < by_stream_.size(); ++stream) {
    const StreamUses& uses = by_stream_[stream];
    if (!uses.counts.empty() || !uses.distincts.empty() || !uses.others.empty())
      streams_.emplace_back(stream);
  }
}

void Tracker::index(Item item, const Dependencies& dependencies) {
  for (const StreamUse& use : dependencies.streams) {
    if (use.stream.value >= by_stream_.size()) by_stream_.resize(use.stream.value + 1);
    StreamUses& uses = by_stream_[use.stream.value];
    if (use.effect == Effect::any || !use.only_thresholds) {
      uses.others.push_back({item, use.effect});
      continue;
    }
    for (const Threshold& threshold : use.thresholds) {
      std::vector<OfThreshold>* of_kind = nullptr;
      if (threshold.distinct) {
        const auto same_column = [&](const auto& other) { return other.column == *threshold.distinct; };
        auto of_column = std::find_if(uses.distincts.begin(), uses.distincts.end(), same_column);
        if (of_column == uses.distincts.end()) {
          of_column =
              uses.distincts.insert(of_column, {*threshold.distinct, threshold.times, reach(threshold), {}});
        }
        of_column->most = std::max(of_column->most, threshold.times);
        of_column->farthest = std::max(of_column->farthest, reach(threshold));
        of_kind = &of_column->thresholds;
      } else {
        const auto same_times = [&](const auto& other) { return other.times == threshold.times; };
        auto times = std::find_if(uses.counts.begin(), uses.counts.end(), same_times);
        if (times == uses.counts.end()) times = uses.counts.insert(times, {threshold.times, {}});
        of_kind = &times->by_reach;
      }
      auto place = std::lower_bound(
          of_kind->begin(), of_kind->end(), threshold,
          [](const auto& other, const Threshold& wanted) { return reach(other.threshold) < reach(wanted); });
      while (place != of_kind->end() && place->threshold != threshold &&
             reach(place->threshold) == reach(threshold))
        ++place;
      if (place == of_kind->end() || place->threshold != threshold)
        place = of_kind->insert(place, {threshold, {}});
      place->uses.push_back({item, use.effect});
    }
  }
  for (const auto trait : dependencies.traits) add_index(by_trait_, trait, item);
  for (const auto purpose : dependencies.purposes) add_index(by_purpose_, purpose, item);
  for (const auto rank : dependencies.ranks) add_index(by_rank_, rank, item);
  for (const auto& sync : dependencies.syncs) by_sync_[sync].push_back(item);
}

void Tracker::reserve(PersonId person) {
  if (person.value < people_) return;
  words_.grow_to((person.value + std::size_t{1}) * words_per_person_);
  for (; people_ <= person.value; ++people_) set_wake(PersonId(static_cast<std::uint32_t>(people_)), kNever);
}

void Tracker::prefetch(PersonId person) const {
  if (person.value < people()) __builtin_prefetch(words_.address(first_word(person)));
  pending_.prefetch(person);
  memory_.prefetch(person);
}

void Tracker::mark(Item item, PersonId person) {
  if (!dirty_.empty() && std::tie(dirty_.back().person, dirty_.back().item) >= std::tie(person, item))
    dirty_sorted_ = false;
  dirty_.push_back({item, person});
  dirty_ranks_ += item < ranks_.size();
}

void Tracker::fill(std::size_t people, Time t) {
  const auto limit = static_cast<std::uint32_t>(world_.profiles.person_limit());
  if (pass_ == 0 && filled_people_ == 0) timelines_.clear();
  std::size_t done = 0;
  while (done < people && !filled()) {
    if (filled_people_ == limit) {
      if (pass_ < ranks_.size()) finish_filling(RankId(pass_));
      ++pass_;
      filled_people_ = 0;
      // Records that came meanwhile were looked at without what this pass found out.
      timelines_.clear();
      continue;
    }
    const PersonId first(filled_people_ / kGroup * kGroup);
    const std::uint32_t begin = filled_people_ - first.value;
    const auto end = static_cast<std::uint32_t>(
        std::min<std::size_t>({kGroup, limit - first.value, begin + (people - done)}));
    const Group group{first, world_.profiles.alive_among(first) & bits_between(begin, end)};
    filled_people_ = first.value + end;
    done += end - begin;
    if (group.people == 0) continue;
    reserve(group.at(static_cast<std::uint32_t>(std::bit_width(group.people)) - 1));
    if (pass_ < ranks_.size()) {
      fill_rank(RankId(pass_), group, t);
    } else {
      fill_segments(group, t);
    }
  }
  if (filled()) carried_ = {};
}

void Tracker::fill_rank(RankId rank, const Group& group, Time t) {
  std::vector<PersonId> nobody;
  RankTable& table = tables_[rank.value];
  if (const auto before = carried_.from == nullptr ? std::nullopt : carried_.ranks[rank.value]) {
    const Tracker& from = *carried_.from;
    each_bit(group.people, [&](std::uint32_t i) { from.prefetch_entries(group.at(i)); });
    each_bit(group.people, [&](std::uint32_t i) {
      table.update(group.at(i), from.tables_[before->value].value(group.at(i)), nobody);
      wait_for(group.at(i), rank.value, from.pending_.at(group.at(i), before->value), t);
    });
    return;
  }
  // What is known for good of many at once; not their past, which is to be found for each.
  std::uint64_t known = 0;
  if (pasts_[rank.value] == nullptr) {
    World world = world_;
    GroupMemory group_memory;
    world.group = &group_memory;
    const Amounts amounts = ranks_[rank.value].values(world, group, t, Holding::for_good);
    known = amounts.known;
    each_bit(known, [&](std::uint32_t i) {
      const bool present = (amounts.present & bit_of(i)) != 0;
      table.fill_in(group.at(i), present ? std::optional(amounts.of[i]) : std::nullopt);
    });
  }
  const std::uint64_t others = group.people & ~known;
  each_bit(others, [&](std::uint32_t i) { world_.history.places().prefetch_entries(group.at(i)); });
  each_bit(others, [&](std::uint32_t i) {
    note_change(group.at(i), kForeverAgo);
    evaluate_rank(rank, group.at(i), t, nobody);
    changed_from_.clear();
  });
}

void Tracker::fill_segments(const Group& group, Time t) {
  if (carried_.from != nullptr) {
    each_bit(group.people, [&](std::uint32_t i) { carried_.from->prefetch_entries(group.at(i)); });
    each_bit(group.people, [&](std::uint32_t i) { carry_segments(group.at(i), t); });
  }
  // First what is so for good, of many at once; then everybody else, of whom all segments look at much the
  // same.
  std::vector<std::uint64_t>& left = fill_left_;
  left.assign(evaluated_.size(), group.people);
  std::uint64_t some_left = 0;
  for (std::size_t place = 0; place < evaluated_.size(); ++place) {
    const SegmentId segment = evaluated_[place];
    const Verdicts found = segments_[segment.value].condition->verdicts(world_, group, t, Holding::for_good);
    each_bit(found.known,
             [&](std::uint32_t i) { set_member(segment, group.at(i), (found.value & bit_of(i)) != 0); });
    left[place] &= ~found.known;
    some_left |= left[place];
  }
  each_bit(some_left, [&](std::uint32_t i) {
    world_.history.places().prefetch_entries(group.at(i));
    if (!by_trait_.empty()) world_.profiles.prefetch(group.at(i));
  });
  if (!by_trait_.empty())
    each_bit(some_left, [&](std::uint32_t i) { world_.profiles.prefetch_statements(group.at(i)); });
  if (streams_.size() <= kFewStreams) {
    each_bit(some_left, [&](std::uint32_t i) {
      for (const history::StreamId stream : streams_)
        world_.history.at(stream).prefetch_newest_time(group.at(i));
    });
  }
  std::vector<Delta> unseen;
  each_bit(some_left, [&](std::uint32_t i) {
    for (std::size_t place = 0; place < evaluated_.size(); ++place) {
      if ((left[place] & bit_of(i)) != 0) evaluate_segment(evaluated_[place], group.at(i), t, t, unseen);
    }
  });
}

// Ranks whose past is kept are worked out anew, and what depends on them with them.
void Tracker::carry_over(const Tracker& from) {
  TR_ASSERT(from.filled() && pass_ == 0 && filled_people_ == 0);
  carried_ = {.from = &from,
              .ranks = std::vector<std::optional<RankId>>(ranks_.size()),
              .heirs = std::vector<std::vector<SegmentId>>(from.segments_.size()),
              .segments = std::vector<std::uint64_t>(words_per_person_ - 1),
              .inside = std::vector<std::uint64_t>(words_per_person_ - 1)};
  std::map<Meaning, Item> known;
  for (Item rank = 0; rank < from.ranks_.size(); ++rank) {
    if (from.pasts_[rank] == nullptr) known.emplace(from.ranks_[rank].meaning, rank);
  }
  const auto of_carried_ranks = [&](const Dependencies& dependencies) {
    return std::ranges::all_of(dependencies.ranks,
                               [&](RankId rank) { return carried_.ranks[rank.value].has_value(); });
  };
  for (Item rank = 0; rank < ranks_.size(); ++rank) {
    const auto before = known.find(ranks_[rank].meaning);
    if (before == known.end() || pasts_[rank] != nullptr || !of_carried_ranks(ranks_[rank].by.dependencies) ||
        !of_carried_ranks(ranks_[rank].eligible_dependencies))
      continue;
    carried_.ranks[rank] = RankId(before->second);
  }
  known.clear();
  for (Item segment = 0; segment < from.segments_.size(); ++segment)
    known.emplace(from.segments_[segment].meaning, segment);
  evaluated_.clear();
  for (Item segment = 0; segment < segments_.size(); ++segment) {
    const auto before = known.find(segments_[segment].meaning);
    if (before == known.end() || !of_carried_ranks(segments_[segment].dependencies)) {
      evaluated_.emplace_back(segment);
      continue;
    }
    carried_.heirs[before->second].emplace_back(segment);
    carried_.segments[segment / 64] |= std::uint64_t{1} << (segment % 64);
  }
}

void Tracker::carry_segments(PersonId person, Time t) {
  const Tracker& from = *carried_.from;
  std::vector<std::uint64_t>& inside = carried_.inside;
  std::fill(inside.begin(), inside.end(), 0);
  if (person.value < from.people()) {
    from.each_segment(person, [&](SegmentId segment) {
      for (const SegmentId heir : carried_.heirs[segment.value])
        inside[heir.value / 64] |= std::uint64_t{1} << (heir.value % 64);
    });
  }
  for (std::size_t word = 0; word < inside.size(); ++word) {
    const std::uint64_t known = words_[first_word(person) + 1 + word];
    each_bit((known ^ inside[word]) & carried_.segments[word], [&](std::uint32_t bit) {
      set_member(SegmentId(static_cast<std::uint32_t>(word) * 64 + bit), person,
                 (inside[word] & bit_of(bit)) != 0);
    });
  }
  const auto ranks = static_cast<Item>(ranks_.size());
  const auto ranks_before = static_cast<Item>(from.ranks_.size());
  pending_.reserve(person, from.pending_.count(person));
  from.pending_.each(person, [&](Item item, Time until) {
    if (item < ranks_before) return;
    for (const SegmentId heir : carried_.heirs[item - ranks_before])
      pending_.wait(person, ranks + heir.value, until, t);
  });
  if (pending_.first(person) < wake(person)) wake_at_first(person);
}

void Tracker::finish_filling(RankId rank) {
  tables_[rank.value].finish_filling();
  std::vector<RankPast::Moved> all;
  if (pasts_[rank.value] != nullptr) pasts_[rank.value]->catch_up(tables_[rank.value], all);
}

Tracker::FillProgress Tracker::fill_progress() const {
  const std::uint64_t people = world_.profiles.person_limit();
  return {std::uint64_t{pass_} * people + filled_people_, (ranks_.size() + 1) * people};
}

void Tracker::mark_all_items(PersonId person) {
  reserve(person);
  for (Item item = 0; item < ranks_.size() + segments_.size(); ++item) mark(item, person);
}

// What is false of nobody, and for ever, is so of a new person until something it depends on comes.
void Tracker::mark_items_of_new(PersonId person, Time t) {
  if (!items_of_new_) {
    World world = world_;
    world.memory = nullptr;
    items_of_new_.emplace();
    for (Item item = 0; item < ranks_.size() + segments_.size(); ++item) {
      // Where a person of whom nothing is known stands in a rank depends on the others there are.
      if (item >= ranks_.size() && segments_[item - ranks_.size()].dependencies.ranks.empty()) {
        const Truth truth = segments_[item - ranks_.size()].condition->truth(world, kNobody, t);
        if (!truth.value && truth.until == kNever) continue;
      }
      items_of_new_->push_back(item);
    }
  }
  for (const Item item : *items_of_new_) mark(item, person);
}

void Tracker::mark_if_it_may_change(const Use& use, PersonId person) {
  if (use.effect != Effect::any && use.item >= ranks_.size()) {
    const SegmentId segment(use.item - static_cast<Item>(ranks_.size()));
    if (contains(segment, person) == (use.effect == Effect::raises)) return;
  }
  mark(use.item, person);
}

void Tracker::mark_stream(const Touch& touch, history::StreamId stream, Time t) {
  if (stream.value >= by_stream_.size()) return;
  const StreamUses& uses = by_stream_[stream.value];
  const PersonId person = touch.person;
  for (const Use& use : uses.others) mark_if_it_may_change(use, person);
  if (uses.counts.empty() && uses.distincts.empty()) return;
  const history::Stream& events = world_.history.at(stream);
  const history::Slot* slot = events.slot(person);
  TR_ASSERT(slot != nullptr);
  const auto rows = events.rows(*slot);
  // The newest event, and not one of the future: what was before it is what is without it. Among events of
  // one millisecond any may be the newest.
  const bool in_order = slot->last == touch.event_time && touch.event_time <= t &&
                        (rows.size() < 2 || rows.times[rows.size() - 2] < slot->last);
  const auto mark_all = [&](const auto& users) {
    for (const Use& use : users) mark_if_it_may_change(use, person);
  };
  for (const auto& [times, by_reach] : uses.counts) {
    if (!in_order) {
      for (const auto& [threshold, users] : by_reach) mark_all(users);
      continue;
    }
    if (rows.size() < times) continue;
    // How far it is to the n-th event, now and without the newest.
    const Millis with = t - rows.times[rows.size() - times];
    const Millis without = rows.size() == times ? kEver : t - rows.times[rows.size() - times - 1];
    auto next = std::upper_bound(by_reach.begin(), by_reach.end(), with,
                                 [](Millis age, const auto& other) { return age < reach(other.threshold); });
    for (; next != by_reach.end() && reach(next->threshold) <= without; ++next) mark_all(next->uses);
  }
  for (const Distincts& of_column : uses.distincts) {
    if (!in_order) {
      for (const auto& [threshold, users] : of_column.thresholds) mark_all(users);
      continue;
    }
    const Time low = of_column.farthest == kEver ? kForeverAgo : t - of_column.farthest;
    const RecentValues values(events, rows, of_column.column, of_column.most, low);
    for (const auto& [threshold, users] : of_column.thresholds) {
      if (values.newest_is_decisive(threshold, t)) mark_all(users);
    }
  }
}

void Tracker::mark_touched(const Touch& touch, Time t) {
  const PersonId person = touch.person;
  reserve(person);
  if (touch.all || !touch.traits.empty() || !touch.purposes.empty()) memory_.forget(person);
  note_change(person, touch.all || touch.created || !touch.sync.empty() ? kForeverAgo : touch.event_time);
  if (touch.all) {
    mark_all_items(person);
    return;
  }
  if (touch.created) mark_items_of_new(person, t);
  for (const auto stream : touch.streams) mark_stream(touch, stream, t);
  const auto mark_all = [&](const auto& index, const auto& ids) {
    for (const auto id : ids) {
      if (id.value >= index.size()) continue;
      for (const Item item : index[id.value]) mark(item, person);
    }
  };
  mark_all(by_trait_, touch.traits);
  mark_all(by_purpose_, touch.purposes);
  if (touch.sync.empty()) return;
  if (const auto items = by_sync_.find(touch.sync); items != by_sync_.end()) {
    for (const Item item : items->second) mark(item, person);
  }
}

void Tracker::touch(const Touch& touch, Time t, std::vector<Delta>& deltas) {
  mark_touched(touch, t);
  settle(t, t, deltas);
}

void Tracker::settle(Time t, Time cause, std::vector<Delta>& deltas) {
  const std::size_t first_delta = deltas.size();
  if (dirty_ranks_ > 0 || std::min(pasts_due_, recheck_) <= t) settle_ranks(t);
  if (!dirty_sorted_) {
    const auto key = [](const Dirty& d) { return std::tie(d.person, d.item); };
    std::sort(dirty_.begin(), dirty_.end(), [&](const Dirty& a, const Dirty& b) { return key(a) < key(b); });
    const auto same = [&](const Dirty& a, const Dirty& b) { return key(a) == key(b); };
    dirty_.erase(std::unique(dirty_.begin(), dirty_.end(), same), dirty_.end());
  }
  const auto ranks = static_cast<Item>(ranks_.size());
  for (const Dirty& dirty : dirty_) {
    if (dirty.item >= ranks) evaluate_segment(SegmentId(dirty.item - ranks), dirty.person, t, cause, deltas);
  }
  dirty_.clear();
  dirty_sorted_ = true;
  dirty_ranks_ = 0;
  changed_from_.clear();
  if (!filled()) deltas.resize(first_delta);
}

// In their order: the people one moves are seen by those after it, and by segments.
void Tracker::settle_ranks(Time t) {
  const bool rechecks = recheck_ <= t;
  const bool pasts_are_due = pasts_due_ <= t;
  if (rechecks) recheck_ = kNever;
  if (pasts_are_due) pasts_due_ = kNever;
  std::vector<PersonId> flips;
  for (Item rank = 0; rank < ranks_.size(); ++rank) {
    flips.clear();
    bool any = false;
    for (const Dirty& dirty : dirty_) {
      if (dirty.item != rank) continue;
      any = true;
      evaluate_rank(RankId(rank), dirty.person, t, flips);
    }
    RankPast* past = pasts_[rank].get();
    if (past != nullptr && pass_ > rank) {
      for (const PersonId person : flips) {
        past->flip(person, t);
        note_change(person, t);
      }
      if (past->late()) {
        const std::size_t backlog = past->backlog();
        if (pasts_are_due || backlog <= kBacklogAtOnce) {
          catch_up(RankId(rank), flips);
          any = true;
        } else {
          const Millis wait{static_cast<std::int64_t>(backlog / 20)};
          pasts_due_ = std::min(pasts_due_, t + std::max(kSecond, wait));
        }
      }
      if (rechecks) {
        any = true;
        for (std::uint32_t id = 0; id < people(); ++id) {
          note_change(PersonId(id), kForeverAgo);
          if (world_.profiles.alive(PersonId(id))) flips.emplace_back(id);
        }
      }
    }
    if (!any || rank >= by_rank_.size()) continue;
    for (const PersonId person : flips) {
      for (const Item item : by_rank_[rank]) mark(item, person);
    }
  }
}

void Tracker::catch_up(RankId rank, std::vector<PersonId>& flips) {
  std::vector<RankPast::Moved> moved;
  pasts_[rank.value]->catch_up(tables_[rank.value], moved);
  for (const auto& [person, from] : moved) {
    note_change(person, from);
    flips.push_back(person);
  }
}

// What is remembered of the person from then on is forgotten.
void Tracker::note_change(PersonId person, Time from) {
  timelines_.touched(person, from);
  const bool pasts =
      std::any_of(pasts_.begin(), pasts_.end(), [](const auto& past) { return past != nullptr; });
  if (!pasts) return;
  const auto [place, is_new] = changed_from_.try_emplace(person.value, from);
  place->second = std::min(place->second, from);
}

Time Tracker::known_from() const {
  Time first = kNever;
  for (const auto& past : pasts_) {
    if (past != nullptr) first = std::min(first, past->known_from());
  }
  return first;
}

void Tracker::evaluate_rank(RankId rank, PersonId person, Time t, std::vector<PersonId>& flips) {
  const RankPlan& plan = ranks_[rank.value];
  if (RankPast* past = pasts_[rank.value].get()) {
    const auto changed = changed_from_.find(person.value);
    const Time from = changed == changed_from_.end() ? t : std::min(changed->second, t);
    const RankPast::Value value = past->revalue(world_, plan, person, from, t);
    if (world_.profiles.alive(person)) wait_for(person, rank.value, value.until, t);
    tables_[rank.value].update(person, value.number, flips);
    return;
  }
  std::optional<Number> value;
  if (world_.profiles.alive(person)) {
    const Truth takes_part = plan.eligible ? plan.eligible->truth(world_, person, t) : Truth{true, kNever};
    // Of those who take no part the value does not matter until they do.
    const Held by = takes_part.value ? plan.by.node->at(world_, person, t) : Held{};
    if (by.value.kind == Scalar::Kind::number) value = by.value.number;
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
  std::uint64_t& word = words_[first_word(person) + 1 + segment.value / 64];
  const std::uint64_t bit = std::uint64_t{1} << (segment.value % 64);
  if (((word & bit) != 0) == inside) return false;
  word ^= bit;
  if (inside) {
    ++sizes_[segment.value];
  } else {
    --sizes_[segment.value];
  }
  return true;
}

void Tracker::wait_for(PersonId person, Item item, Time until, Time t) {
  pending_.wait(person, item, until, t);
  if (until < wake(person)) {
    set_wake(person, until);
    timers_.push(until, person);
  }
}

void Tracker::wake_at_first(PersonId person) {
  const Time first = pending_.first(person);
  set_wake(person, first);
  if (first != kNever) timers_.push(first, person);
}

void Tracker::advance(Time t, std::vector<Delta>& deltas) {
  while (next_change() <= t) {
    const Time at = next_change();
    due_.clear();
    while (timers_.next() == at) {
      // Far ahead the person's place in the tables, nearer what stands there.
      if (const auto far = timers_.ahead(32)) {
        prefetch(*far);
        world_.history.places().prefetch(*far);
      }
      if (const auto near = timers_.ahead(16)) {
        prefetch_entries(*near);
        world_.history.places().prefetch_entries(*near);
      }
      const PersonId person = timers_.pop().person;
      // An entry that was overtaken by an earlier one of the same person is void.
      if (wake(person) != at) continue;
      // Nothing needs to be pushed for this person until all that is due has been looked at.
      set_wake(person, kForeverAgo);
      due_.push_back(person);
      const std::size_t first = dirty_.size();
      pending_.each_due(person, at, [&](Item item) { mark(item, person); });
      if (dirty_.size() > first + 1)
        std::sort(dirty_.begin() + static_cast<std::ptrdiff_t>(first), dirty_.end(),
                  [](const Dirty& a, const Dirty& b) { return a.item < b.item; });
    }
    dirty_sorted_ = due_.size() <= 1;
    settle(at, at, deltas);
    for (const PersonId person : due_) wake_at_first(person);
  }
}

void Tracker::remove(PersonId person, Time t, std::vector<Delta>& deltas) {
  TR_ASSERT(!world_.profiles.alive(person));
  mark_all_items(person);
  note_change(person, kForeverAgo);
  settle(t, t, deltas);
  forget(person);
}

void Tracker::merge(PersonId gone, const Touch& into, Time t, std::vector<Delta>& deltas) {
  TR_ASSERT(!world_.profiles.alive(gone));
  mark_all_items(gone);
  note_change(gone, kForeverAgo);
  mark_touched(into, t);
  settle(t, t, deltas);
  forget(gone);
}

// What still stands in timers_ is void, as nothing is waited for.
void Tracker::forget(PersonId person) {
  pending_.clear(person);
  memory_.forget(person);
  set_wake(person, kNever);
}

bool Tracker::contains(SegmentId segment, PersonId person) const {
  if (person.value >= people()) return false;
  return (words_[first_word(person) + 1 + segment.value / 64] >> (segment.value % 64) & 1) != 0;
}

std::vector<PersonId> Tracker::members(SegmentId segment) const {
  std::vector<PersonId> result;
  result.reserve(size(segment));
  for (std::uint32_t person = 0; result.size() < size(segment); ++person) {
    if (contains(segment, PersonId(person))) result.emplace_back(person);
  }
  return result;
}

void Tracker::add_memory(MemoryParts& parts) const {
  parts.add("memberships", words_.memory());
  parts.add("remembered_conditions", memory_.memory());
  parts.add("window_ends", pending_.memory());
  parts.add("timers", timers_.memory());
  parts.add("ranks", {});
  for (const RankTable& table : tables_) parts.add("ranks", table.memory());
  for (const auto& past : pasts_) {
    if (past != nullptr) parts.add("ranks", past->memory());
  }
  parts.add("timelines", timelines_.memory());
}

void Tracker::save(ByteWriter& out) const {
  TR_ASSERT(filled());
  out.begin_part("sizes of segments");
  out.put_array(sizes_);
  out.put<std::uint64_t>(people());
  out.begin_part("memberships");
  for (std::size_t word = 0; word < words_.size(); ++word) out.put(words_[word]);
  out.begin_part("ends of windows");
  pending_.save(out);
  out.begin_part("times of the tracker");
  out.put(std::min(pasts_due_, recheck_));
}

Result<void> Tracker::restore(ByteReader& in, Time t) {
  const auto sizes = TRY(in.get_array<std::uint64_t>());
  if (sizes.size() != sizes_.size())
    return fail(Error::Code::corrupt, "another number of segments than the workspace has");
  const auto count = TRY(in.get_count(8 * words_per_person_));
  words_.grow_to(count * words_per_person_);
  people_ = count;
  for (std::size_t word = 0; word < words_.size(); ++word) {
    words_[word] = TRY(in.get<std::uint64_t>());
    if (word % words_per_person_ == 0) continue;
    // Counted again rather than believed, as members() walks until it has found as many.
    const std::size_t first = (word % words_per_person_ - 1) * 64;
    if (first + static_cast<std::size_t>(std::bit_width(words_[word])) > sizes_.size())
      return fail(Error::Code::corrupt, "a member of no segment");
    each_bit(words_[word], [&](std::uint32_t bit) { ++sizes_[first + bit]; });
  }
  if (sizes != sizes_) return fail(Error::Code::corrupt, "segments of another size than their members");
  TRY(pending_.restore(in));
  recheck_ = TRY(in.get<Time>());
  for (std::uint32_t person = 0; person < count; ++person) wake_at_first(PersonId(person));
  // Rank tables follow from values; membership of segments stands already.
  for (std::uint32_t rank = 0; rank < ranks_.size(); ++rank) {
    for (PersonId first(0); first.value < world_.profiles.person_limit(); first.value += kGroup)
      fill_rank(RankId(rank), {first, world_.profiles.alive_among(first)}, t);
    finish_filling(RankId(rank));
  }
  pass_ = static_cast<Item>(ranks_.size()) + 1;
  return {};
}

}  // namespace tailrace::segments
