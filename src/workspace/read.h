// YAML to a Workspace whose parts are each well formed, and whose references and expressions are not checked
// yet (check.h). Beside each part stands where it was written.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "workspace/source.h"
#include "workspace/yaml.h"

namespace tailrace::workspace {

struct NamedSite {
  Spot name;
  YamlNode expression;  // a scalar
};
struct DestinationSite {
  Spot whole;
  Spot name;
  Spot type;
  std::map<std::string, Spot> settings;
  std::map<std::string, Spot> credentials;
};
struct SyncSite {
  Spot whole;
  Spot name;
  Spot segment;
  Spot destination;
  Spot test_segment;
  Spot effect;
  Spot holdout;
  Spot audience_id;
  Spot twin;
  Spot minimum_stay;
  Spot longest_stay;
  Spot review_date;
  Spot objective;
  std::vector<Spot> identifiers;
  std::vector<Spot> attributes;
  std::vector<Spot> exclusions;
  std::map<std::string, Spot> settings;
};

struct StreamSite {
  Spot whole;
  Spot name;
  Spot destination;
  Spot test_segment;
  Spot people;
  Spot currency;
  std::vector<Spot> events;          // the keys
  std::vector<YamlNode> conditions;  // of these, where the event has one
  std::map<std::string, Spot> fields;
  std::map<std::string, Spot> settings;
};

struct WarehouseSite {
  Spot whole;
  Spot name;
  Spot destination;
  std::vector<Spot> tables;
  std::map<std::string, Spot> settings;
};

struct QuerySite {
  Spot event;
  Spot attribute;
  Spot fields;
};

// The sites run parallel to the workspace's lists.
struct Draft {
  Workspace workspace;
  std::vector<NamedSite> definitions;
  std::vector<NamedSite> attributes;
  std::vector<NamedSite> segments;
  std::vector<QuerySite> query_sources;
  std::vector<DestinationSite> destinations;
  std::vector<SyncSite> syncs;
  std::vector<StreamSite> streams;
  std::vector<WarehouseSite> warehouses;
};

// files: those of one folder; they must outlive the draft.
Draft read_files(std::span<const SourceFile> files, Problems& problems);

// The key under which an event's name and its aliases are found: without regard to (ASCII) case and to blanks
// around it.
std::string event_key(std::string_view name);

}  // namespace tailrace::workspace
