#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/table.h"
#include "model/json.h"
#include "model/record.h"

namespace tailrace::cli {
namespace {

// What a segment or sync has before and after.
struct Difference {
  std::string kind;  // "segment", "sync"
  std::string name;
  std::string change;  // "new", "changed", "gone", "same"
  std::optional<std::vector<PersonId>> before, after;

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
    Difference difference{.kind = "segment", .name = name, .change = {}, .before = {}, .after = {}};
    const auto* before = applied.find_segment(name);
    const auto* after = folder.find_segment(name);
    if (before != nullptr) difference.before = TRY(engine.members_at(applied, before->expr, now));
    if (after != nullptr) difference.after = TRY(engine.members_at(folder, after->expr, now));
    judge(difference, before != nullptr && after != nullptr && before->text == after->text);
    result.push_back(std::move(difference));
    return {};
  };
  const auto sync = [&](const std::string& name) -> Result<void> {
    Difference difference{.kind = "sync", .name = name, .change = {}, .before = {}, .after = {}};
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

struct Planned {
  workspace::Workspace folder;
  std::string text;  // of the folder's workspace, normalised
  bool same = false;
  Table table{{"", "name", "change", "members now", "members then", "enter", "leave"}};
};

Result<Planned> make_plan(const Run& run) {
  Planned planned;
  planned.folder = TRY(load_folder(run.path(run.command.workspace)));
  planned.text = to_json(workspace::to_value(planned.folder));
  const auto differences = TRY(run.core.call([&](engine::Engine& engine) -> Result<std::vector<Difference>> {
    planned.same =
        engine.workspace() != nullptr && to_json(workspace::to_value(*engine.workspace())) == planned.text;
    return compare(engine, planned.folder, run.core.now());
  }));
  const auto number = [](std::uint64_t value) {
    return Value::of(Number::integer(static_cast<std::int64_t>(value)));
  };
  for (const auto& difference : differences) {
    planned.table.add({Value::of(difference.kind), Value::of(difference.name), Value::of(difference.change),
                       difference.before ? number(difference.before->size()) : Value(),
                       difference.after ? number(difference.after->size()) : Value(),
                       number(difference.entering()), number(difference.leaving())});
  }
  return planned;
}

}  // namespace

int run_plan(const Run& run) {
  const auto planned = make_plan(run);
  if (!planned) return run.fail(planned.error());
  run.console.out(planned->table.print(run.command.format));
  if (run.command.format == Format::text) {
    run.console.out(planned->same ? "\nThe folder is what is applied.\n"
                                  : "\n`tailrace apply` makes this live.\n");
  }
  return kDone;
}

int run_apply(const Run& run) {
  const auto planned = make_plan(run);
  if (!planned) return run.fail(planned.error());
  run.console.out(planned->table.print(run.command.format));
  if (planned->same) {
    if (run.command.format == Format::text)
      run.console.out("\nThe folder is what is applied; nothing to do.\n");
    return kDone;
  }
  const auto checked = run.core.call([&](engine::Engine& engine) { return engine.check(planned->folder); });
  if (!checked) return run.fail(checked.error());
  if (run.core.courier() != nullptr) {
    if (auto connected =
            server::connect(planned->folder, server::secrets_of(run.path(run.command.workspace)));
        !connected)
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
  if (auto live = run.core.wait_until_live(); !live) return run.fail(live.error());
  if (run.command.format == Format::text) run.console.out("\nApplied.\n");
  return kDone;
}

}  // namespace tailrace::cli
