// Rows of a pack: from what happened to Parquet files. Deterministic: the same facts give the same files, by
// name and by bytes.
//
//   auto writer = TRY(PackWriter::create({.directory = "DIR/pack", ...}, tables));
//   TRY(writer->event({...}));
//   Pack pack = TRY(writer->finish());       // files lie in the directory, the manifest beside them
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "destinations/warehouse_destination.h"
#include "model/delivery_fact.h"
#include "model/person.h"
#include "model/record.h"
#include "model/warehouse_table.h"
#include "workspace/workspace.h"

namespace tailrace::warehouse {

// An admitted event, with whose it is today.
struct EventFact {
  Position position;
  PersonId person;
  std::string_view event;  // canonical
  const RecordView* record = nullptr;
};

struct PersonFact {
  PersonId person;
  std::optional<PersonId> merged_into;
  bool deleted = false;           // then there is no profile
  PersonProfile profile;          // of who is there
  std::vector<Value> attributes;  // of workspace.attributes, in their order; empty: not known
};

struct MembershipFact {
  enum class Change : unsigned char { entered, left, present };
  std::uint64_t id = 0;
  std::string_view segment;
  PersonId person;
  Change change = Change::entered;
  Time at;
  Time caused_at;
};

struct HoldoutFact {
  std::string_view sync;
  PersonId person;
  bool held_out = false;
  Time eligible_at;
};

class PackWriter {
 public:
  struct Options {
    std::string directory;  // is made; what is in it from an attempt before goes first
    std::string workspace;
    std::string sync;
    std::uint64_t sequence = 1;
    Position begin;
    Position end;
    Time at;  // when the pack was cut: dates rows that have no time of their own
    std::uint64_t file_rows_max = 2'000'000;
  };
  // workspace: lent, as of the pack. Errors: io.
  static Result<std::unique_ptr<PackWriter>> create(Options options, std::vector<WarehouseTable> tables,
                                                    const workspace::Workspace& workspace);
  virtual ~PackWriter() = default;

  virtual Result<void> event(const EventFact& fact) = 0;    // in order of position
  virtual Result<void> person(const PersonFact& fact) = 0;  // each once
  virtual Result<void> membership(const MembershipFact& fact) = 0;
  virtual Result<void> holdout(const HoldoutFact& fact) = 0;
  virtual Result<void> delivery(const DeliveryFact& fact) = 0;
  // An applied workspace.
  virtual Result<void> definitions(Position position, Time at, const workspace::Workspace& applied) = 0;

  // Errors: io.
  virtual Result<destinations::Pack> finish() = 0;
};

// What `finish` gave, from the directory it left. Errors: not_found (it was not finished), corrupt (a file is
// not what was written: nothing waits for the disk, and a power cut may have taken what came last).
Result<destinations::Pack> read_pack(const std::string& directory);

// "lake_52082793_00000000000000000008_00000000000000000016": the sync's name as far as letters go, a digest
// of it, and its range of the log; where that is empty "_s7" too, its sequence.
std::string pack_id(const PackWriter::Options& options);

}  // namespace tailrace::warehouse
