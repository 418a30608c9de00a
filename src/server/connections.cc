#include "server/connections.h"

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/identifiers/identifiers.h"
#include "io/program.h"
#include "segments/scalar.h"
#include "workspace/audience.h"

namespace tailrace::server {

Result<std::string> resolve_secret(const workspace::SecretReference& reference, const std::string& folder) {
  switch (reference.kind) {
    case workspace::SecretReference::Kind::none:
      return std::string();
    case workspace::SecretReference::Kind::environment: {
      const char* value = std::getenv(reference.name.c_str());
      if (value == nullptr || *value == '\0') {
        return invalid(fmt::format("the environment variable {} is not set", reference.name));
      }
      return std::string(value);
    }
    case workspace::SecretReference::Kind::file: {
      const std::string path =
          reference.name.starts_with('/') ? reference.name : folder + "/" + reference.name;
      std::ifstream file(path, std::ios::binary);
      std::ostringstream text;
      text << file.rdbuf();
      std::string value = text.str();
      while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.pop_back();
      if (!file || value.empty()) return invalid(fmt::format("the file {} cannot be read or is empty", path));
      return value;
    }
    case workspace::SecretReference::Kind::command: {
      std::vector<std::string> words{reference.name};
      words.insert(words.end(), reference.arguments.begin(), reference.arguments.end());
      const std::string text = TRY(io::run_program(words, folder));
      const std::string value(destinations::trimmed(text));
      if (value.empty()) return invalid(fmt::format("the program `{}` printed nothing", reference.name));
      return value;
    }
  }
  return std::string();
}

Secrets secrets_of(std::string folder) {
  return [folder = std::move(folder)](const workspace::SecretReference& reference) {
    return resolve_secret(reference, folder);
  };
}

bool held_out(const workspace::SyncConfig& sync, PersonId person) {
  if (sync.holdout_per_million == 0) return false;
  const std::string& salt = sync.holdout_salt.empty() ? sync.name : sync.holdout_salt;
  const Sha256 digest = hmac_sha256(salt, std::to_string(person.value));
  std::uint64_t draw = 0;
  for (int i = 0; i < 8; ++i) draw = draw << 8 | digest[static_cast<std::size_t>(i)];
  return draw % 1'000'000 < sync.holdout_per_million;
}

namespace {

// Of syncs that send nothing.
const Secrets kNoSecrets = [](const workspace::SecretReference&) { return std::string("none"); };

// Credentials that cannot be had, each once.
class Missing {
 public:
  void add(const std::string& destination, const std::string& name, const std::string& why) {
    add_to("destination", destination, name, why);
  }
  void add_to(std::string_view what, const std::string& of, const std::string& name, const std::string& why) {
    const std::string problem = fmt::format("  {} \"{}\", `{}`: {}\n", what, of, name, why);
    if (problems_.find(problem) == std::string::npos) problems_ += problem;
  }
  Result<void> verdict() const {
    if (problems_.empty()) return {};
    return invalid("credentials are missing:\n" + problems_ + "set them where `tailrace serve` runs");
  }

 private:
  std::string problems_;
};

destinations::Config config_of(const workspace::Workspace& workspace,
                               const workspace::DestinationConfig& destination,
                               const destinations::Destination& type,
                               const std::map<std::string, std::string>& settings, const Secrets& secrets,
                               Missing& missing) {
  destinations::Config config;
  destinations::fill_defaults(type, config);
  for (const auto& [name, value] : destination.settings) config.settings[name] = value;
  for (const auto& [name, value] : settings) config.settings[name] = value;
  for (const auto& [name, reference] : destination.credentials) {
    if (auto secret = secrets(reference)) {
      config.secrets[name] = std::move(*secret);
    } else {
      missing.add(destination.name, name, secret.error().message);
    }
  }
  config.default_region = workspace.default_region;
  return config;
}

std::unexpected<Error> unknown_destination(const std::string& sync, const std::string& destination) {
  return invalid(fmt::format("sync \"{}\": this version knows no destination \"{}\"", sync, destination));
}

// The first of a destination's credentials that ends, as their owner wrote down.
std::optional<Time> first_end(const workspace::DestinationConfig& destination) {
  std::optional<Time> first;
  for (const auto& [name, reference] : destination.credentials) {
    if (reference.ends_at) first = std::min(first.value_or(*reference.ends_at), *reference.ends_at);
  }
  return first;
}

HttpReach reach_of(const workspace::DestinationConfig& destination) {
  return {.private_addresses = destination.allow_private_addresses, .ca_file = destination.ca_file};
}

// Which events a stream sync wants, by canonical name.
using Conditions = std::map<std::string, workspace::StreamEvent, std::less<>>;

Result<delivery::StreamConnection> connect_stream(const workspace::Workspace& workspace,
                                                  const workspace::StreamConfig& stream,
                                                  const Secrets& secrets, const Running& running,
                                                  Missing& missing) {
  delivery::StreamConnection connection;
  connection.stream = stream;
  connection.consent_unknown = workspace.consent_unknown;
  const auto* destination = workspace.find_destination(stream.destination);
  connection.destination =
      destination == nullptr ? nullptr : destinations::find_event_destination(destination->type);
  if (connection.destination == nullptr) return unknown_destination(stream.name, stream.destination);
  connection.reach = reach_of(*destination);
  connection.credentials_end_at = first_end(*destination);
  connection.config = config_of(workspace, *destination, *connection.destination, stream.settings,
                                running.asks(stream.name) ? secrets : kNoSecrets, missing);
  connection.rests = !running.pass_of.empty();
  auto events = std::make_shared<Conditions>();
  std::map<std::string, std::string> names = workspace::names_at(workspace, *connection.destination);
  for (const workspace::StreamEvent& event : stream.events) {
    events->emplace(event.event, event);
    if (!event.name.empty()) names[event.event] = event.name;
  }
  const auto known = std::make_shared<const std::map<std::string, std::string>>(names);
  const bool takes_every = connection.destination->takes_every_event();
  connection.wants = [events, known, every = stream.every_event, takes_every](std::string_view event) {
    if (const auto found = events->find(event); found != events->end()) return found->second.sent;
    return every && (takes_every || known->contains(std::string(event)));
  };
  connection.accepts = [events](const delivery::LoggedEvent& event) {
    const auto found = events->find(event.message.event);
    return found == events->end() || found->second.condition == nullptr ||
           segments::matches(*found->second.condition, event.message.properties);
  };
  auto mapping = destinations::Mapping::create(*connection.destination, names, stream.fields, stream.currency,
                                               stream.properties);
  if (!mapping) return invalid(fmt::format("sync \"{}\": {}", stream.name, mapping.error().message));
  connection.mapping = std::move(*mapping);
  return connection;
}

}  // namespace

Result<std::vector<delivery::StreamConnection>> connect_streams(const workspace::Workspace& workspace,
                                                                const Secrets& secrets,
                                                                const Running& running) {
  std::vector<delivery::StreamConnection> connections;
  Missing missing;
  for (const auto& stream : workspace.streams)
    connections.push_back(TRY(connect_stream(workspace, stream, secrets, running, missing)));
  TRY(missing.verdict());
  return connections;
}

Result<std::vector<delivery::Connection>> connect(const workspace::Workspace& workspace,
                                                  const Secrets& secrets, const Running& running) {
  std::vector<delivery::Connection> connections;
  Missing missing;
  for (const auto& sync : workspace.syncs) {
    delivery::Connection connection;
    connection.sync = sync;
    connection.time_zone = workspace.time_zone;
    const auto* destination = workspace.find_destination(sync.destination);
    connection.destination =
        destination == nullptr ? nullptr : destinations::find_audience_destination(destination->type);
    if (connection.destination == nullptr) return unknown_destination(sync.name, sync.destination);
    connection.reach = reach_of(*destination);
    connection.credentials_end_at = first_end(*destination);
    connection.config = config_of(workspace, *destination, *connection.destination, sync.settings,
                                  running.asks(sync.name) ? secrets : kNoSecrets, missing);
    connection.rests = !running.pass_of.empty();
    destinations::Config& config = connection.config;
    config.audience_name = workspace::audience_name(sync);
    const auto described = sync.settings.find("audience_description");
    const auto* segment = workspace.find_segment(sync.segment);
    if (described != sync.settings.end()) {
      config.audience_description = described->second;
    } else if (segment != nullptr) {
      config.audience_description =
          fmt::format("Tailrace: segment {}{}{}{}{}", segment->name, segment->owner.empty() ? "" : ", owner ",
                      segment->owner, segment->purpose.empty() ? "" : ": ", segment->purpose);
    }
    connections.push_back(std::move(connection));
  }
  TRY(missing.verdict());
  return connections;
}

Result<WarehouseConnection> connect_warehouse(const workspace::Workspace& workspace,
                                              const workspace::WarehouseConfig& sync, const Secrets& secrets,
                                              const std::string& folder) {
  WarehouseConnection connection;
  Missing missing;
  connection.sync = sync;
  const auto* destination = workspace.find_destination(sync.destination);
  connection.destination =
      destination == nullptr ? nullptr : destinations::find_warehouse_destination(destination->type);
  if (connection.destination == nullptr) return unknown_destination(sync.name, sync.destination);
  connection.reach = reach_of(*destination);
  connection.config =
      config_of(workspace, *destination, *connection.destination, sync.settings, secrets, missing);
  TRY(missing.verdict());
  if (const auto location = connection.config.settings.find("location");
      location != connection.config.settings.end()) {
    std::string& where = location->second;
    const bool is_local = where.find("://") == std::string::npos;
    if (is_local && !where.empty() && !where.starts_with('/')) where = folder + "/" + where;
  }
  return connection;
}

Result<void> check_connections(const workspace::Workspace& workspace, const Secrets& secrets,
                               const Running& running) {
  TRY(connect(workspace, secrets, running));
  TRY(connect_streams(workspace, secrets, running));
  for (const auto& sync : workspace.warehouses) {
    if (running.asks(sync.name)) TRY(connect_warehouse(workspace, sync, secrets, "."));
  }
  Missing missing;
  for (const auto& source : workspace.query_sources) {
    if (source.is_retired() || !running.pass_of.empty()) continue;
    for (const auto& [name, reference] : source.credentials) {
      if (const auto secret = secrets(reference); !secret)
        missing.add_to("source", source.name, name, secret.error().message);
    }
  }
  return missing.verdict();
}

}  // namespace tailrace::server
