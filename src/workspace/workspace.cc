#include "workspace/workspace.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/nearest.h"
#include "destinations/event_destination.h"
#include "workspace/check.h"

namespace tailrace::workspace {

namespace {

namespace fs = std::filesystem;

template <class T>
const T* find_named(const std::vector<T>& things, std::string_view name) {
  const auto found = std::ranges::find(things, name, &T::name);
  return found == things.end() ? nullptr : &*found;
}

// What expressions look up, prepared once: a workspace may hold hundreds of names, and a check asks for
// thousands.
struct Index {
  std::unordered_map<std::string, const EventRule*> events;  // by event_key
  std::unordered_map<std::string, language::Type> traits;
  std::unordered_map<std::string, language::ExprPtr> definitions;
  std::unordered_map<std::string, language::ExprPtr> attributes;
  std::unordered_map<std::string, language::ExprPtr> segments;
};

std::shared_ptr<const Index> index_of(const Workspace& workspace) {
  auto index = std::make_shared<Index>();
  for (const EventRule& rule : workspace.taxonomy.events) {
    index->events.emplace(event_key(rule.name), &rule);
    for (const std::string& alias : rule.aliases) index->events.emplace(event_key(alias), &rule);
  }
  for (const TraitRule& rule : workspace.taxonomy.traits) index->traits.emplace(rule.name, rule.type);
  for (const Named& named : workspace.definitions) index->definitions.emplace(named.name, named.expr);
  for (const Named& named : workspace.attributes) index->attributes.emplace(named.name, named.expr);
  for (const Named& named : workspace.segments) index->segments.emplace(named.name, named.expr);
  return index;
}

auto tree_finder(const std::unordered_map<std::string, language::ExprPtr>& trees) {
  return [&trees](std::string_view name) -> language::ExprPtr {
    const auto found = trees.find(std::string(name));
    return found == trees.end() ? nullptr : found->second;
  };
}

// The declared type at a dotted path. Below something declared without detail, anything may stand.
std::optional<language::Type> type_at(std::string_view path, const auto& find) {
  if (const std::optional<language::Type> exact = find(path)) return exact;
  for (std::size_t dot = path.rfind('.'); dot != std::string_view::npos && dot > 0;
       dot = path.rfind('.', dot - 1)) {
    if (find(path.substr(0, dot))) return language::Type::any;
  }
  return std::nullopt;
}

std::optional<std::string> read_text(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (stream.bad()) return std::nullopt;
  // A byte order mark would shift the columns of the first line.
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

// Words such as a name has, without anything that only an expression has.
bool reads_as_name(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return std::string_view("\"'()<>=+*/`").contains(c); });
}

// What is wrong with a text that is neither a segment's name nor an expression.
Error neither(const Workspace& workspace, std::string_view text, std::string problems) {
  if (!reads_as_name(text)) return {Error::Code::invalid_argument, std::move(problems)};
  std::vector<std::string> segments;
  for (const Named& named : workspace.segments) segments.push_back(named.name);
  const auto near = nearest(text, segments);
  return {Error::Code::invalid_argument,
          fmt::format("there is no segment {}{}\nas an expression:\n{}", in_quotes(text),
                      near ? fmt::format("; did you mean {}?", in_quotes(*near)) : "", problems)};
}

constexpr std::string_view kFiles[] = {"tailrace.yaml", "taxonomy.yaml", "definitions.yaml",
                                       "attributes.yaml"};
constexpr std::string_view kFolders[] = {"segments", "sources", "destinations", "syncs"};

// The names of a directory's YAML files, sorted. What looks like YAML and is not read is reported, for else a
// misspelt name would be a silent nothing.
std::vector<std::string> yaml_names(const fs::path& directory, const std::string& prefix,
                                    Problems& problems) {
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator at(directory, failure), end; !failure && at != end; at.increment(failure)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with('.')) continue;
    if (at->path().extension() == ".yml") {
      problems.warning_in(prefix + name, "the file is not read", "rename it so that it ends in .yaml");
    } else if (at->path().extension() == ".yaml") {
      names.push_back(name);
    }
  }
  if (failure) problems.error_in(prefix, fmt::format("the folder cannot be read: {}", failure.message()));
  std::ranges::sort(names);
  return names;
}

void add_file(const fs::path& folder, const std::string& name, std::vector<SourceFile>& files,
              Problems& problems) {
  if (std::optional<std::string> text = read_text(folder / name)) {
    files.push_back({name, std::move(*text)});
  } else {
    problems.error_in(name, "the file cannot be read", "check its permissions");
    files.push_back({name, ""});  // named all the same, so that it is not reported as missing
  }
}

std::vector<SourceFile> read_folder(const fs::path& folder, Problems& problems) {
  std::vector<SourceFile> files;
  for (const std::string& name : yaml_names(folder, "", problems)) {
    if (std::ranges::find(kFiles, name) != std::end(kFiles)) {
      add_file(folder, name, files, problems);
    } else {
      problems.warning_in(name, "the file is not read",
                          suggest(name, std::vector<std::string>(std::begin(kFiles), std::end(kFiles))));
    }
  }
  for (const std::string_view subfolder : kFolders) {
    std::error_code absent;
    if (!fs::is_directory(folder / subfolder, absent)) continue;
    const std::string prefix = std::string(subfolder) + "/";
    for (const std::string& name : yaml_names(folder / subfolder, prefix, problems)) {
      add_file(folder, prefix + name, files, problems);
    }
  }
  return files;
}

}  // namespace

const Named* Workspace::find_segment(std::string_view segment) const { return find_named(segments, segment); }
const Named* Workspace::find_attribute(std::string_view attribute) const {
  return find_named(attributes, attribute);
}
const Named* Workspace::find_definition(std::string_view definition) const {
  return find_named(definitions, definition);
}
const SyncConfig* Workspace::find_sync(std::string_view sync) const { return find_named(syncs, sync); }
const QuerySource* Workspace::find_query_source(std::string_view source) const {
  return find_named(query_sources, source);
}
const WarehouseConfig* Workspace::find_warehouse(std::string_view sync) const {
  return find_named(warehouses, sync);
}

const StreamConfig* Workspace::find_stream(std::string_view stream) const {
  return find_named(streams, stream);
}
const DestinationConfig* Workspace::find_destination(std::string_view destination) const {
  return find_named(destinations, destination);
}

bool Loaded::ok() const {
  return std::ranges::none_of(problems, [](const FileProblem& problem) {
    return problem.problem.severity == language::Problem::Severity::error;
  });
}

Loaded load(const std::string& folder, Time now) {
  Problems problems;
  std::error_code absent;
  if (!fs::is_directory(folder, absent)) {
    problems.error_in("tailrace.yaml", fmt::format("there is no folder {}", in_quotes(folder)),
                      "`tailrace init DIR` writes a workspace to start from");
    return {{}, problems.take_sorted()};
  }
  const std::vector<SourceFile> files = read_folder(folder, problems);
  Loaded loaded = load_files(files, destinations::registry(), now);
  std::ranges::move(problems.take_sorted(), std::back_inserter(loaded.problems));
  return loaded;
}

std::string render(const std::string& folder, const FileProblem& problem) {
  const language::Problem& what = problem.problem;
  const bool is_error = what.severity == language::Problem::Severity::error;
  std::string out = fmt::format("{}:{}:{}: {}: {}", problem.file, what.span.line, what.span.column,
                                is_error ? "error" : "warning", what.message);
  // The language draws the line, the caret and the mend; its heading is replaced by ours.
  const language::Problem without_message{language::Problem::Severity::error, what.span, "", what.mend};
  const std::string drawn =
      language::render(without_message, read_text(fs::path(folder) / problem.file).value_or(""));
  const std::size_t heading_end = drawn.find('\n');
  if (heading_end != std::string::npos) out += drawn.substr(heading_end);
  return out;
}

language::Names names_of(const Workspace& workspace) {
  const std::shared_ptr<const Index> index = index_of(workspace);
  const auto find_event = [index](std::string_view name) -> const EventRule* {
    const auto found = index->events.find(event_key(name));
    return found == index->events.end() ? nullptr : found->second;
  };
  language::Names names;
  names.canonical_event = [find_event](std::string_view name) -> std::optional<std::string> {
    if (const EventRule* rule = find_event(name)) return rule->name;
    for (const std::string_view built_in : kBuiltInEvents) {
      if (event_key(name) == event_key(built_in)) return std::string(built_in);
    }
    return std::nullopt;
  };
  names.property_type = [find_event](std::string_view event,
                                     std::string_view path) -> std::optional<language::Type> {
    const EventRule* rule = find_event(event);
    if (rule == nullptr) return std::nullopt;
    return type_at(path, [rule](std::string_view name) -> std::optional<language::Type> {
      const auto found = std::ranges::find(rule->properties, name, &PropertyRule::name);
      return found == rule->properties.end() ? std::nullopt : std::optional(found->type);
    });
  };
  names.trait_type = [index](std::string_view path) {
    return type_at(path, [&](std::string_view name) -> std::optional<language::Type> {
      const auto found = index->traits.find(std::string(name));
      return found == index->traits.end() ? std::nullopt : std::optional(found->second);
    });
  };
  names.strict_events = workspace.taxonomy.unknown_events == UnknownEvents::quarantine;
  names.strict_traits = !workspace.taxonomy.traits.empty();
  // The shared index lives as long as the functions that read it.
  names.definition = [index](std::string_view name) { return tree_finder(index->definitions)(name); };
  names.attribute = [index](std::string_view name) { return tree_finder(index->attributes)(name); };
  names.segment = [index](std::string_view name) { return tree_finder(index->segments)(name); };
  for (const EventRule& rule : workspace.taxonomy.events) names.events.push_back(rule.name);
  for (const TraitRule& rule : workspace.taxonomy.traits) names.traits.push_back(rule.name);
  for (const Named& named : workspace.definitions) names.definitions.push_back(named.name);
  for (const Named& named : workspace.attributes) names.attributes.push_back(named.name);
  for (const Named& named : workspace.segments) names.segments.push_back(named.name);
  for (const SyncConfig& sync : workspace.syncs) names.syncs.push_back(sync.name);
  return names;
}

std::map<std::string, std::string> names_at(const Workspace& workspace,
                                            const destinations::EventDestination& destination) {
  const language::Names names = names_of(workspace);
  std::map<std::string, std::string> result;
  for (const destinations::EventName& each : destination.events())
    result.emplace(names.canonical_event(each.event).value_or(std::string(each.event)), each.name);
  return result;
}

Result<language::ExprPtr> resolve_segment(const Workspace& workspace, std::string_view name_or_expression) {
  if (const Named* segment = workspace.find_segment(name_or_expression)) {
    if (segment->expr == nullptr)
      return invalid(fmt::format("the segment {} has errors", in_quotes(segment->name)));
    return segment->expr;
  }
  const auto tree = language::parse(name_or_expression);
  if (!tree) {
    return std::unexpected(
        neither(workspace, name_or_expression, language::render(tree.error(), name_or_expression)));
  }
  language::Checked checked = language::check(*tree, names_of(workspace), language::Place::who);
  if (checked.expr != nullptr) return std::move(checked.expr);
  std::vector<std::string> rendered;
  for (const language::Problem& problem : checked.problems) {
    rendered.push_back(language::render(problem, name_or_expression));
  }
  return std::unexpected(
      neither(workspace, name_or_expression, fmt::format("{}", fmt::join(rendered, "\n"))));
}

}  // namespace tailrace::workspace
