#include "cli/identity_plan.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "base/grouped.h"
#include "base/hash.h"
#include "delivery/identifiers.h"

namespace tailrace::cli {
namespace {

using profiles::IdentityEntry;

constexpr std::array kKinds{IdentifierKind::external_id, IdentifierKind::anonymous_id, IdentifierKind::email,
                            IdentifierKind::phone,       IdentifierKind::idfa,         IdentifierKind::aaid};

std::string of_people(std::uint64_t count) {
  return count == 1 ? "1 person" : fmt::format("{} people", grouped(count));
}

// What of each kind there is, looking at everybody once.
struct Census {
  struct OfKind {
    std::uint64_t people = 0;         // who have one
    std::uint64_t shared = 0;         // values that several people have
    std::uint64_t sharers = 0;        // who have one of these
    std::uint64_t newly_blocked = 0;  // people with a value that will be nobody's
    std::uint64_t over_limit = 0;     // people with more values than they may have
  };
  std::uint64_t people = 0;
  std::array<OfKind, kKinds.size()> kinds{};

  OfKind& of(IdentifierKind kind) { return kinds.at(static_cast<std::size_t>(kind)); }
};

Census count_people(const engine::Engine& engine, const IdentityRules& rules) {
  Census census;
  const auto& graph = engine.profiles().graph();
  const profiles::IdentifierFilter filter(rules);
  std::array<std::set<std::uint64_t>, kKinds.size()> shared;
  for (std::uint32_t i = 0; i < engine.person_limit(); ++i) {
    const PersonId person(i);
    if (!engine.profiles().alive(person)) continue;
    ++census.people;
    std::array<std::uint32_t, kKinds.size()> values{};
    std::array<bool, kKinds.size()> shares{}, is_blocked{};
    graph.for_each_identifier(person, [&](const IdentityEntry& entry) {
      const auto kind = static_cast<std::size_t>(entry.kind);
      ++values.at(kind);
      is_blocked.at(kind) |= filter.blocks(entry.kind, entry.value) && !graph.blocks(entry.kind, entry.value);
      const auto owner = graph.directory().find(entry.kind, entry.value);
      if (!owner || *owner == person) return;
      std::string buffer;
      // The owner shares it too, and is counted with the value.
      shares.at(kind) = true;
      shared.at(kind).insert(hash64(profiles::compared_form(entry.kind, entry.value, buffer)));
    });
    for (std::size_t kind = 0; kind < kKinds.size(); ++kind) {
      auto& of_kind = census.kinds.at(kind);
      of_kind.people += values.at(kind) > 0;
      of_kind.sharers += shares.at(kind);
      of_kind.newly_blocked += is_blocked.at(kind);
      of_kind.over_limit +=
          rules.kinds.at(kind).values_max && values.at(kind) > *rules.kinds.at(kind).values_max;
    }
  }
  for (std::size_t kind = 0; kind < kKinds.size(); ++kind) {
    census.kinds.at(kind).shared = shared.at(kind).size();
    census.kinds.at(kind).sharers += shared.at(kind).size();
  }
  return census;
}

std::string golden_id_in_words(const engine::Engine& engine, IdentifierKind before, IdentifierKind after,
                               Census& census) {
  std::uint64_t renamed = 0, ambiguous = 0;
  for (std::uint32_t i = 0; i < engine.person_limit(); ++i) {
    const PersonId person(i);
    if (!engine.profiles().alive(person)) continue;
    const auto then = engine.profiles().golden_id(person, after);
    renamed += engine.profiles().golden_id(person, before) != then;
    if (engine.profiles().graph().has_kind(person, after)) {
      const auto found = engine.profiles().find(after, then);
      ambiguous += found && *found != person;
    }
  }
  std::string text = fmt::format(
      "golden_id {} -> {}: nobody enters or leaves by it, and no platform is told. {} of {} will be named "
      "otherwise by `members`, warehouses and receivers; {} have {}, {} had {}",
      to_string(before), to_string(after), grouped(renamed), of_people(census.people),
      grouped(census.of(after).people), to_string(after), grouped(census.of(before).people),
      to_string(before));
  if (ambiguous > 0) text += fmt::format("; {} will be named like somebody else", of_people(ambiguous));
  return text + "\n";
}

std::string rules_in_words(const IdentityRules& before, const IdentityRules& after, Census& census) {
  std::string text;
  for (const IdentifierKind kind : kKinds) {
    const auto& was = before.of(kind);
    const auto& will = after.of(kind);
    const auto& count = census.of(kind);
    if (!was.merges && will.merges)
      text += fmt::format(
          "merge_on {0}: of records from now on; who is known stays apart until one of them states the value "
          "again. {1} {2} several people have, {3} in all, who may become one then\n",
          to_string(kind), grouped(count.shared), count.shared == 1 ? "value" : "values",
          grouped(count.sharers));
    if (was.merges && !will.merges)
      text += fmt::format("merge_on without {}: who became one by it stays one\n", to_string(kind));
    if (will.values_max && was.values_max != will.values_max && count.over_limit > 0)
      text += fmt::format("values_max {}: {} have more than {}, and keep them\n", to_string(kind),
                          of_people(count.over_limit), *will.values_max);
    if (count.newly_blocked > 0)
      text += fmt::format(
          "block {}: {} have a value that will be nobody's: it is not looked up any more, and "
          "taken from the audiences it is in\n",
          to_string(kind), of_people(count.newly_blocked));
  }
  return text;
}

}  // namespace

std::string identity_in_words(const engine::Engine& engine, const workspace::Workspace& applied,
                              const workspace::Workspace& folder) {
  const bool is_golden = applied.golden_id != folder.golden_id;
  const bool is_rules = applied.identity != folder.identity;
  if (!is_golden && !is_rules) return "";
  Census census = count_people(engine, folder.identity);
  std::string text;
  if (is_golden) text += golden_id_in_words(engine, applied.golden_id, folder.golden_id, census);
  if (is_rules) text += rules_in_words(applied.identity, folder.identity, census);
  return text;
}

UploadChange::Side UploadChange::side_of(const workspace::Workspace& workspace,
                                         const workspace::SyncConfig* sync) {
  Side side;
  const auto* config = sync == nullptr ? nullptr : workspace.find_destination(sync->destination);
  const auto* type = config == nullptr ? nullptr : destinations::find_audience_destination(config->type);
  if (type == nullptr) return side;
  side.sync = sync;
  side.destination = type;
  destinations::fill_defaults(*type, side.config);
  for (const auto& [name, value] : config->settings) side.config.settings[name] = value;
  for (const auto& [name, value] : sync->settings) side.config.settings[name] = value;
  side.config.default_region = workspace.default_region;
  return side;
}

UploadChange::UploadChange(const workspace::Workspace& applied, const workspace::SyncConfig* before,
                           const workspace::Workspace& folder, const workspace::SyncConfig* after)
    : rules_(folder.identity), before_(side_of(applied, before)), after_(side_of(folder, after)) {
  if (before_.sync == nullptr || after_.sync == nullptr) return;
  may_change_ = before_.sync->identifiers != after_.sync->identifiers ||
                before_.sync->every_value != after_.sync->every_value ||
                before_.sync->destination != after_.sync->destination ||
                applied.default_region != folder.default_region || applied.identity != folder.identity;
}

void UploadChange::add(const engine::Engine& engine, PersonId person, bool is_in, bool will_be_in) {
  PersonProfile profile = engine.profile(person);
  const auto usable = [&](Side& side, bool is_there) {
    std::vector<destinations::UploadIdentifier> identifiers;
    if (!is_there || side.sync == nullptr) return identifiers;
    identifiers =
        delivery::usable_identifiers(profile, *side.sync, *side.destination, side.config).identifiers;
    ++side.people;
    side.usable += !identifiers.empty();
    return identifiers;
  };
  const auto was = usable(before_, is_in);
  const profiles::IdentifierFilter filter(rules_);
  std::erase_if(profile.identifiers,
                [&](const Identifier& one) { return filter.blocks(one.kind, one.value); });
  const auto will = usable(after_, will_be_in);
  const auto added = delivery::minus(will, was).size();
  const auto removed = delivery::minus(was, will).size();
  identifiers_added_ += added;
  identifiers_removed_ += removed;
  members_added_ += added > 0;
  members_removed_ += removed > 0;
}

std::uint32_t UploadChange::limit(const std::string& setting, std::uint32_t documented) const {
  const std::string& text = after_.config.setting(setting);
  std::uint32_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() && end == text.data() + text.size() ? number : documented;
}

std::string UploadChange::in_words(const std::string& sync) const {
  if (after_.sync == nullptr || identifiers_added_ + identifiers_removed_ == 0) return "";
  const destinations::Limits limits = after_.destination->limits();
  const std::uint64_t batch = std::max(limit("batch_records_max", limits.batch_records_max), 1u);
  const auto batches = [&](std::uint64_t members) { return (members + batch - 1) / batch; };
  const std::uint64_t requests = batches(members_added_) + batches(members_removed_);
  std::string text =
      fmt::format("{}: {} identifiers of {} go up, {} of {} are taken out", sync, grouped(identifiers_added_),
                  of_people(members_added_), grouped(identifiers_removed_), of_people(members_removed_));
  const auto share = [](const Side& side) {
    return side.people == 0 ? 0.0
                            : 100.0 * static_cast<double>(side.usable) / static_cast<double>(side.people);
  };
  if (before_.people > 0)
    text +=
        fmt::format("; {:.1f} % of its people can be uploaded, {:.1f} % then", share(before_), share(after_));
  else
    text += fmt::format("; {:.1f} % of its people can be uploaded", share(after_));
  text += fmt::format("; {} request{} at least", grouped(requests), requests == 1 ? "" : "s");
  if (const auto rate = limit("requests_per_minute", limits.requests_per_minute); rate > 0)
    text +=
        requests <= rate
            ? fmt::format(", within a minute at {} a minute", grouped(rate))
            : fmt::format(", {} at {} a minute",
                          format_duration(kMinute * static_cast<std::int64_t>((requests + rate - 1) / rate)),
                          grouped(rate));
  if (after_.sync->effect == workspace::Effect::suppress && identifiers_removed_ > 0 && members_added_ > 0)
    text += "; what is new goes up before what there was is taken out";
  return text + "\n";
}

}  // namespace tailrace::cli
