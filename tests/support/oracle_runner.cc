#include "support/oracle_runner.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "base/assert.h"

namespace tailrace::testing {
namespace {

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// Merged people count as one at every instant, so their histories simply become one.
void absorb(OraclePerson& survivor, const OraclePerson& other) {
  append(survivor.events, other.events);
  append(survivor.traits, other.traits);
  append(survivor.consents, other.consents);
  for (const auto& [sync, entries] : other.sync_entries) append(survivor.sync_entries[sync], entries);
}

}  // namespace

Result<void> OracleRunner::begin(const SpecWorkspace& workspace) {
  workspace_ = workspace;
  world_.time_zone = workspace.time_zone;
  world_.consent_unknown = workspace.consent_unknown;
  for (const CheckedDefinition& checked : TRY(check_workspace(workspace))) {
    switch (checked.kind) {
      case SpecDefinition::Kind::definition:
        world_.definitions[checked.name] = checked.expr;
        break;
      case SpecDefinition::Kind::attribute:
        world_.attributes[checked.name] = checked.expr;
        break;
      case SpecDefinition::Kind::segment:
        world_.segments[checked.name] = checked.expr;
        segments_.push_back({checked.name, checked.expr});
        break;
    }
  }
  return {};
}

std::vector<std::string> OracleRunner::step(const SpecStatement& statement) {
  std::vector<std::string> lines = changes_until(statement.at);
  const Membership before = membership(statement.at);
  apply(statement.action);
  now_ = statement.at;
  const Membership after = membership(statement.at);
  Membership changed;
  std::ranges::set_symmetric_difference(before, after, std::inserter(changed, changed.end()));
  for (const auto& change : changed)
    lines.push_back(
        change_text(segments_[change.second].name, after.contains(change), name_of(change.first)));
  return lines;
}

std::vector<std::string> OracleRunner::members(const SpecStatement& statement) {
  std::vector<std::string> names;
  for (const PersonId id : Oracle(world_).members(*segment(statement.segment).expr, statement.at))
    names.push_back(name_of(id));
  return names;
}

std::vector<std::string> OracleRunner::timeline(const SpecStatement& statement) {
  std::vector<std::string> lines;
  const Segment& asked = segment(statement.segment);
  for (const Transition& change : Oracle(world_).timeline(*asked.expr, statement.from, statement.at))
    lines.push_back(change_text(asked.name, change.entered, name_of(change.person), change.at));
  return lines;
}

// What time alone changes after the step before, up to and including `at`.
std::vector<std::string> OracleRunner::changes_until(Time at) const {
  if (!now_) return {};
  Oracle oracle(world_);
  std::vector<std::tuple<Time, PersonId, std::size_t, bool>> changes;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    for (const Transition& change : oracle.timeline(*segments_[i].expr, *now_, at))
      changes.emplace_back(change.at, change.person, i, change.entered);
  }
  std::ranges::sort(changes);
  std::vector<std::string> lines;
  for (const auto& [when, who, segment_index, entered] : changes) {
    const auto told = when == at ? std::nullopt : std::optional(when);
    lines.push_back(change_text(segments_[segment_index].name, entered, name_of(who), told));
  }
  return lines;
}

OracleRunner::Membership OracleRunner::membership(Time at) const {
  Oracle oracle(world_);
  Membership membership;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    for (const PersonId id : oracle.members(*segments_[i].expr, at)) membership.emplace(id, i);
  }
  return membership;
}

const OracleRunner::Segment& OracleRunner::segment(std::string_view name) const {
  const auto found = std::ranges::find(segments_, name, &Segment::name);
  TR_ASSERT(found != segments_.end());
  return *found;
}

std::string OracleRunner::name_of(PersonId id) const { return names_.at(id); }

// The person known under that name, created where there is none.
OraclePerson& OracleRunner::person(std::string_view who) {
  const auto known = ids_.find(who);
  if (known == ids_.end()) {
    const PersonId id{created_++};
    ids_.emplace(who, id);
    names_.emplace(id, who);
    world_.people.push_back({.id = id, .events = {}, .traits = {}, .consents = {}, .sync_entries = {}});
    return world_.people.back();
  }
  return *std::ranges::find(world_.people, known->second, &OraclePerson::id);
}

// From now on both names are one person's, and `into` is what is printed. The older PersonId survives.
void OracleRunner::join(std::string_view absorbed, std::string_view into) {
  const PersonId first = person(absorbed).id;
  if (!ids_.contains(into)) ids_.emplace(into, first);
  const PersonId second = person(into).id;
  const PersonId survivor = std::min(first, second);
  const PersonId gone = std::max(first, second);
  if (survivor != gone) {
    const auto other = std::ranges::find(world_.people, gone, &OraclePerson::id);
    absorb(*std::ranges::find(world_.people, survivor, &OraclePerson::id), *other);
    world_.people.erase(other);
    for (auto& [name, id] : ids_) {
      if (id == gone) id = survivor;
    }
  }
  names_[survivor] = into;
}

void OracleRunner::apply(const SpecAction& action) {
  switch (action.kind) {
    case SpecAction::Kind::none:
      break;
    case SpecAction::Kind::performs:
      person(action.who)
          .events.push_back(
              {canonical_event(workspace_, action.name), action.time, action.message_id, action.payload});
      break;
    case SpecAction::Kind::is: {
      OraclePerson& who = person(action.who);
      for (const auto& [name, value] : action.payload.members)
        who.traits.push_back({name, value, action.time, action.message_id});
      break;
    }
    case SpecAction::Kind::consents:
    case SpecAction::Kind::refuses:
      person(action.who)
          .consents.push_back(
              {action.name, action.kind == SpecAction::Kind::consents, action.time, action.message_id});
      break;
    case SpecAction::Kind::enters_sync:
      person(action.who).sync_entries[action.name].push_back(action.time);
      break;
    case SpecAction::Kind::becomes:
    case SpecAction::Kind::merges:
      join(action.who, action.name);
      break;
    case SpecAction::Kind::deleted: {
      const PersonId id = person(action.who).id;
      std::erase_if(world_.people, [&](const OraclePerson& each) { return each.id == id; });
      std::erase_if(ids_, [&](const auto& known) { return known.second == id; });
      break;
    }
  }
}

}  // namespace tailrace::testing
