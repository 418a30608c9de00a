// tailrace preview: the requests that a sync would send, sending nothing.
#include <algorithm>
#include <fstream>
#include <map>

#include <fmt/format.h>

#include "cli/command.h"
#include "delivery/identifiers.h"
#include "model/json.h"

namespace tailrace::cli {
namespace {

using destinations::Batch;
using destinations::BatchKind;
using destinations::Member;

// Of somebody who was typed in; no ledger knows them.
constexpr PersonId kUnknownPerson{UINT32_MAX};

struct People {
  std::vector<PersonProfile> add, remove;
};

// A line is an identifier of a person, or {"external_id": ..., "email": ..., "phone": ...} of somebody who
// need not be known.
Result<std::vector<PersonProfile>> read_people(const Run& run, const std::string& file) {
  std::ifstream in(run.path(file));
  if (!in) return fail(Error::Code::not_found, fmt::format("cannot read {}", file));
  std::vector<PersonProfile> people;
  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty()) continue;
    PersonProfile person;
    person.id = kUnknownPerson;
    if (line.front() == '{') {
      const auto value = parse_json(line);
      if (!value || value->kind != Value::Kind::object)
        return invalid(fmt::format("{} line {}: not a JSON object", file, number));
      for (const auto kind : {IdentifierKind::external_id, IdentifierKind::email, IdentifierKind::phone,
                              IdentifierKind::anonymous_id, IdentifierKind::idfa, IdentifierKind::aaid}) {
        const Value* text = value->find(to_string(kind));
        if (text == nullptr || text->kind != Value::Kind::string) continue;
        person.identifiers.push_back({kind, text->string, {}});
        if (person.golden_id.empty()) person.golden_id = text->string;
      }
      if (person.identifiers.empty()) {
        return invalid(
            fmt::format("{} line {}: no identifier; give external_id, email or phone", file, number));
      }
    } else {
      const auto found = run.core.call([&](engine::Engine& engine) -> std::optional<PersonProfile> {
        const auto id = engine.find_person(line);
        return id ? std::optional(engine.profile(*id)) : std::nullopt;
      });
      if (!found)
        return fail(Error::Code::not_found,
                    fmt::format("{} line {}: nobody is known by this identifier", file, number));
      person = *found;
    }
    people.push_back(std::move(person));
  }
  return people;
}

using Standing = std::map<PersonId, delivery::Membership>;

Result<Standing> read_standing(const Run& run, const std::string& sync) {
  return run.core.with_ledger([&](delivery::Ledger& ledger) -> Result<Standing> {
    Standing standing;
    TRY(ledger.for_each(sync, [&](PersonId person, const delivery::Membership& membership) {
      standing.emplace(person, membership);
    }));
    return standing;
  });
}

// What the sync would do now: the audience as it should be, against the ledger.
People pending_people(const Run& run, const workspace::SyncConfig& sync, SyncId id,
                      const Standing& standing) {
  return run.core.call([&](engine::Engine& engine) {
    People people;
    const auto audience = engine.audience(id);
    for (const PersonId person : engine.members(audience)) {
      if (server::held_out(sync, person)) continue;
      const auto known = standing.find(person);
      if (known == standing.end() || known->second.state != delivery::Membership::State::member)
        people.add.push_back(engine.profile(person));
    }
    for (const auto& [person, membership] : standing) {
      const bool stands = membership.state == delivery::Membership::State::member ||
                          membership.state == delivery::Membership::State::adding;
      if (stands && (!engine.contains(audience, person) || server::held_out(sync, person)))
        people.remove.push_back(engine.profile(person));
    }
    return people;
  });
}

class Printer {
 public:
  Printer(const Run& run, const delivery::Connection& connection, const Standing& standing)
      : run_(run), connection_(connection), standing_(standing) {}

  void request(const HttpRequest& request, std::size_t records) {
    const HttpRequest shown = destinations::masked(request, connection_.config);
    Value line = Value::with(Value::Kind::object);
    line.members.emplace_back("method", Value::of(shown.method));
    line.members.emplace_back("url", Value::of(shown.url));
    Value headers = Value::with(Value::Kind::object);
    for (const auto& [name, value] : shown.headers) headers.members.emplace_back(name, Value::of(value));
    line.members.emplace_back("headers", std::move(headers));
    auto body = parse_json(shown.body);
    line.members.emplace_back("body", body ? std::move(*body) : Value::of(shown.body));
    line.members.emplace_back("records", Value::of(Number::integer(static_cast<std::int64_t>(records))));
    run_.console.out(to_json(line) + "\n");
  }
  void dropped(const std::string& person, std::string_view field, const std::string& reason) {
    Value line = Value::with(Value::Kind::object);
    line.members.emplace_back("record", Value::of(person));
    line.members.emplace_back("field", Value::of(std::string(field)));
    line.members.emplace_back("reason", Value::of(reason));
    run_.console.out(to_json(line) + "\n");
  }

  void batches(BatchKind kind, const std::vector<PersonProfile>& people, const std::string& audience_id,
               std::uint64_t& batch_id) {
    const auto& destination = *connection_.destination;
    std::vector<Member> members;
    for (const PersonProfile& person : people) {
      Member member{.person = person.golden_id, .identifiers = {}, .changed_at = run_.core.now()};
      // A removal sends what was added, where the ledger knows it.
      if (kind == BatchKind::remove) {
        const auto known = standing_.find(person.id);
        if (known != standing_.end()) member.identifiers = known->second.uploaded;
      }
      if (member.identifiers.empty()) identify(person, member);
      if (kind == BatchKind::add)
        member.attributes = delivery::carried_attributes(person, connection_.sync.attributes);
      if (!member.identifiers.empty()) members.push_back(std::move(member));
    }
    const std::size_t most = std::max<std::uint32_t>(1, destination.limits().batch_records_max);
    for (std::size_t at = 0; at < members.size();) {
      std::size_t records = 0;
      std::size_t end = at;
      for (; end < members.size(); ++end) {
        const std::size_t more = destination.records(members[end]);
        if (end > at && records + more > most) break;
        records += more;
      }
      const Batch batch{.kind = kind,
                        .audience_id = audience_id,
                        .id = batch_id++,
                        .members = std::span(members).subspan(at, end - at)};
      request(destination.encode(
                  batch, {.config = connection_.config, .access_token = "***", .now = run_.core.now()}),
              end - at);
      at = end;
    }
  }

 private:
  void identify(const PersonProfile& person, Member& member) {
    for (const Identifier& identifier : person.identifiers) {
      const auto& kinds = connection_.sync.identifiers;
      if (std::find(kinds.begin(), kinds.end(), identifier.kind) == kinds.end()) continue;
      auto normalised =
          connection_.destination->normalise(identifier.kind, identifier.value, connection_.config);
      if (normalised) {
        member.identifiers.push_back(std::move(normalised->upload));
      } else {
        dropped(person.golden_id, to_string(identifier.kind), normalised.error().message);
      }
    }
    if (member.identifiers.empty()) dropped(person.golden_id, "", "no usable identifier");
  }

  const Run& run_;
  const delivery::Connection& connection_;
  const Standing& standing_;
};

Result<void> preview(const Run& run) {
  const auto workspace = TRY(applied_workspace(run.core));
  const auto connections =
      TRY(server::connect(workspace, server::secrets_of(run.path(run.command.workspace))));
  const auto found = std::find_if(
      connections.begin(), connections.end(),
      [&](const delivery::Connection& connection) { return connection.sync.name == run.command.sync; });
  if (found == connections.end()) {
    std::string known;
    for (const auto& connection : connections) known += (known.empty() ? "" : ", ") + connection.sync.name;
    return fail(Error::Code::not_found,
                fmt::format("no sync \"{}\"; there are: {}", run.command.sync, known));
  }
  const Standing standing = TRY(read_standing(run, found->sync.name));
  People people;
  if (run.command.add.empty() && run.command.remove.empty()) {
    people = pending_people(run, found->sync, SyncId(static_cast<std::uint32_t>(found - connections.begin())),
                            standing);
  }
  if (!run.command.add.empty()) people.add = TRY(read_people(run, run.command.add));
  if (!run.command.remove.empty()) people.remove = TRY(read_people(run, run.command.remove));

  Printer printer(run, *found, standing);
  const auto state =
      TRY(run.core.with_ledger([&](delivery::Ledger& ledger) { return ledger.state(found->sync.name); }));
  std::string audience_id = state.audience_id.empty() ? found->sync.audience_id : state.audience_id;
  if (audience_id.empty() && !people.add.empty()) {
    const destinations::Context context{
        .config = found->config, .access_token = "***", .now = run.core.now()};
    if (const auto create = found->destination->encode_create(context)) {
      printer.request(*create, 0);
      audience_id = "AUDIENCE_ID";  // known once it is made
    }
  }
  std::uint64_t batch_id = state.next_batch_id;
  const bool adds_first = found->sync.effect == workspace::Effect::suppress;
  if (adds_first) printer.batches(BatchKind::add, people.add, audience_id, batch_id);
  printer.batches(BatchKind::remove, people.remove, audience_id, batch_id);
  if (!adds_first) printer.batches(BatchKind::add, people.add, audience_id, batch_id);
  return {};
}

}  // namespace

int run_preview(const Run& run) {
  const auto shown = preview(run);
  return shown ? kDone : run.fail(shown.error());
}

}  // namespace tailrace::cli
