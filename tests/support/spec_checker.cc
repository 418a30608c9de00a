#include "support/spec_checker.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "language/language.h"

namespace tailrace::testing {
namespace {

using Kind = SpecDefinition::Kind;
using language::ExprPtr;
using Trees = std::map<std::pair<Kind, std::string>, ExprPtr>;

language::Names names_of(const SpecWorkspace& workspace, const Trees& trees) {
  const auto tree_of = [&trees](Kind kind) {
    return [&trees, kind](std::string_view name) -> ExprPtr {
      const auto tree = trees.find({kind, std::string(name)});
      return tree == trees.end() ? nullptr : tree->second;
    };
  };
  language::Names names;
  names.canonical_event = [&workspace](std::string_view event) -> std::optional<std::string> {
    return canonical_event(workspace, event);
  };
  names.property_type = [](std::string_view, std::string_view) -> std::optional<language::Type> {
    return std::nullopt;
  };
  names.trait_type = [&workspace](std::string_view path) -> std::optional<language::Type> {
    const auto trait = std::ranges::find(workspace.traits, path, &SpecWorkspace::Trait::name);
    if (trait == workspace.traits.end()) return std::nullopt;
    return trait->type;
  };
  names.strict_events = false;
  names.definition = tree_of(Kind::definition);
  names.attribute = tree_of(Kind::attribute);
  names.segment = tree_of(Kind::segment);
  for (const SpecDefinition& definition : workspace.definitions) {
    if (definition.kind == Kind::definition) names.definitions.push_back(definition.name);
    if (definition.kind == Kind::attribute) names.attributes.push_back(definition.name);
    if (definition.kind == Kind::segment) names.segments.push_back(definition.name);
  }
  names.syncs = workspace.syncs;
  return names;
}

language::Place place_of(Kind kind) {
  switch (kind) {
    case Kind::definition:
      return language::Place::definition;
    case Kind::attribute:
      return language::Place::attribute;
    case Kind::segment:
      return language::Place::who;
  }
  return language::Place::who;
}

std::unexpected<Error> problem_in(const SpecDefinition& definition, const language::Problem& problem) {
  return invalid(fmt::format("line {}: {}", definition.line, language::render(problem, definition.text)));
}

}  // namespace

Result<std::vector<CheckedDefinition>> check_workspace(const SpecWorkspace& workspace) {
  Trees trees;
  for (const SpecDefinition& definition : workspace.definitions) {
    auto tree = language::parse(definition.text);
    if (!tree) return problem_in(definition, tree.error());
    trees[{definition.kind, definition.name}] = *tree;
  }
  const language::Names names = names_of(workspace, trees);
  std::vector<CheckedDefinition> checked;
  for (const SpecDefinition& definition : workspace.definitions) {
    const language::Checked result =
        language::check(trees.at({definition.kind, definition.name}), names, place_of(definition.kind));
    for (const language::Problem& problem : result.problems) {
      if (problem.severity == language::Problem::Severity::error) return problem_in(definition, problem);
    }
    checked.push_back({definition.kind, definition.name, result.expr});
  }
  return checked;
}

}  // namespace tailrace::testing
