// members, transitions, explain: questions to the engine about now and the past.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/plan_tree.h"
#include "cli/table.h"
#include "io/system_clock.h"
#include "model/json.h"
#include "model/record.h"
#include "workspace/audience.h"

namespace tailrace::cli {
namespace {

struct Question {
  workspace::Workspace workspace;
  language::ExprPtr expr;
};

Result<Question> read_question(const Run& run) {
  Question question;
  question.workspace = TRY(applied_workspace(run.core));
  question.expr = TRY(workspace::resolve_segment(question.workspace, run.command.segment));
  return question;
}

Result<Table> members(const Run& run) {
  const Question question = TRY(read_question(run));
  const Time at = TRY(instant(run.command.at, run.core.now()));
  return run.core.call([&](engine::Engine& engine) -> Result<Table> {
    Table table({"person"});
    for (const PersonId person : TRY(engine.members_at(question.workspace, question.expr, at))) {
      table.add({Value::of(engine.golden_id(person))});
    }
    return table;
  });
}

Result<Table> transitions(const Run& run) {
  const Question question = TRY(read_question(run));
  const Time from = TRY(instant(run.command.from, kTimeMin));
  const Time to = TRY(instant(run.command.to, run.core.now()));
  if (to < from) return invalid("--to is before --from");
  return run.core.call([&](engine::Engine& engine) -> Result<Table> {
    Table table({"at", "person", "change"});
    for (const auto& transition : TRY(engine.transitions(question.workspace, question.expr, from, to))) {
      table.add({Value::of(format_time(transition.at)), Value::of(engine.golden_id(transition.person)),
                 Value::of(transition.change == Change::entered ? "entered" : "left")});
    }
    return table;
  });
}

std::string until_text(Time until) { return until >= kNever ? "" : format_time(until); }

// What decided, in words: "2 times; event of 2026-..., message order-1".
std::string evidence_text(server::Store& store, const segments::Evidence& evidence) {
  std::string text = evidence.value;
  if (evidence.time)
    text += fmt::format("; {} of {}", evidence.position ? "event" : "stated", format_time(*evidence.time));
  if (evidence.position) {
    std::string bytes;
    if (const auto record = store.record(*evidence.position, bytes))
      text += fmt::format(", message {}", record->message_id);
  }
  return text;
}

void add_rows(server::Store& store, const segments::Explanation& part, int depth, Table& table) {
  table.add({Value::of(part.holds ? "yes" : "no"),
             Value::of(std::string(static_cast<std::size_t>(depth) * 2, ' ') + part.text),
             part.parts.empty() ? Value::of(evidence_text(store, part.evidence)) : Value(),
             part.until >= kNever ? Value() : Value::of(until_text(part.until))});
  for (const auto& inner : part.parts) add_rows(store, inner, depth + 1, table);
}

// The parts of a sync's audience, under the names that the workspace has for them.
void name_parts(const workspace::SyncConfig& sync, segments::Explanation& audience) {
  for (segments::Explanation& part : audience.parts) {
    if (part.text.starts_with("entered segment")) {
      part.text = fmt::format("{}: {}", sync.effect == workspace::Effect::target ? "expiry" : "minimum stay",
                              part.text);
    } else if (sync.review_date && part.text.starts_with("not (")) {
      part.text = fmt::format("expiry: the review date {} is still to come",
                              format_time(*sync.review_date).substr(0, 10));
      part.parts.clear();
    } else if (sync.minimum_stay) {
      name_parts(sync, part);
    }
  }
}

Result<Table> explain_sync(const Run& run) {
  const auto workspace = TRY(applied_workspace(run.core));
  const auto* sync = workspace.find_sync(run.command.sync);
  if (sync == nullptr)
    return fail(Error::Code::not_found, fmt::format("there is no sync \"{}\"", run.command.sync));
  const Time at = TRY(instant(run.command.at, run.core.now()));
  const auto audience = workspace::audience_expression(*sync, TRY(Zone::named(workspace.time_zone)));
  return run.core.call([&](engine::Engine& engine) -> Result<Table> {
    const auto person = engine.find_person(run.command.person);
    if (!person)
      return fail(Error::Code::not_found, fmt::format("nobody is known as `{}`", run.command.person));
    Table table({"holds", "condition", "decided by", "next change"});
    auto explanation = TRY(engine.explain(workspace, audience, *person, at));
    name_parts(*sync, explanation);
    const bool is_segment = explanation.parts.size() == 1;  // and nothing else
    explanation.text = fmt::format("{}: {}", sync->name,
                                   is_segment           ? explanation.text
                                   : sync->is_retired() ? "retired, so nobody is in its audience"
                                                        : "the audience");
    add_rows(run.core.store(), explanation, 0, table);
    if (sync->holdout_per_million > 0) {
      table.add({Value::of(server::held_out(*sync, *person) ? "no" : "yes"),
                 Value::of("  not held out of the audience, to measure what it causes"), Value(), Value()});
    }
    return table;
  });
}

Result<Table> explain(const Run& run) {
  if (!run.command.sync.empty()) return explain_sync(run);
  const auto workspace = TRY(applied_workspace(run.core));
  const Time at = TRY(instant(run.command.at, run.core.now()));
  std::vector<std::pair<std::string, language::ExprPtr>> asked;
  if (run.command.segment.empty()) {
    for (const auto& segment : workspace.segments) asked.emplace_back(segment.name, segment.expr);
  } else {
    asked.emplace_back("", TRY(workspace::resolve_segment(workspace, run.command.segment)));
  }
  return run.core.call([&](engine::Engine& engine) -> Result<Table> {
    const auto person = engine.find_person(run.command.person);
    if (!person)
      return fail(Error::Code::not_found, fmt::format("nobody is known as `{}`", run.command.person));
    Table table({"holds", "condition", "decided by", "next change"});
    for (const auto& [name, expr] : asked) {
      auto explanation = TRY(engine.explain(workspace, expr, *person, at));
      if (!name.empty()) explanation.text = fmt::format("{}: {}", name, explanation.text);
      add_rows(run.core.store(), explanation, 0, table);
    }
    return table;
  });
}

Result<std::string> explain_plan(const Run& run) {
  if (run.command.format == Format::csv) return invalid("a plan is a tree: --format text or json");
  return run.core.call([&](engine::Engine& engine) -> Result<std::string> {
    while (engine.work_pending()) TRY(engine.work());
    if (engine.workspace() == nullptr) return no_workspace();
    const workspace::Workspace& workspace = *engine.workspace();
    const auto expr = TRY(workspace::resolve_segment(workspace, run.command.plan));
    const auto* named = workspace.find_segment(run.command.plan);
    const std::string name = named == nullptr ? "" : named->name;
    const auto view = TRY(engine.plan(workspace, name, expr, io::stopwatch_nanoseconds));
    return run.command.format == Format::json ? to_json(plan_value(name, view)) + "\n"
                                              : plan_text(name, view);
  });
}

int print(const Run& run, const Result<Table>& table) {
  if (!table) return run.fail(table.error());
  run.console.out(table->print(run.command.format));
  return kDone;
}

}  // namespace

int run_members(const Run& run) {
  const auto table = members(run);
  if (!table) return run.fail(table.error());
  const std::string text =
      table->print(run.command.format == Format::text ? Format::csv : run.command.format);
  // As text: one id a line and nothing else, ready for other programs.
  run.console.out(run.command.format == Format::text ? text.substr(text.find('\n') + 1) : text);
  return kDone;
}

int run_transitions(const Run& run) { return print(run, transitions(run)); }
int run_explain(const Run& run) {
  if (run.command.plan.empty()) return print(run, explain(run));
  const auto text = explain_plan(run);
  if (!text) return run.fail(text.error());
  run.console.out(*text);
  return kDone;
}

}  // namespace tailrace::cli
