#include "server/connections.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "base/hash.h"

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

Result<std::vector<delivery::Connection>> connect(const workspace::Workspace& workspace,
                                                  const Secrets& secrets) {
  std::vector<delivery::Connection> connections;
  std::string problems;
  for (const auto& sync : workspace.syncs) {
    delivery::Connection connection;
    connection.sync = sync;
    connection.time_zone = workspace.time_zone;
    const auto* destination = workspace.find_destination(sync.destination);
    connection.destination =
        destination == nullptr ? nullptr : destinations::find_audience_destination(destination->type);
    if (connection.destination == nullptr) {
      return invalid(
          fmt::format("sync \"{}\": this version knows no destination \"{}\"", sync.name, sync.destination));
    }
    connection.reach = {.private_addresses = destination->allow_private_addresses,
                        .ca_file = destination->ca_file};
    destinations::Config& config = connection.config;
    for (const auto& setting : connection.destination->settings()) {
      if (!setting.default_value.empty()) config.settings[std::string(setting.name)] = setting.default_value;
    }
    for (const auto& [name, value] : destination->settings) config.settings[name] = value;
    for (const auto& [name, value] : sync.settings) config.settings[name] = value;
    for (const auto& [name, reference] : destination->credentials) {
      auto secret = secrets(reference);
      if (!secret) {
        const std::string problem =
            fmt::format("  destination \"{}\", `{}`: {}\n", destination->name, name, secret.error().message);
        if (problems.find(problem) == std::string::npos) problems += problem;
        continue;
      }
      config.secrets[name] = std::move(*secret);
    }
    const auto named = sync.settings.find("audience_name");
    config.audience_name = named == sync.settings.end() ? sync.name : named->second;
    const auto described = sync.settings.find("audience_description");
    const auto* segment = workspace.find_segment(sync.segment);
    if (described != sync.settings.end()) {
      config.audience_description = described->second;
    } else if (segment != nullptr) {
      config.audience_description = fmt::format("Tailrace: segment {}{}{}", segment->name,
                                                segment->owner.empty() ? "" : ", owner ", segment->owner);
    }
    config.default_region = workspace.default_region;
    connections.push_back(std::move(connection));
  }
  if (!problems.empty())
    return invalid("credentials are missing:\n" + problems + "set them where `tailrace serve` runs");
  return connections;
}

}  // namespace tailrace::server
