#include <algorithm>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/expiry.h"
#include "cli/identity_plan.h"
#include "cli/leftover.h"
#include "cli/stream.h"
#include "cli/table.h"
#include "delivery/guard.h"
#include "model/json.h"
#include "model/record.h"
#include "workspace/audience.h"

namespace tailrace::cli {
namespace {

// What a segment or sync has before and after.
struct Difference {
  std::string kind;  // "segment", "sync"
  std::string name;
  std::string change;  // "new", "changed", "gone", "same"
  std::optional<std::vector<PersonId>> before, after;
  std::string held;  // by the guards of the sync: why
  std::optional<Leftover> leftover;

  std::uint64_t entering() const { return minus(after, before); }
  std::uint64_t leaving() const { return minus(before, after); }

 private:
  static std::uint64_t minus(const std::optional<std::vector<PersonId>>& a,
                             const std::optional<std::vector<PersonId>>& b) {
    if (!a) return 0;
    if (!b) return a->size();
    std::vector<PersonId> rest;
    std::set_difference(a->begin(), a->end(), b->begin(), b->end(), std::back_inserter(rest));
    return rest.size();
  }
};

// What the guards would say if all of the difference came at once, besides what waits and went already.
Result<void> ask_guards(server::Core& core, const workspace::Workspace& folder,
                        std::vector<Difference>& differences) {
  for (Difference& difference : differences) {
    const auto* sync = difference.kind == "sync" ? folder.find_sync(difference.name) : nullptr;
    if (sync == nullptr || !difference.before) continue;
    const auto state =
        TRY(core.with_ledger([&](delivery::Ledger& ledger) { return ledger.state(sync->name); }));
    const delivery::Guard::Standing standing{.people = difference.before->size(),
                                             .wanted = difference.after->size(),
                                             .adding = difference.entering(),
                                             .removing = difference.leaving()};
    for (const auto kind : {destinations::BatchKind::add, destinations::BatchKind::remove}) {
      const std::string why = delivery::Guard(sync->guards_in_force()).held(kind, standing, state.guards);
      if (!why.empty()) difference.held += (difference.held.empty() ? "" : "; ") + why;
    }
  }
  return {};
}

// Who stays at the platforms when the syncs go that go.
Result<void> find_leftovers(server::Core& core, const workspace::Workspace& applied,
                            std::vector<Difference>& differences) {
  for (Difference& difference : differences) {
    const auto* sync = difference.change == "gone" && difference.kind == "sync"
                           ? applied.find_sync(difference.name)
                           : nullptr;
    if (sync == nullptr) continue;
    difference.leftover =
        TRY(core.with_ledger([&](delivery::Ledger& ledger) { return leftover_of(*sync, ledger); }));
  }
  return {};
}

// What goes to the platforms, in slices, so that records are applied between them.
Result<std::string> uploads(server::Core& core, const workspace::Workspace& applied,
                            const workspace::Workspace& folder, const std::vector<Difference>& differences) {
  constexpr std::size_t kSlice = 5'000;  // some milliseconds
  std::string lines;
  for (const Difference& difference : differences) {
    const auto* after = difference.kind == "sync" ? folder.find_sync(difference.name) : nullptr;
    if (after == nullptr) continue;
    UploadChange change(applied, applied.find_sync(difference.name), folder, after);
    if (difference.change == "same" && !change.may_change()) continue;
    const std::vector<PersonId> none;
    const std::vector<PersonId>& before = difference.before ? *difference.before : none;
    const std::vector<PersonId>& then = difference.after ? *difference.after : none;
    std::vector<PersonId> people;
    std::ranges::set_union(before, then, std::back_inserter(people));
    for (std::size_t begin = 0; begin < people.size(); begin += kSlice) {
      const auto slice = std::span(people).subspan(begin, std::min(kSlice, people.size() - begin));
      TRY(core.call([&](engine::Engine& engine) -> Result<void> {
        for (const PersonId person : slice)
          change.add(engine, person, std::ranges::binary_search(before, person),
                     std::ranges::binary_search(then, person));
        return {};
      }));
    }
    lines += change.in_words(difference.name);
  }
  return lines;
}

void judge(Difference& difference, bool same_text) {
  if (!difference.before) {
    difference.change = "new";
  } else if (!difference.after) {
    difference.change = "gone";
  } else {
    difference.change = same_text && *difference.before == *difference.after ? "same" : "changed";
  }
}

Result<std::vector<Difference>> compare(engine::Engine& engine, const workspace::Workspace& folder,
                                        Time now) {
  std::vector<Difference> result;
  const workspace::Workspace none;
  const workspace::Workspace applied = engine.workspace() == nullptr ? none : *engine.workspace();

  const auto segment = [&](const std::string& name) -> Result<void> {
    Difference difference{
        .kind = "segment", .name = name, .change = {}, .before = {}, .after = {}, .held = {}, .leftover = {}};
    const auto* before = applied.find_segment(name);
    const auto* after = folder.find_segment(name);
    if (before != nullptr) difference.before = TRY(engine.members_at(applied, before->expr, now));
    if (after != nullptr) difference.after = TRY(engine.members_at(folder, after->expr, now));
    judge(difference, before != nullptr && after != nullptr && before->text == after->text);
    result.push_back(std::move(difference));
    return {};
  };
  const auto sync = [&](const std::string& name) -> Result<void> {
    Difference difference{
        .kind = "sync", .name = name, .change = {}, .before = {}, .after = {}, .held = {}, .leftover = {}};
    const auto* before = applied.find_sync(name);
    const auto* after = folder.find_sync(name);
    if (before != nullptr) difference.before = TRY(engine.audience_at(applied, *before, now));
    if (after != nullptr) difference.after = TRY(engine.audience_at(folder, *after, now));
    judge(difference, true);
    result.push_back(std::move(difference));
    return {};
  };
  for (const auto& named : folder.segments) TRY(segment(named.name));
  for (const auto& named : applied.segments) {
    if (folder.find_segment(named.name) == nullptr) TRY(segment(named.name));
  }
  for (const auto& config : folder.syncs) TRY(sync(config.name));
  for (const auto& config : applied.syncs) {
    if (folder.find_sync(config.name) == nullptr) TRY(sync(config.name));
  }
  return result;
}

// What `minimum_stay` and `expiry` of the folder's syncs do now, a line for each that does something.
Result<std::string> stays(engine::Engine& engine, const workspace::Workspace& folder, Time now) {
  const Zone zone = TRY(Zone::named(folder.time_zone));
  std::string lines;
  for (const auto& sync : folder.syncs) {
    if (sync.minimum_stay) {
      workspace::SyncConfig without = sync;
      without.minimum_stay.reset();
      const auto kept = TRY(engine.audience_at(folder, sync, now))
      .size() - TRY(engine.audience_at(folder, without, now))
      .size();
      if (kept > 0)
        lines += fmt::format("{}: {} people are kept by `minimum_stay: {}`\n", sync.name, grouped(kept),
                             format_duration(*sync.minimum_stay));
    }
    if (const auto expired = workspace::expired_expression(sync, zone)) {
      const auto passed = TRY(engine.members_at(folder, expired, now))
      .size();
      if (const std::string line = expiry_in_words(sync, zone, passed, now); !line.empty())
        lines += line + "\n";
    }
  }
  return lines;
}

// A row of the plan about something that nobody enters or leaves.
void add_without_members(Table& table, std::string_view kind, const std::string& name,
                         std::string_view change) {
  table.add({Value::of(std::string(kind)), Value::of(name), Value::of(std::string(change)), Value(), Value(),
             Value(), Value(), Value(), Value()});
}

// What becomes of those in `list` of a workspace's normal form.
void add_written(const Value& applied, const Value& folder, std::string_view list, std::string_view kind,
                 std::string_view what_stays, Table& table, std::string& words) {
  const auto all_of = [list](const Value& workspace) {
    std::map<std::string, std::string> all;
    const Value* found = workspace.find(list);
    if (found == nullptr) return all;
    for (const Value& one : found->list) all.emplace(one.find("name")->string, to_json(one));
    return all;
  };
  const auto before = all_of(applied);
  const auto after = all_of(folder);
  for (const auto& [name, text] : after) {
    const auto was = before.find(name);
    add_without_members(table, kind, name,
                        was == before.end()   ? "new"
                        : was->second == text ? "same"
                                              : "changed");
  }
  for (const auto& [name, text] : before) {
    if (after.contains(name)) continue;
    add_without_members(table, kind, name, "gone");
    words += fmt::format("\"{}\" goes away: {}\n", name, what_stays);
  }
}

struct Planned {
  workspace::Workspace folder;
  std::string text;  // of the folder's workspace, normalised
  bool same = false;
  std::vector<std::string> held;  // syncs whose guards would hold the change back
  std::string stays;              // lines below the table
  std::string leftovers;          // the same, of syncs that go away with people at the platform
  Table table{{"", "name", "change", "members now", "members then", "enter", "leave", "stay there", "held"}};
};

Result<Planned> make_plan(const Run& run) {
  Planned planned;
  planned.folder = TRY(load_folder(run.path(run.command.workspace)));
  const Value becomes = workspace::to_value(planned.folder);
  planned.text = to_json(becomes);
  workspace::Workspace applied;
  auto differences = TRY(run.core.call([&](engine::Engine& engine) -> Result<std::vector<Difference>> {
    planned.same =
        engine.workspace() != nullptr && to_json(workspace::to_value(*engine.workspace())) == planned.text;
    planned.stays = TRY(stays(engine, planned.folder, run.core.now()));
    if (engine.workspace() != nullptr) {
      applied = *engine.workspace();
      planned.stays += identity_in_words(engine, applied, planned.folder);
    }
    return compare(engine, planned.folder, run.core.now());
  }));
  TRY(ask_guards(run.core, planned.folder, differences));
  TRY(find_leftovers(run.core, applied, differences));
  planned.stays += TRY(uploads(run.core, applied, planned.folder, differences));
  const auto number = [](std::uint64_t value) {
    return Value::of(Number::integer(static_cast<std::int64_t>(value)));
  };
  for (const auto& difference : differences) {
    planned.table.add({Value::of(difference.kind), Value::of(difference.name), Value::of(difference.change),
                       difference.before ? number(difference.before->size()) : Value(),
                       difference.after ? number(difference.after->size()) : Value(),
                       number(difference.entering()), number(difference.leaving()),
                       difference.leftover ? number(difference.leftover->people) : Value(),
                       difference.held.empty() ? Value() : Value::of(difference.held)});
    if (!difference.held.empty()) planned.held.push_back(difference.name);
    if (difference.leftover && difference.leftover->people > 0)
      planned.leftovers += leftover_in_words(*difference.leftover) + "\n";
  }
  for (const StreamDifference& difference : stream_differences(applied, planned.folder)) {
    add_without_members(planned.table, "events", difference.name, difference.change);
    if (!difference.words.empty()) planned.stays += difference.words + "\n";
  }
  const Value was = workspace::to_value(applied);
  add_written(was, becomes, "warehouses", "tables", "what it loaded stays in the warehouse", planned.table,
              planned.stays);
  add_written(was, becomes, "query_sources", "query", "what its rows said of people stays as it is",
              planned.table, planned.stays);
  return planned;
}

void show(const Run& run, const Planned& planned) {
  run.console.out(planned.table.print(run.command.format));
  if (run.command.format != Format::text) return;
  for (const std::string& sync : planned.held) {
    run.console.out(fmt::format(
        "\nThe guards of \"{0}\" hold this back until `tailrace release \"{0}\"` lets it go.\n", sync));
  }
}

}  // namespace

int run_plan(const Run& run) {
  const auto planned = make_plan(run);
  if (!planned) return run.fail(planned.error());
  show(run, *planned);
  if (run.command.format == Format::text) {
    if (!planned->stays.empty()) run.console.out("\n" + planned->stays);
    if (!planned->leftovers.empty()) run.console.out("\n" + planned->leftovers);
    run.console.out(planned->same                ? "\nThe folder is what is applied.\n"
                    : planned->leftovers.empty() ? "\n`tailrace apply` makes this live.\n"
                                                 : "\n`tailrace apply --leave-members` makes this live.\n");
  }
  return kDone;
}

int run_apply(const Run& run) {
  const auto planned = make_plan(run);
  if (!planned) return run.fail(planned.error());
  show(run, *planned);
  if (planned->same) {
    if (run.command.format == Format::text)
      run.console.out("\nThe folder is what is applied; nothing to do.\n");
    return kDone;
  }
  if (!planned->leftovers.empty() && !run.command.leave_members) {
    return run.fail(
        {.code = Error::Code::conflict,
         .message = "nothing was applied, for people would stay in audiences that nobody keeps any more:\n" +
                    planned->leftovers + "`tailrace apply --leave-members` leaves them there"});
  }
  const auto checked = run.core.call([&](engine::Engine& engine) { return engine.check(planned->folder); });
  if (!checked) return run.fail(checked.error());
  if (run.core.courier() != nullptr) {
    if (auto connected = server::check_connections(planned->folder, run.core.secrets()); !connected)
      return run.fail(connected.error());
  }
  const Time now = run.core.now();
  const std::string message_id = fmt::format("apply-{}", now.ms);
  std::string bytes;
  if (auto encoded = encode_record({.kind = RecordKind::workspace,
                                    .received_at = {},
                                    .time = now,
                                    .source = "apply",
                                    .message_id = message_id,
                                    .user_id = {},
                                    .anonymous_id = {},
                                    .previous_id = {},
                                    .group_id = {},
                                    .event = {},
                                    .payload = planned->text,
                                    .context = {},
                                    .reason = {}},
                                   bytes);
      !encoded) {
    return run.fail(encoded.error());
  }
  const auto end = static_cast<std::uint32_t>(bytes.size());
  if (auto committed = run.core.submit_and_wait(std::move(bytes), {end}); !committed)
    return run.fail(committed.error());
  if (auto live = run.core.wait_until_live([&run] { return run.console.gone(); }); !live)
    return run.fail(live.error());
  if (run.command.format == Format::text) run.console.out("\nApplied.\n");
  return kDone;
}

}  // namespace tailrace::cli
