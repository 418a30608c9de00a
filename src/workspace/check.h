// What cannot be seen part by part: references between parts, expressions, and settings against what
// destinations say of themselves.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "destinations/destination.h"
#include "workspace/read.h"

namespace tailrace::workspace {

// The destinations a workspace may use; load() hands in the registry.
using Catalogue = std::span<const destinations::Destination* const>;

void check_references(const Draft& draft, Catalogue catalogue, Problems& problems);

// Parses and checks the definitions, attributes and segments. Those without error get their checked tree and
// canonical text; the others no tree. report: called for each problem, with the list and the place in it.
enum class NamedList : unsigned char { definitions, attributes, segments };
using ReportExpression =
    std::function<void(NamedList list, std::size_t index, const language::Problem& problem)>;
void check_expressions(Workspace& workspace, const ReportExpression& report);
// The same, with the problems placed in the files.
void check_expressions(Draft& draft, Problems& problems);

// The same for the conditions of events in stream syncs, against what the taxonomy says of each event;
// events get their canonical names. report: called with the places of the stream and of the event in it;
// is_of_name: the problem is the event's name, not its condition.
using ReportCondition = std::function<void(std::size_t stream, std::size_t event,
                                           const language::Problem& problem, bool is_of_name)>;
void check_conditions(Workspace& workspace, const ReportCondition& report);
void check_conditions(Draft& draft, Problems& problems);

// load() without a disk and with destinations of the caller's choice.
Loaded load_files(std::span<const SourceFile> files, Catalogue catalogue, Time now = kForeverAgo);

}  // namespace tailrace::workspace
