// tailrace preview --destination, normalize, classify: a destination's machinery without a store, a network
// or a clock. Records come by standard input, one JSON object a line.
#include <fstream>
#include <iostream>
#include <sstream>

#include <fmt/format.h>

#include "cli/command.h"
#include "destinations/audience_destination.h"
#include "destinations/dry_run.h"
#include "io/system_clock.h"
#include "workspace/yaml.h"

namespace tailrace::cli {
namespace {

using workspace::YamlNode;

Result<YamlNode> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return fail(Error::Code::not_found, fmt::format("cannot read {}", path));
  const workspace::SourceFile file{.name = path, .text = text.str()};
  workspace::Problems problems;
  auto node = workspace::read_yaml(file, problems);
  if (!node) {
    std::string all;
    for (const auto& problem : problems.take_sorted())
      all += fmt::format("{}:{}: {}\n", path, problem.problem.span.line, problem.problem.message);
    return invalid(all);
  }
  if (node->kind != YamlNode::Kind::mapping) return invalid(fmt::format("{}: not a mapping of keys", path));
  return *std::move(node);
}

std::map<std::string, std::string> texts_of(const YamlNode& node) {
  std::map<std::string, std::string> texts;
  for (const auto& entry : node.entries) {
    if (entry.value.kind != YamlNode::Kind::mapping) texts[entry.key.text] = entry.value.text;
  }
  return texts;
}

// {env: NAME}, {file: path}, or the secret itself: what this prints is masked. No program is run for it.
Result<std::string> secret_of(const YamlNode& node, const std::string& folder) {
  if (node.kind == YamlNode::Kind::scalar) return node.text;
  for (const auto& entry : node.entries) {
    if (entry.key.text == "command") return "UNKNOWN_SECRET";
    const bool environment = entry.key.text == "env";
    if (!environment && entry.key.text != "file") continue;
    auto value = server::resolve_secret({.kind = environment ? workspace::SecretReference::Kind::environment
                                                             : workspace::SecretReference::Kind::file,
                                         .name = entry.value.text},
                                        folder);
    // Somebody who looks at requests need not have the platform's secrets.
    return value ? *std::move(value) : "UNKNOWN_SECRET";
  }
  return invalid("a credential is {env: NAME}, {file: path} or {command: [program, argument]}");
}

// A destination's file of a workspace; its keys may also stand at the top, beside those of a sync.
class ConfigReader {
 public:
  ConfigReader(destinations::DryRun& run, std::string folder) : run_(run), folder_(std::move(folder)) {}

  Result<void> read(const YamlNode& root) {
    for (const auto& [key, value] : root.entries) TRY(entry(key.text, value));
    return {};
  }

 private:
  Result<void> entry(const std::string& name, const YamlNode& value) {
    if (name == "name" || name == "type" || name == "allow_private_addresses" || name == "ca_file") return {};
    if (name == "settings") {
      for (const auto& [key, of] : value.entries) TRY(entry(key.text, of));
      return {};
    }
    if (name == "credentials") {
      for (const auto& [key, of] : value.entries) run_.config.secrets[key.text] = TRY(secret_of(of, folder_));
      return {};
    }
    if (name == "events") return assign(run_.events, value);
    if (name == "fields") return assign(run_.fields, value);
    if (name == "identifiers") return identifiers(value);
    if (name == "currency") return assign(run_.currency, value);
    if (name == "audience_id") return assign(run_.audience_id, value);
    if (name == "audience_name") return assign(run_.config.audience_name, value);
    if (name == "audience_description") return assign(run_.config.audience_description, value);
    if (name == "default_region" || name == "region") return assign(run_.config.default_region, value);
    for (const destinations::Setting& setting : run_.destination->settings()) {
      if (setting.name != name) continue;
      if (setting.secret) {
        run_.config.secrets[name] = TRY(secret_of(value, folder_));
      } else {
        run_.config.settings[name] = value.text;
      }
      return {};
    }
    return invalid(fmt::format("`{}` is no setting of {}", name, run_.destination->type()));
  }

  static Result<void> assign(std::string& to, const YamlNode& value) {
    to = value.text;
    return {};
  }
  static Result<void> assign(std::map<std::string, std::string>& to, const YamlNode& value) {
    for (auto& [key, text] : texts_of(value)) to[key] = text;
    return {};
  }

  Result<void> identifiers(const YamlNode& value) {
    for (const YamlNode& item : workspace::one_or_many(value)) {
      const auto* audiences = run_.destination->as_audience();
      bool known = false;
      if (audiences != nullptr) {
        for (const IdentifierKind kind : audiences->identifiers()) {
          if (to_string(kind) != item.text) continue;
          run_.identifiers.push_back(kind);
          known = true;
        }
      }
      if (!known)
        return invalid(fmt::format("{} cannot match people by \"{}\"", run_.destination->type(), item.text));
    }
    return {};
  }

  destinations::DryRun& run_;
  std::string folder_;
};

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

Result<const destinations::Destination*> destination_named(const std::string& type) {
  const destinations::Destination* found = destinations::find(type);
  if (found != nullptr) return found;
  std::string known;
  for (const auto* each : destinations::registry())
    known += (known.empty() ? "" : ", ") + std::string(each->type());
  return fail(Error::Code::not_found, fmt::format("no destination \"{}\"; there are: {}", type, known));
}

Result<void> check_settings(const destinations::DryRun& run) {
  std::string missing;
  for (const auto& setting : run.destination->settings()) {
    const bool needed = setting.required && !setting.secret;
    if (needed && run.config.setting(std::string(setting.name)).empty())
      missing += fmt::format("  `{}` is missing: {}\n", setting.name, setting.about);
  }
  for (const std::string& problem :
       missing.empty() ? run.destination->check(run.config) : std::vector<std::string>{})
    missing += "  " + problem + "\n";
  if (!missing.empty())
    return invalid(
        fmt::format("the configuration of {} is not whole:\n{}", run.destination->type(), missing));
  return {};
}

std::vector<std::string> lines_of(std::istream& in) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) lines.push_back(std::move(line));
  }
  return lines;
}

Result<void> preview(const Command& command, server::Console& console) {
  destinations::DryRun run;
  run.destination = TRY(destination_named(command.destination));
  if (command.config.empty()) return invalid("--config FILE is missing: the destination's settings, as YAML");
  TRY(ConfigReader(run, folder_of(command.config)).read(TRY(read_file(command.config))));
  if (!command.mapping.empty())
    TRY(ConfigReader(run, folder_of(command.mapping)).read(TRY(read_file(command.mapping))));
  destinations::fill_defaults(*run.destination, run.config);
  for (const auto& setting : run.destination->settings()) {
    if (setting.required && setting.secret)
      run.config.secrets.try_emplace(std::string(setting.name), "UNKNOWN_SECRET");
  }
  TRY(check_settings(run));
  const bool events = run.destination->as_events() != nullptr;
  const auto operation = TRY(destinations::operation_named(
      command.operation.empty() ? (events ? "track" : "add") : command.operation));
  const auto records = lines_of(std::cin);
  run.now = TRY(instant(command.now, destinations::newest_of(records).value_or(io::system_now())));
  for (const std::string& line : TRY(destinations::preview(run, records, operation)))
    console.out(line + "\n");
  return {};
}

int done(const Result<void>& result, server::Console& console) {
  if (result) return kDone;
  console.err(result.error().message + (result.error().message.ends_with('\n') ? "" : "\n"));
  return exit_code(result.error());
}

}  // namespace

int run_preview_destination(const Command& command, server::Console& console) {
  return done(preview(command, console), console);
}

int run_normalize(const Command& command, server::Console& console) {
  const auto normalise = [&]() -> Result<void> {
    const auto destinations = TRY(destinations::normalisers_named(command.platform));
    for (const std::string& line : lines_of(std::cin))
      console.out(destinations::normalise_line(destinations, line) + "\n");
    return {};
  };
  return done(normalise(), console);
}

int run_classify(const Command& command, server::Console& console) {
  const auto classify = [&]() -> Result<void> {
    const auto* destination = TRY(destination_named(command.destination));
    for (const std::string& line : lines_of(std::cin)) {
      for (const std::string& outcome : destinations::classify_line(*destination, line))
        console.out(outcome + "\n");
    }
    return {};
  };
  return done(classify(), console);
}

}  // namespace tailrace::cli
