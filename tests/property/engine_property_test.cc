// The engine against the brute-force judge, on random histories that arrive in random order: members,
// instants of change, time travel, restarts and changes of the workspace in the middle.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "engine/engine.h"
#include "model/json.h"
#include "support/memory_records.h"
#include "support/oracle.h"
#include "support/random_expr.h"
#include "support/random_world.h"

namespace tailrace::testing {
namespace {

constexpr Time kStart = RandomWorldOptions{}.start;
constexpr std::string_view kHeldBack = "Cart Started";  // an event the first taxonomy may not know

// Something that arrives.
struct Input {
  enum class Kind : unsigned char { event, trait, consent, sync_entry, join, merge, removal };
  Kind kind = Kind::event;
  std::string who;    // "u3", or the anonymous "a3"
  std::string other;  // join, merge: the user into whom `who` goes
  Time time;
  Time received_at;
  std::string name;  // of the event, trait, purpose or sync
  Value value;       // properties, the trait's value, consent
  std::string message_id;
};

bool is_anonymous(const std::string& who) { return who.front() == 'a'; }

// ---- what the judge is told ------------------------------------------------------------------------------

// The world as far as it has arrived. Who is who follows the rules of identity, said once more.
class Known {
 public:
  void apply(const Input& input) {
    switch (input.kind) {
      case Input::Kind::event:
        if (held_back_ && input.name == kHeldBack) {
          waiting_.push_back({sequence_++, input});
          return;
        }
        add_event(sequence_++, input);
        return;
      case Input::Kind::trait:
        person(input.who).traits.push_back({input.name, input.value, input.time, input.message_id});
        return;
      case Input::Kind::consent:
        person(input.who).consents.push_back({input.name, input.value.boolean, input.time, input.message_id});
        return;
      case Input::Kind::sync_entry:
        if (ids_.contains(input.who)) person(input.who).sync_entries[input.name].push_back(input.time);
        return;
      case Input::Kind::join:
      case Input::Kind::merge:
        join(input.who, input.other);
        return;
      case Input::Kind::removal:
        remove(input.who);
        return;
    }
  }
  void hold_back() { held_back_ = true; }
  void let_in() {
    held_back_ = false;
    for (const auto& [sequence, input] : std::exchange(waiting_, {})) add_event(sequence, input);
  }
  std::size_t waiting() const { return waiting_.size(); }

  OracleWorld world() const {
    OracleWorld world;
    for (const auto& [id, known] : people_) {
      OraclePerson person = known.rest;
      person.id = id;
      for (const auto& [sequence, event] : known.events) person.events.push_back(event);
      world.people.push_back(std::move(person));
    }
    return world;
  }

 private:
  struct Person {
    std::map<std::size_t, OracleEvent> events;  // by arrival
    OraclePerson rest;
  };

  void add_event(std::size_t sequence, const Input& input) {
    person(input.who);
    people_.at(ids_.at(input.who)).events[sequence] = {input.name, input.time, input.message_id, input.value};
  }
  OraclePerson& person(const std::string& who) {
    if (!ids_.contains(who)) {
      ids_[who] = PersonId(created_++);
      people_[ids_[who]];
    }
    return people_.at(ids_.at(who)).rest;
  }
  void join(const std::string& who, const std::string& into) {
    // One who is not known yet becomes the other.
    if (!ids_.contains(into) && ids_.contains(who)) ids_[into] = ids_[who];
    person(into);
    if (!ids_.contains(who)) ids_[who] = ids_[into];
    const PersonId survivor = std::min(ids_[who], ids_[into]);
    const PersonId gone = std::max(ids_[who], ids_[into]);
    if (survivor == gone) return;
    Person& to = people_.at(survivor);
    Person& from = people_.at(gone);
    to.events.merge(from.events);
    const auto append = [](auto& all, const auto& more) { all.insert(all.end(), more.begin(), more.end()); };
    append(to.rest.traits, from.rest.traits);
    append(to.rest.consents, from.rest.consents);
    for (const auto& [sync, entries] : from.rest.sync_entries) append(to.rest.sync_entries[sync], entries);
    people_.erase(gone);
    for (auto& [name, id] : ids_) {
      if (id == gone) id = survivor;
    }
  }
  void remove(const std::string& who) {
    if (!ids_.contains(who)) return;
    const PersonId id = ids_[who];
    people_.erase(id);
    std::erase_if(ids_, [&](const auto& known) { return known.second == id; });
  }

  std::map<PersonId, Person> people_;
  std::map<std::string, PersonId> ids_;
  std::uint32_t created_ = 0;
  std::size_t sequence_ = 0;
  bool held_back_ = false;
  std::vector<std::pair<std::size_t, Input>> waiting_;
};

// ---- what arrives ----------------------------------------------------------------------------------------

bool one_in(Random& random, std::uint64_t n) { return random.below(n) == 0; }

// Mostly on time; some late, some from the future.
Time random_receipt(Random& random, Time time) {
  return one_in(random, 2) ? time : std::max(kStart - kDay, random_time(random, kStart));
}

std::vector<Input> random_inputs(Random& random, const OracleWorld& world) {
  std::vector<Input> inputs;
  const auto add = [&](Input input) {
    input.received_at = random_receipt(random, input.time);
    inputs.push_back(std::move(input));
  };
  for (const OraclePerson& person : world.people) {
    const std::string user = fmt::format("u{}", person.id.value);
    const std::string anonymous = fmt::format("a{}", person.id.value);
    const bool joins = one_in(random, 2);
    const auto who = [&] { return joins && one_in(random, 2) ? anonymous : user; };
    for (const OracleEvent& event : person.events)
      add({Input::Kind::event,
           who(),
           "",
           event.time,
           {},
           event.event,
           event.properties,
           fmt::format("{}", event.message_id)});
    for (const OracleTrait& trait : person.traits)
      add({Input::Kind::trait,
           who(),
           "",
           trait.time,
           {},
           trait.name,
           trait.value,
           fmt::format("{}-{}", trait.message_id, user)});
    for (const OracleConsent& consent : person.consents)
      add({Input::Kind::consent,
           who(),
           "",
           consent.time,
           {},
           consent.purpose,
           Value::of(consent.granted),
           fmt::format("{}-{}", consent.message_id, user)});
    for (const auto& [sync, entries] : person.sync_entries) {
      for (const Time entry : entries)
        add({Input::Kind::sync_entry, user, "", entry, {}, sync, {}, "sync-" + user});
    }
    const Time some_time = random_time(random, kStart);
    if (joins) add({Input::Kind::join, anonymous, user, some_time, {}, "", {}, "join-" + user});
    if (one_in(random, 5))
      add({Input::Kind::merge,
           user,
           fmt::format("u{}", random.below(world.people.size())),
           some_time,
           {},
           "",
           {},
           "merge-" + user});
    if (one_in(random, 8)) add({Input::Kind::removal, user, "", some_time, {}, "", {}, "remove-" + user});
  }
  // In order of receipt; what is received at once comes in any order.
  std::map<std::pair<Time, std::uint64_t>, Input> sorted;
  for (Input& input : inputs) sorted.emplace(std::pair(input.received_at, random.next()), std::move(input));
  inputs.clear();
  for (auto& [when, input] : sorted) inputs.push_back(std::move(input));
  return inputs;
}

// ---- workspaces ------------------------------------------------------------------------------------------

// One of every form.
const std::vector<std::string> kTexts{
    R"(performed "Product Viewed" at least 2 times within 24h and not performed "Order Placed" within 24h)",
    R"(performed "Product Viewed" at most 1 times within 7d and since last "Order Placed" if any)",
    R"(last("Order Refunded") between 2h and 24h ago and not performed "Order Placed" since last "Order Refunded")",
    R"(performed "Product Viewed" within 7d not followed by "Order Placed" within 2h)",
    R"(performed "Product Viewed" followed by "Order Placed" within 24h not followed by "Order Refunded" within 1h)",
    R"(performed "Order Placed" yesterday or performed "Order Placed" this week)",
    R"(sum("Order Placed".revenue within 7d) - sum("Order Refunded".revenue) > 1)",
    R"(avg("Order Placed".revenue within 24h) >= 0.15 or distinct("Product Viewed".currency) = 2)",
    R"(performed "Order Placed" where any products (category = "a" and price > 0.1) since "2026-03-02")",
    R"(performed "Order Placed" where products.price > 0.1 or tags = "a" since first "Order Placed" where revenue > 0)",
    R"(top 40% by sum("Order Placed".revenue within 7d) where vip)",
    R"(rank <= 1 by count("Product Viewed" within 24h) among segment "s0")",
    R"(bottom 50% by spent where lapsed or vip)",
    R"(entered segment "s0" within 2h and not in segment "s1")",
    R"(performed "Product Viewed" since entered segment "s3" if any)",
    R"(was in segment "s7" at "2026-03-08" or consent.ads)",
    R"(entered segment "s15" within 7d)",
    R"(entered sync "Winback" within 24h or performed "Order Placed" since entered sync "VIP")",
    R"(age > 0.2 and tags = "a" and not country in ("US", "b") or address.city exists)",
    R"(signed_up_at within 7d)",
    R"((if vip then last("Order Placed") else first("Product Viewed")) within 24h)",
    R"(lapsed and spent > 0 or tags = tags)",
    R"(last("Order Placed".tags) = "a" or first("Order Placed".products) exists)",
    R"(min("Order Placed".revenue) < max("Order Refunded".revenue) and not (age = age))",
};

workspace::Workspace empty_workspace(const OracleWorld& world, bool holds_back) {
  workspace::Workspace workspace;
  workspace.name = "random";
  workspace.time_zone = world.time_zone;
  workspace.consent_unknown = world.consent_unknown;
  for (const std::string_view event : vocabulary::kEvents) {
    if (!holds_back || event != kHeldBack)
      workspace.taxonomy.events.push_back({.name = std::string(event), .aliases = {}});
  }
  for (const std::string_view trait : vocabulary::kTraits) {
    const auto type = trait == "vip"            ? language::Type::boolean
                      : trait == "signed_up_at" ? language::Type::time
                                                : language::Type::any;
    workspace.taxonomy.traits.push_back({std::string(trait), type});
  }
  workspace.definitions.push_back(
      {.name = "lapsed", .text = R"(performed "Order Placed" and not performed "Order Placed" within 24h)"});
  workspace.attributes.push_back({.name = "spent", .text = R"(sum("Order Placed".revenue))"});
  return workspace;
}

// Adds the segment if it can be checked and compiled beside those before it.
bool add_segment(workspace::Workspace& workspace, const std::string& text) {
  workspace::Workspace larger = workspace;
  larger.segments.push_back({.name = fmt::format("s{}", workspace.segments.size()), .text = text});
  const auto checked = workspace::from_value(workspace::to_value(larger));
  if (!checked) return false;
  workspace = *checked;
  return true;
}

void add_syncs(workspace::Workspace& workspace) {
  for (const std::string_view sync : vocabulary::kSyncs)
    workspace.syncs.push_back({.name = std::string(sync), .segment = "s0"});
}

workspace::Workspace fixed_workspace(const OracleWorld& world, bool holds_back) {
  workspace::Workspace workspace = empty_workspace(world, holds_back);
  for (const std::string& text : kTexts) {
    workspace.segments.push_back({.name = fmt::format("s{}", workspace.segments.size()), .text = text});
  }
  add_syncs(workspace);
  const auto checked = workspace::from_value(workspace::to_value(workspace));
  EXPECT_TRUE(checked) << checked.error().message;
  return checked ? *checked : workspace;
}

workspace::Workspace random_workspace(Random& random, const OracleWorld& world, bool holds_back) {
  workspace::Workspace workspace = empty_workspace(world, holds_back);
  workspace.segments.push_back({.name = "s0", .text = "vip"});
  add_syncs(workspace);
  RandomExprOptions options;
  options.depth = 3;
  options.epoch = kStart;
  options.syncs = {"Winback", "VIP"};
  options.texts = {vocabulary::kStrings.begin(), vocabulary::kStrings.end()};
  options.events.assign(vocabulary::kEvents.begin(), vocabulary::kEvents.end());
  if (holds_back) std::erase(options.events, kHeldBack);
  options.number_traits = {"age", "spent"};
  options.text_properties = {"currency", "tags"};
  options.text_traits = {"country", "tags", "address.city"};
  options.segments = {"s0"};
  // A rank's past cannot be asked for inside an expression, so those without ranks come first and are the
  // ones spoken of.
  for (int tries = 0; workspace.segments.size() < 5 && tries < 40; ++tries) {
    options.ranks = workspace.segments.size() >= 3;
    if (add_segment(workspace, language::print(*random_expr(random, options))) && !options.ranks)
      options.segments.push_back(workspace.segments.back().name);
  }
  EXPECT_EQ(workspace.segments.size(), 5u) << "most random expressions should pass the check";
  return workspace;
}

// ---- the comparison --------------------------------------------------------------------------------------

using Membership = std::set<std::pair<std::uint32_t, PersonId>>;
using Changes = std::vector<std::tuple<Time, PersonId, std::uint32_t, bool>>;

std::string text_of(const Changes& changes, const workspace::Workspace& workspace) {
  std::string text;
  for (const auto& [at, person, segment, entered] : changes)
    text += fmt::format("{} {}{} {}\n", format_time(at), entered ? '+' : '-', person.value,
                        workspace.segments[segment].text);
  return text;
}

class Run {
 public:
  Run(Random& random, OracleWorld world)
      : random_(random), zone_(world), inputs_(random_inputs(random, world)) {
    restart();
  }

  void with(workspace::Workspace first, std::optional<workspace::Workspace> second, bool holds_back) {
    if (holds_back) known_.hold_back();
    apply_workspace(first, kStart - kDay * 2);
    const std::size_t change = second ? random_.below(inputs_.size() + 1) : inputs_.size() + 1;
    for (std::size_t i = 0; i <= inputs_.size() && !::testing::Test::HasFailure(); ++i) {
      if (i == change) {
        known_.let_in();
        apply_workspace(*second, now_);
      }
      if (engine_->work_pending() && one_in(random_, 3)) work();
      if (i == inputs_.size()) break;
      advance(inputs_[i].received_at);
      apply(inputs_[i]);
      if (one_in(random_, 6)) apply_again(inputs_[random_.below(i + 1)]);
      if (one_in(random_, 8) && !engine_->work_pending()) restart();
      expect_members();
    }
    while (engine_->work_pending()) work();
    expect_members();
    advance(now_ + kDay * 3);
    expect_members();
    EXPECT_EQ(engine_->quarantine().size(), known_.waiting());
    for (int i = 0; i < 3 && !::testing::Test::HasFailure(); ++i) expect_time_travel();
  }

 private:
  const workspace::Workspace& workspace() const { return *engine_->workspace(); }

  void apply_workspace(const workspace::Workspace& workspace, Time at) {
    const std::string payload = to_json(workspace::to_value(workspace));
    apply({.kind = RecordKind::workspace, .received_at = at, .payload = payload});
    tell();  // what was held back is let in before the new workspace is live
    now_ = std::max(now_, at);
    take_over();
  }
  void work() {
    const auto worked = engine_->work();
    ASSERT_TRUE(worked) << worked.error().message;
    take_over();
  }
  // A workspace that has become live comes with its members.
  void take_over() {
    if (engine_->generation() == generation_) return;
    generation_ = engine_->generation();
    told_ = members();
  }

  Membership members() const {
    Membership result;
    for (std::uint32_t i = 0; i < workspace().segments.size(); ++i) {
      for (const PersonId person : engine_->members(SegmentId(i))) result.emplace(i, person);
    }
    return result;
  }

  Oracle judge() const {
    OracleWorld world = known_.world();
    world.time_zone = zone_.time_zone;
    world.consent_unknown = zone_.consent_unknown;
    for (const auto& one : workspace().definitions) world.definitions[one.name] = one.expr;
    for (const auto& one : workspace().attributes) world.attributes[one.name] = one.expr;
    for (const auto& one : workspace().segments) world.segments[one.name] = one.expr;
    return Oracle(std::move(world));
  }

  // Takes what was told into account, and gives it.
  Changes tell() {
    Changes changes;
    for (const Delta& delta : output_.deltas) {
      if (engine_->sync_of(delta.segment)) continue;
      const bool entered = delta.change == Change::entered;
      changes.emplace_back(delta.at, delta.person, delta.segment.value, entered);
      const bool changed = entered ? told_.emplace(delta.segment.value, delta.person).second
                                   : told_.erase({delta.segment.value, delta.person}) > 0;
      EXPECT_TRUE(changed) << "entered or left twice: " << workspace().segments[delta.segment.value].text;
    }
    output_.clear();
    return changes;
  }

  void advance(Time t) {
    if (one_in(random_, 2)) {  // the judge is slow
      engine_->advance(t, output_);
      tell();
      now_ = t;
      return;
    }
    Oracle oracle = judge();
    Changes expected;
    for (std::uint32_t i = 0; i < workspace().segments.size(); ++i) {
      for (const Transition& change : oracle.timeline(*workspace().segments[i].expr, now_, t))
        expected.emplace_back(change.at, change.person, i, change.entered);
    }
    std::ranges::sort(expected);
    engine_->advance(t, output_);
    EXPECT_EQ(text_of(tell(), workspace()), text_of(expected, workspace()));
    now_ = t;
  }

  void apply(const RecordView& record) {
    const auto applied = engine_->apply(records_.append(record), record, output_);
    ASSERT_TRUE(applied) << applied.error().message;
  }

  void send(const Input& input, Time received_at) {
    RecordView record{.kind = RecordKind::identify,
                      .received_at = received_at,
                      .time = input.time,
                      .source = "app",
                      .message_id = input.message_id};
    // Message ids are unique within their source.
    const std::string source = "app " + input.who;
    record.source = source;
    Value payload = Value::with(Value::Kind::object);
    (is_anonymous(input.who) ? record.anonymous_id : record.user_id) = input.who;
    switch (input.kind) {
      case Input::Kind::event:
        record.kind = RecordKind::track;
        record.event = input.name;
        payload = input.value;
        break;
      case Input::Kind::trait:
        payload.members.emplace_back(input.name, input.value);
        break;
      case Input::Kind::consent: {
        Value consent = Value::with(Value::Kind::object);
        consent.members.emplace_back(input.name, input.value);
        payload.members.emplace_back("consent", std::move(consent));
        break;
      }
      case Input::Kind::join:
        record.user_id = input.other;
        break;
      case Input::Kind::merge:
        record.kind = RecordKind::alias;
        record.previous_id = input.who;
        record.user_id = input.other;
        break;
      case Input::Kind::removal:
        record.kind = RecordKind::remove;
        break;
      case Input::Kind::sync_entry:
        if (const auto person = engine_->find_person(input.who))
          engine_->enter_sync(input.name, *person, input.time, output_);
        return;
    }
    const std::string text = to_json(payload);
    record.payload = text;
    apply(record);
  }

  void apply(const Input& input) {
    known_.apply(input);
    send(input, input.received_at);
    tell();
  }
  // A client's retry counts once. (The ledger's entries have no message id.)
  void apply_again(const Input& input) {
    if (input.kind == Input::Kind::sync_entry) return;
    if (known_.waiting() > 0 && input.name == kHeldBack) return;
    if (now_ - input.received_at >= workspace().dedup_window) return;
    const auto before = engine_->counts().duplicates;
    send(input, now_);
    tell();
    EXPECT_EQ(engine_->counts().duplicates, before + 1);
  }

  void restart() {
    const std::string snapshot = engine_ ? engine_->save() : "";
    engine_ = std::make_unique<engine::Engine>(records_, engine::Engine::Slice{.rows = 3, .people = 1});
    if (snapshot.empty()) return;
    const auto restored = engine_->restore(snapshot);
    ASSERT_TRUE(restored) << restored.error().message;
    generation_ = engine_->generation();
  }

  void expect_members() {
    Oracle oracle = judge();
    Membership expected;
    for (std::uint32_t i = 0; i < workspace().segments.size(); ++i) {
      for (const PersonId person : oracle.members(*workspace().segments[i].expr, now_))
        expected.emplace(i, person);
    }
    EXPECT_EQ(describe(members()), describe(expected)) << format_time(now_);
    EXPECT_EQ(describe(told_), describe(expected)) << "by the deltas";
  }
  std::string describe(const Membership& membership) const {
    std::string text;
    for (const auto& [segment, person] : membership)
      text += fmt::format("{}: {}\n", person.value, workspace().segments[segment].text);
    return text;
  }

  void expect_time_travel() {
    Oracle oracle = judge();
    const Time at = random_time(random_, kStart) + kDay * static_cast<std::int64_t>(random_.below(3));
    const Time from = random_time(random_, kStart);
    const Time to = std::max(from, random_time(random_, kStart)) + kDay;
    for (const auto& segment : workspace().segments) {
      SCOPED_TRACE(segment.text);
      const auto members = engine_->members_at(workspace(), segment.expr, at);
      ASSERT_TRUE(members) << members.error().message;
      EXPECT_EQ(*members, oracle.members(*segment.expr, at)) << format_time(at);
      const auto transitions = engine_->transitions(workspace(), segment.expr, from, to);
      ASSERT_TRUE(transitions) << transitions.error().message;
      Changes changes;
      Changes expected;
      for (const engine::Transition& change : *transitions)
        changes.emplace_back(change.at, change.person, 0, change.change == Change::entered);
      for (const Transition& change : oracle.timeline(*segment.expr, from, to))
        expected.emplace_back(change.at, change.person, 0, change.entered);
      EXPECT_EQ(text_of(changes, workspace()), text_of(expected, workspace()));
      expect_backtest(segment.expr, from, to, *transitions);
    }
  }

  // The sums of a backtest are those of the transitions and of the members at both ends.
  void expect_backtest(const language::ExprPtr& expr, Time from, Time to,
                       const std::vector<engine::Transition>& transitions) {
    const auto result = engine_->backtest(workspace(), expr, from, to);
    ASSERT_TRUE(result) << result.error().message;
    const segments::Backtest& past = result->past;
    const auto at_start = engine_->members_at(workspace(), expr, from);
    const auto at_end = engine_->members_at(workspace(), expr, to);
    ASSERT_TRUE(at_start && at_end);
    EXPECT_EQ(past.size_at_start, at_start->size());
    EXPECT_EQ(past.members, *at_end);
    std::set<PersonId> people(at_start->begin(), at_start->end());
    std::map<Time, std::int64_t> steps;
    std::map<Time, std::int64_t> size_at;
    std::uint64_t entered = 0;
    for (const engine::Transition& change : transitions) {
      people.insert(change.person);
      steps[change.at] += change.change == Change::entered ? 1 : -1;
      entered += change.change == Change::entered;
    }
    auto size = static_cast<std::int64_t>(at_start->size());
    segments::Backtest::Extreme low{.size = at_start->size(), .at = from};
    segments::Backtest::Extreme high = low;
    for (const auto& [at, step] : steps) {
      size += step;
      const auto now = static_cast<std::uint64_t>(size);
      if (now < low.size) low = {.size = now, .at = at};
      if (now > high.size) high = {.size = now, .at = at};
      size_at[at] = size;
    }
    EXPECT_EQ(past.people, people.size());
    EXPECT_EQ(past.entered, entered);
    EXPECT_EQ(past.left, transitions.size() - entered);
    EXPECT_EQ(std::tie(past.smallest.size, past.smallest.at), std::tie(low.size, low.at));
    EXPECT_EQ(std::tie(past.largest.size, past.largest.at), std::tie(high.size, high.at));
    for (std::size_t i = 0; i < past.days.size(); ++i) {
      const auto after =
          i + 1 < past.days.size() ? size_at.lower_bound(past.days[i + 1].begin) : size_at.end();
      const auto expected =
          after == size_at.begin() ? static_cast<std::int64_t>(at_start->size()) : std::prev(after)->second;
      EXPECT_EQ(static_cast<std::int64_t>(past.days[i].size), expected) << format_time(past.days[i].begin);
    }
    expect_stays(past, expr, from, to);
  }
  void expect_stays(const segments::Backtest& past, const language::ExprPtr& expr, Time from, Time to) {
    // Long before anything happened.
    const auto all = engine_->transitions(workspace(), expr, kStart - kDay * 400, to);
    ASSERT_TRUE(all) << all.error().message;
    std::map<PersonId, Time> entered;
    std::vector<std::int64_t> stays;
    std::uint64_t since_ever = 0;
    for (const engine::Transition& change : *all) {
      if (change.change == Change::entered) {
        entered[change.person] = change.at;
      } else if (change.at > from) {
        if (entered.contains(change.person)) {
          stays.push_back((change.at - entered[change.person]).count);
        } else {
          ++since_ever;
        }
      }
    }
    std::ranges::sort(stays);
    EXPECT_EQ(past.stays, stays.size());
    EXPECT_EQ(past.stays_since_ever, since_ever);
    ASSERT_EQ(past.median_stay.has_value(), !stays.empty());
    if (past.median_stay) {
      EXPECT_EQ(past.median_stay->count, (stays[(stays.size() - 1) / 2] + stays[stays.size() / 2]) / 2);
    }
  }

  Random& random_;
  OracleWorld zone_;
  std::vector<Input> inputs_;
  Known known_;
  MemoryRecords records_;
  std::unique_ptr<engine::Engine> engine_;
  engine::Output output_;
  Membership told_;
  std::uint64_t generation_ = 0;
  Time now_ = kStart - kDay * 2;
};

constexpr RandomWorldOptions kSmall{.people_max = 4, .events_per_person_max = 8};

void run_fixed(std::uint64_t seed) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed);
  const OracleWorld world = random_world(random, kSmall);
  Run(random, world).with(fixed_workspace(world, false), std::nullopt, false);
}

void run_random(std::uint64_t seed) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed);
  const OracleWorld world = random_world(random, kSmall);
  const bool holds_back = one_in(random, 3);
  workspace::Workspace first = random_workspace(random, world, holds_back);
  workspace::Workspace second = random_workspace(random, world, false);
  Run(random, world).with(std::move(first), std::move(second), holds_back);
}

TEST(EngineProperty, every_form_agrees_with_the_judge_at_every_step) {
  for (std::uint64_t seed = 0; seed < 12 && !HasFailure(); ++seed) run_fixed(seed);
}

TEST(EngineProperty, random_expressions_agree_through_restarts_and_new_workspaces) {
  for (std::uint64_t seed = 1000; seed < 1060 && !HasFailure(); ++seed) run_random(seed);
}

// Seeds that once failed.
TEST(EngineProperty, what_failed_once_stays_mended) {
  for (const std::uint64_t seed : {1382688113U, 2072667294U}) run_random(seed);
}

// The seed is printed where it fails; it belongs into the list above then. TAILRACE_SEED=N replays one,
// TAILRACE_SECONDS=N searches for so long.
TEST(EngineProperty, so_do_fresh_ones) {
  if (const char* seed = std::getenv("TAILRACE_SEED")) return run_random(std::strtoull(seed, nullptr, 10));
  const char* seconds = std::getenv("TAILRACE_SECONDS");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds ? std::atoi(seconds) : 0);
  std::random_device device;
  for (int i = 0; (i < 15 || std::chrono::steady_clock::now() < end) && !HasFailure(); ++i)
    run_random(device());
}

}  // namespace
}  // namespace tailrace::testing
