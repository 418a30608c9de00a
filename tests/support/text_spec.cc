#include "support/text_spec.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::testing {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

// Up to the comment, if there is one.
std::string_view without_comment(std::string_view line) {
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (line[i] == '#' && !quoted) {
      return line.substr(0, i);
    }
  }
  return line;
}

// Reads words, quoted names and JSON objects from the left.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(trimmed(text)) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  // Takes the word if it comes next.
  bool take(std::string_view word) {
    const bool next =
        rest_.starts_with(word) &&
        (rest_.size() == word.size() || std::isspace(static_cast<unsigned char>(rest_[word.size()])));
    if (next) advance(word.size());
    return next;
  }

  Result<void> expect(std::string_view word) {
    if (take(word)) return {};
    return invalid(fmt::format("expected `{}` at `{}`", word, rest_));
  }

  Result<std::string> name() {
    if (rest_.empty()) return invalid("expected a name at the end");
    if (rest_.front() == '"') {
      const std::size_t close = rest_.find('"', 1);
      if (close == std::string_view::npos) return invalid(fmt::format("no closing quote in `{}`", rest_));
      return cut(close + 1).substr(1, close - 1);
    }
    return cut(std::min(rest_.size(), rest_.find_first_of(" \t\n")));
  }

  Result<Time> time() { return parse_time(TRY(name())); }

  Result<Value> object() {
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (quoted && c == '\\') ++i;
      if (c == '"') quoted = !quoted;
      if (quoted) continue;
      if (c == '{') ++depth;
      if (c == '}' && --depth == 0) return parse_json(cut(i + 1));
    }
    return invalid(fmt::format("expected a JSON object at `{}`", rest_));
  }

 private:
  void advance(std::size_t count) { rest_ = trimmed(rest_.substr(count)); }
  std::string cut(std::size_t count) {
    std::string text(rest_.substr(0, count));
    advance(count);
    return text;
  }

  std::string_view rest_;
};

Result<SpecAction::Kind> read_verb(Reader& reader) {
  using Kind = SpecAction::Kind;
  if (reader.take("performs")) return Kind::performs;
  if (reader.take("consents")) return Kind::consents;
  if (reader.take("refuses")) return Kind::refuses;
  if (reader.take("becomes")) return Kind::becomes;
  if (reader.take("is")) return reader.take("deleted") ? Kind::deleted : Kind::is;
  if (reader.take("merges")) {
    TRY(reader.expect("into"));
    return Kind::merges;
  }
  if (reader.take("enters")) {
    TRY(reader.expect("sync"));
    return Kind::enters_sync;
  }
  return invalid(fmt::format("unknown action at `{}`", reader.rest()));
}

Result<SpecAction> read_action(Reader& reader, Time received_at) {
  using Kind = SpecAction::Kind;
  SpecAction action;
  action.time = received_at;
  action.payload = Value::with(Value::Kind::object);
  if (reader.at_end()) return action;
  action.who = TRY(reader.name());
  action.kind = TRY(read_verb(reader));
  if (action.kind != Kind::is && action.kind != Kind::deleted) action.name = TRY(reader.name());
  if (action.kind == Kind::is || (action.kind == Kind::performs && reader.rest().starts_with('{')))
    action.payload = TRY(reader.object());
  if (reader.take("at")) action.time = TRY(reader.time());
  if (reader.take("as")) action.message_id = TRY(reader.name());
  if (!reader.at_end()) return invalid(fmt::format("too much in this line: `{}`", reader.rest()));
  return action;
}

std::vector<std::string> read_list(std::string_view text) {
  std::vector<std::string> items;
  while (!trimmed(text).empty()) {
    const std::size_t comma = std::min(text.size(), text.find(','));
    items.emplace_back(trimmed(text.substr(0, comma)));
    text.remove_prefix(std::min(text.size(), comma + 1));
  }
  return items;
}

Result<language::Type> type_named(std::string_view name) {
  if (name == "time") return language::Type::time;
  if (name == "number") return language::Type::number;
  if (name == "string") return language::Type::string;
  if (name == "boolean") return language::Type::boolean;
  return invalid(fmt::format("unknown type `{}`", name));
}

// `at`, `members` and `timeline`, which have a right side.
Result<SpecStatement> read_statement(std::string_view text) {
  const std::size_t arrow = text.rfind("=>");
  if (arrow == std::string_view::npos) return invalid("expected `=>`");
  SpecStatement statement;
  statement.expected = read_list(text.substr(arrow + 2));
  Reader reader(text.substr(0, arrow));
  if (reader.take("at")) {
    statement.at = TRY(reader.time());
    statement.action = TRY(read_action(reader, statement.at));
    return statement;
  }
  statement.kind = reader.take("members") ? SpecStatement::Kind::members : SpecStatement::Kind::timeline;
  if (statement.kind == SpecStatement::Kind::timeline) TRY(reader.expect("timeline"));
  statement.segment = TRY(reader.name());
  if (statement.kind == SpecStatement::Kind::timeline) {
    TRY(reader.expect("from"));
    statement.from = TRY(reader.time());
    TRY(reader.expect("to"));
  } else {
    TRY(reader.expect("at"));
  }
  statement.at = TRY(reader.time());
  return statement;
}

Result<SpecDefinition> read_definition(SpecDefinition::Kind kind, Reader& reader) {
  SpecDefinition definition {
    .kind = kind, .name = TRY(reader.name())
    , .text = {}
  };
  TRY(reader.expect("="));
  definition.text = reader.rest();
  return definition;
}

Result<void> read_line(int line, std::string_view text, SpecFile& file) {
  Reader reader(text);
  SpecWorkspace& workspace = file.workspace;
  const auto define = [&](SpecDefinition::Kind kind) -> Result<void> {
    SpecDefinition definition = TRY(read_definition(kind, reader));
    definition.line = line;
    workspace.definitions.push_back(std::move(definition));
    return {};
  };
  if (reader.take("definition")) return define(SpecDefinition::Kind::definition);
  if (reader.take("attribute")) return define(SpecDefinition::Kind::attribute);
  if (reader.take("segment")) return define(SpecDefinition::Kind::segment);
  if (reader.take("time zone")) {
    workspace.time_zone = TRY(reader.name());
    return {};
  }
  if (reader.take("unknown consent means")) {
    workspace.consent_unknown = reader.take("yes");
    if (!workspace.consent_unknown) TRY(reader.expect("no"));
    return {};
  }
  if (reader.take("alias")) {
    SpecWorkspace::Alias alias {
      .alias = TRY(reader.name())
      , .event = {}
    };
    TRY(reader.expect("is"));
    alias.event = TRY(reader.name());
    workspace.aliases.push_back(std::move(alias));
    return {};
  }
  if (reader.take("sync")) {
    workspace.syncs.push_back(TRY(reader.name()));
    return {};
  }
  if (reader.take("trait")) {
    SpecWorkspace::Trait trait { .name = TRY(reader.name()) };
    TRY(reader.expect("is"));
    const std::string type = TRY(reader.name());
    trait.type = TRY(type_named(type));
    workspace.traits.push_back(std::move(trait));
    return {};
  }
  SpecStatement statement = TRY(read_statement(text));
  statement.line = line;
  if (statement.kind == SpecStatement::Kind::step) {
    const auto later = [&](const SpecStatement& earlier) {
      return earlier.kind == SpecStatement::Kind::step && earlier.at > statement.at;
    };
    if (std::ranges::any_of(file.statements, later)) return invalid("the clock of the steps goes back");
  }
  if (statement.action.message_id.empty())
    statement.action.message_id = fmt::format("m{}", file.statements.size() + 1);
  file.statements.push_back(std::move(statement));
  return {};
}

struct Line {
  int number = 0;
  std::string text;
};

// Without comments and empty lines, each joined with those that go on with it.
std::vector<Line> logical_lines(std::string_view text) {
  std::vector<Line> lines;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.size(), text.find('\n'));
    const std::string_view line = without_comment(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
    if (trimmed(line).empty()) continue;
    if (std::isspace(static_cast<unsigned char>(line.front())) && !lines.empty()) {
      lines.back().text += " " + std::string(trimmed(line));
    } else {
      lines.push_back({number, std::string(trimmed(line))});
    }
  }
  return lines;
}

std::vector<std::string> answer(SpecRunner& runner, const SpecStatement& statement) {
  switch (statement.kind) {
    case SpecStatement::Kind::step:
      return runner.step(statement);
    case SpecStatement::Kind::members:
      return runner.members(statement);
    case SpecStatement::Kind::timeline:
      return runner.timeline(statement);
  }
  return {};
}

}  // namespace

Result<SpecFile> parse_spec(std::string name, std::string_view text) {
  SpecFile file;
  file.name = std::move(name);
  for (const Line& line : logical_lines(text)) {
    if (const auto read = read_line(line.number, line.text, file); !read)
      return invalid(fmt::format("{}:{}: {}", file.name, line.number, read.error().message));
  }
  return file;
}

Result<SpecFile> read_spec(const std::filesystem::path& path) {
  std::ifstream stream(path);
  if (!stream) return fail(Error::Code::not_found, fmt::format("cannot open {}", path.string()));
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  return parse_spec(path.filename().string(), text);
}

bool is_anonymous(std::string_view who) { return who.starts_with("anon-"); }

std::vector<std::string> run_spec(const SpecFile& file, SpecRunner& runner) {
  if (const auto begun = runner.begin(file.workspace); !begun)
    return {fmt::format("{}: {}", file.name, begun.error().message)};
  std::vector<std::string> differences;
  for (const SpecStatement& statement : file.statements) {
    const std::vector<std::string> got = answer(runner, statement);
    if (got == statement.expected) continue;
    differences.push_back(fmt::format("{}:{}: expected `{}`, got `{}`", file.name, statement.line,
                                      fmt::join(statement.expected, ", "), fmt::join(got, ", ")));
  }
  return differences;
}

std::string change_text(std::string_view segment, bool entered, std::string_view who,
                        std::optional<Time> at) {
  std::string text = fmt::format("{} {} {}", segment, entered ? '+' : '-', who);
  if (at) text += " at " + format_time(*at);
  return text;
}

std::vector<std::filesystem::path> spec_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".spec") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::string canonical_event(const SpecWorkspace& workspace, std::string_view event) {
  const auto alias = std::ranges::find(workspace.aliases, event, &SpecWorkspace::Alias::alias);
  return alias == workspace.aliases.end() ? std::string(event) : alias->event;
}

}  // namespace tailrace::testing
