// identity: by what a person is known, how that came to be, and what was refused.
#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/dlq.h"
#include "cli/table.h"

namespace tailrace::cli {
namespace {

using profiles::IdentityEntry;
using What = IdentityEntry::What;

std::string_view name_of(What what) {
  switch (what) {
    case What::identifier:
      return "identifier";
    case What::joined:
      return "joined";
    case What::refused:
      return "refused";
    case What::contested:
      return "not theirs";
  }
  return "?";
}

std::string shown(const Run& run, IdentifierKind kind, std::string_view value) {
  return run.command.unmasked ? std::string(value) : masked(value, names_a_device(kind));
}

// What else there is to say of an identifier.
std::string note_of_identifier(const engine::Engine& engine, const PersonProfile& profile,
                               const IdentityEntry& entry) {
  const auto& graph = engine.profiles().graph();
  const bool is_id = entry.kind == IdentifierKind::external_id || entry.kind == IdentifierKind::anonymous_id;
  const auto primary = std::ranges::find(profile.identifiers, entry.kind, &Identifier::kind);
  const bool is_primary = primary != profile.identifiers.end() && primary->value == entry.value;
  std::string note = entry.value == profile.golden_id ? "golden id" : "";
  const auto add = [&](const std::string& more) { note += (note.empty() ? "" : ", ") + more; };
  if (graph.blocks(entry.kind, entry.value)) {
    add("blocked since");
  } else if (!is_id) {
    add(is_primary ? "primary" : "another");
  }
  if (const auto owner = graph.directory().find(entry.kind, entry.value); owner != profile.id)
    add(owner ? fmt::format("looked up as person {}", owner->value) : "looked up as nobody");
  std::vector<PersonId> others;
  for (const PersonId person : graph.claimants(entry.kind, entry.value)) {
    const PersonId now = engine.survivor(person);
    if (now != profile.id && engine.profiles().alive(now)) others.push_back(now);
  }
  std::ranges::sort(others);
  const auto repeated = std::ranges::unique(others);
  others.erase(repeated.begin(), repeated.end());
  if (!others.empty()) add(fmt::format("{} more people state it", others.size()));
  return note;
}

std::string note_of(const engine::Engine& engine, const PersonProfile& profile, const IdentityEntry& entry) {
  switch (entry.what) {
    case What::identifier:
      return note_of_identifier(engine, profile, entry);
    case What::joined:
      return fmt::format("person {} became this one through it", entry.gone.value);
    case What::refused:
    case What::contested:
      return fmt::format("{}, {} time{}", to_string(entry.reason), entry.count, entry.count == 1 ? "" : "s");
  }
  return "";
}

Result<Table> graph_of_person(const Run& run, engine::Engine& engine, std::string& head) {
  const auto person = engine.find_person(run.command.person);
  if (!person)
    return fail(Error::Code::not_found, fmt::format("nobody is known as `{}`", run.command.person));
  const PersonProfile profile = engine.profile(*person);
  const auto& graph = engine.profiles().graph();
  head = fmt::format("person {}, {}\n\n", person->value,
                     run.command.unmasked ? profile.golden_id : masked_name(profile));
  std::vector<IdentityEntry> entries;
  graph.for_each_entry(*person, [&](const IdentityEntry& entry) { entries.push_back(entry); });
  std::ranges::stable_sort(entries, [](const IdentityEntry& a, const IdentityEntry& b) {
    const auto key = [](const IdentityEntry& entry) {
      return std::tuple(entry.what == What::identifier ? entry.kind : kLastIdentifierKind,
                        entry.what != What::identifier, entry.time, entry.position);
    };
    return key(a) < key(b);
  });
  Table table({"entry", "kind", "value", "since", "source", "record", "note"});
  for (const IdentityEntry& entry : entries) {
    table.add({Value::of(std::string(name_of(entry.what))), Value::of(std::string(to_string(entry.kind))),
               Value::of(shown(run, entry.kind, entry.value)), Value::of(format_time(entry.time)),
               Value::of(graph.source_name(entry.source)),
               Value::of(Number::integer(static_cast<std::int64_t>(entry.position.value))),
               Value::of(note_of(engine, profile, entry))});
  }
  return table;
}

// Of everybody, what was refused and how often.
Table refusals(engine::Engine& engine) {
  const auto& counts = engine.profiles().graph().refused();
  Table table({"kind", "refused because", "times"});
  for (std::size_t kind = 0; kind < counts.size(); ++kind) {
    for (std::size_t reason = 0; reason < kRefusals; ++reason) {
      if (counts[kind][reason] == 0) continue;
      table.add({Value::of(std::string(to_string(static_cast<IdentifierKind>(kind)))),
                 Value::of(std::string(to_string(static_cast<Refusal>(reason)))),
                 Value::of(Number::integer(static_cast<std::int64_t>(counts[kind][reason])))});
    }
  }
  return table;
}

}  // namespace

int run_identity(const Run& run) {
  std::string head;
  const auto table = run.core.call([&](engine::Engine& engine) -> Result<Table> {
    if (run.command.person.empty()) return refusals(engine);
    return graph_of_person(run, engine, head);
  });
  if (!table) return run.fail(table.error());
  run.console.out((run.command.format == Format::text ? head : "") + table->print(run.command.format));
  return kDone;
}

}  // namespace tailrace::cli
