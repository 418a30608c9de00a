// Specifications as text: tests/spec/*.spec, one file per rule of docs/language.md. The text says nothing of
// who runs it: a SpecRunner is the brute-force judge (oracle_runner.h) or an engine.
//
// Grammar, one statement per line; `#` outside quotes begins a comment; a line that begins with a blank goes
// on with the one before it. NAME is a word or "quoted". TIME is ISO 8601.
//
//   time zone ZONE                        the workspace's; UTC where not said
//   unknown consent means yes|no          no where not said
//   alias NAME is NAME                    the first event name is an alias of the second
//   trait NAME is time|number|string|boolean      a declared type
//   sync NAME                             that there is one
//   definition NAME = EXPRESSION
//   attribute NAME = EXPRESSION           computed
//   segment NAME = EXPRESSION
//
//   at TIME [ACTION] => CHANGES           the clock reaches TIME, which never goes back; then what happened
//                                         is received at TIME
//   members SEGMENT at TIME => NAMES      time travel, with everything known by then
//   timeline SEGMENT from TIME to TIME => CHANGES, each with `at TIME`
//
// ACTION (what was received; WHEN is `at TIME`, the event time where it is not the time of receipt; MID is
// `as ID`, the message id, by default m1, m2, ... in the order of the file):
//
//   WHO performs EVENT [{JSON}] [WHEN] [MID]
//   WHO is {JSON} [WHEN] [MID]            identify with traits
//   WHO consents|refuses PURPOSE [WHEN] [MID]
//   WHO enters sync NAME [WHEN]           the delivery ledger's first acknowledged addition
//   ANONYMOUS becomes WHO                 identify, which joins the anonymous history to the person
//   WHO merges into WHO                   alias
//   WHO is deleted
//
// WHO that begins with `anon-` is an anonymous id, any other a user id. People are created as they first
// appear.
//
// CHANGES are `SEGMENT + WHO` and `SEGMENT - WHO`, with commas between, in the order (time, person, segment);
// a change before TIME, at the end of a window, says when: `viewers - ada at 2026-03-02T10:00:00.000Z`.
// People of the same instant are in order of creation, segments in the order of the file. A person is one
// across a `becomes` or a merge, under whatever name; one that was absorbed or deleted leaves its segments.
// An empty right side says that nothing changed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "language/ast.h"
#include "model/value.h"

namespace tailrace::testing {

struct SpecDefinition {
  enum class Kind : unsigned char { definition, attribute, segment };
  int line = 0;
  Kind kind = Kind::segment;
  std::string name;
  std::string text;  // of the expression
};

struct SpecAction {
  enum class Kind : unsigned char {
    none,  // only the clock moves
    performs,
    is,
    consents,
    refuses,
    enters_sync,
    becomes,
    merges,
    deleted,
  };
  Kind kind = Kind::none;
  std::string who;
  std::string name;        // the event, purpose, sync, or the other person
  Value payload;           // properties or traits, an object
  Time time;               // event time
  std::string message_id;  // unique in the file unless it says otherwise
};

struct SpecStatement {
  enum class Kind : unsigned char { step, members, timeline };
  int line = 0;
  Kind kind = Kind::step;
  Time at;              // step, members; the end of a timeline
  Time from;            // timeline
  SpecAction action;    // step
  std::string segment;  // members, timeline
  std::vector<std::string> expected;
};

// What the statements are about. Everything holds from the first step on.
struct SpecWorkspace {
  struct Alias {
    std::string alias;
    std::string event;
  };
  struct Trait {
    std::string name;
    language::Type type = language::Type::any;
  };
  std::string time_zone = "UTC";
  bool consent_unknown = false;
  std::vector<Alias> aliases;
  std::vector<Trait> traits;
  std::vector<std::string> syncs;
  std::vector<SpecDefinition> definitions;  // of all three kinds, in the order of the file
};

struct SpecFile {
  std::string name;
  SpecWorkspace workspace;
  std::vector<SpecStatement> statements;
};

// Error: invalid_argument, which names the file and the line.
Result<SpecFile> parse_spec(std::string name, std::string_view text);
Result<SpecFile> read_spec(const std::filesystem::path& path);

bool is_anonymous(std::string_view who);

// Runs one file. Each answer is a list of strings as they stand right of `=>`.
class SpecRunner {
 public:
  virtual ~SpecRunner() = default;
  // Called once, first. Error: an expression is not accepted; the message says which.
  virtual Result<void> begin(const SpecWorkspace& workspace) = 0;
  // Moves the clock to `statement.at` and applies the action. Every change since the step before.
  virtual std::vector<std::string> step(const SpecStatement& statement) = 0;
  virtual std::vector<std::string> members(const SpecStatement& statement) = 0;
  virtual std::vector<std::string> timeline(const SpecStatement& statement) = 0;
};

// What differs, each with file and line: empty when the file holds.
std::vector<std::string> run_spec(const SpecFile& file, SpecRunner& runner);

// One change as it is written right of `=>`. `at` only where it was not the time of the step.
std::string change_text(std::string_view segment, bool entered, std::string_view who,
                        std::optional<Time> at = {});

// The specifications of a folder, by name.
std::vector<std::filesystem::path> spec_files(const std::filesystem::path& folder);

// The canonical name of an event.
std::string canonical_event(const SpecWorkspace& workspace, std::string_view event);

}  // namespace tailrace::testing
