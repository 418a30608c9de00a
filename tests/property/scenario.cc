#include "property/scenario.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::testing {
namespace {

std::string quoted(std::string_view name) { return fmt::format("\"{}\"", name); }

std::string text_of(const workspace::Workspace& workspace) {
  std::string text;
  const auto name = [](const std::string& word) {
    return word.find(' ') == std::string::npos ? word : quoted(word);
  };
  const auto add = [&](std::string_view kind, const auto& list) {
    for (const auto& one : list) text += fmt::format("{} {} = {}\n", kind, name(one.name), one.text);
  };
  if (workspace.time_zone != "UTC") text += fmt::format("time zone {}\n", workspace.time_zone);
  if (workspace.consent_unknown) text += "unknown consent means yes\n";
  for (const auto& trait : workspace.taxonomy.traits) {
    if (trait.type == language::Type::time) text += fmt::format("trait {} is time\n", trait.name);
    if (trait.type == language::Type::boolean) text += fmt::format("trait {} is boolean\n", trait.name);
  }
  for (const auto& sync : workspace.syncs) text += fmt::format("sync {}\n", name(sync.name));
  add("definition", workspace.definitions);
  add("attribute", workspace.attributes);
  add("segment", workspace.segments);
  return text;
}

std::string text_of(const Input& input) {
  std::string text = fmt::format("at {}  {} ", format_time(input.received_at), input.who);
  bool dated = true;
  switch (input.kind) {
    case Input::Kind::event:
      text += fmt::format("performs {}", quoted(input.name));
      if (!input.value.members.empty()) text += " " + to_json(input.value);
      break;
    case Input::Kind::trait:
      text += fmt::format("is {{{}: {}}}", quoted(input.name), to_json(input.value));
      break;
    case Input::Kind::consent:
      text += fmt::format("{} {}", input.value.boolean ? "consents" : "refuses", input.name);
      break;
    case Input::Kind::sync_entry:
      text += fmt::format("enters sync {}", input.name);
      break;
    case Input::Kind::join:
    case Input::Kind::merge:
      text += fmt::format("{} {}", input.kind == Input::Kind::join ? "becomes" : "merges into", input.other);
      dated = false;
      break;
    case Input::Kind::removal:
      text += "is deleted";
      dated = false;
      break;
  }
  if (dated && input.time != input.received_at) text += fmt::format(" at {}", format_time(input.time));
  if (dated && input.kind != Input::Kind::sync_entry) text += fmt::format(" as {}", input.message_id);
  return text + "\n";
}

std::string indented(std::string_view lines) {
  std::string text;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    text += fmt::format("  {}\n", lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return text.empty() ? "  nothing\n" : text;
}

}  // namespace

std::string report(const Scenario& scenario, const Finding& finding) {
  std::string text = text_of(scenario.first);
  if (scenario.holds_back) text += fmt::format("# The taxonomy does not know \"{}\".\n", kHeldBack);
  text += "\n";
  for (std::size_t i = 0; i <= scenario.steps.size(); ++i) {
    if (scenario.second && i == scenario.change) {
      text += fmt::format("# Another workspace comes{}:\n{}",
                          scenario.holds_back ? ", whose taxonomy knows all events" : "",
                          text_of(*scenario.second));
    }
    const Step& step = i == scenario.steps.size() ? scenario.end : scenario.steps[i];
    if (step.works.value_or(false)) text += "# A slice of its back-fill.\n";
    if (i == scenario.steps.size()) break;
    text += text_of(step.input);
    if (step.repeats.value_or(false)) {
      const auto first = std::ranges::find(scenario.steps, step.repeated,
                                           [](const Step& other) { return other.input.serial; });
      if (first != scenario.steps.end()) text += "# Once more: " + text_of(first->input);
    }
    if (step.restarts.value_or(false)) text += "# Restart.\n";
  }
  text += fmt::format("\n{}\nexpected\n{}got\n{}", finding.what, indented(finding.expected),
                      indented(finding.got));
  return text;
}

}  // namespace tailrace::testing
