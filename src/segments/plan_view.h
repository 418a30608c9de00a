// How an expression is computed, for people to read: the tree of its conditions, what each reads of the
// history and the profiles, how many rows that is, and what an evaluation costs.
//
// Definitions, computed attributes and segments that are referred to stand in the tree with what they mean.
// Equal conditions are one node in the compiled plan, whichever segments they stand in (see Compiler).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "segments/plan.h"

namespace tailrace::segments {

struct StreamView {
  std::string event;
  std::string where;                    // canonical; empty: every such event
  std::vector<std::string> properties;  // columns that the expression reads
  std::uint64_t rows = 0;
  std::uint64_t people = 0;  // who have rows
  bool kept = true;          // false: the stream or a column is not kept; applying would fill it from the log
};

struct PartView {
  enum class Form : unsigned char {
    condition,
    all_of,
    any_of,
    negation,
    definition,
    attribute,
    segment,
    rank
  };
  Form form = Form::condition;
  std::string text;  // canonical
  // What it reads itself; its parts read the rest.
  struct Read {
    std::size_t stream = 0;               // of PlanView::streams
    std::vector<std::string> properties;  // none: only times
  };
  std::vector<Read> streams;
  std::vector<std::string> traits, purposes, syncs;
  std::vector<std::string> shared_with;  // other segments in which this node is part of the plan
  // Of all stored events, those that make it be evaluated again for their person.
  double events_share = 0;
  // Rows looked at by an evaluation for somebody with as many rows as is usual, parts included; an estimate
  // from the form of the condition, which takes nothing for decided early.
  double rows_read = 0;
  std::optional<double> nanoseconds;  // measured, per person; of the whole and its uppermost parts
  std::vector<PartView> parts;
};

struct PlanView {
  PartView root;
  std::vector<StreamView> streams;
  std::uint64_t events = 0;  // stored
  std::uint64_t people = 0;
  std::uint64_t sample = 0;  // people it was measured with
};

// The tree, without what is shared and measured. The expression has been compiled with this history; what it
// did not hold at `before` is not kept.
PlanView view_plan(const history::History& history, const history::History::Mark& before,
                   const References& references, const language::ExprPtr& expr);

// The canonical texts of all nodes of a plan, what is referred to included.
std::set<std::string> node_texts(const References& references, const language::ExprPtr& expr);
// Notes at every part which of the named plans have it too.
void note_shared(PartView& part, const std::vector<std::pair<std::string, std::set<std::string>>>& plans);

// A clock that only its differences mean something, in nanoseconds.
using Stopwatch = std::function<std::int64_t()>;
// The median of some rounds over the sample, per person.
double nanoseconds_per_person(const World& world, const Condition& condition,
                              std::span<const PersonId> sample, Time t, const Stopwatch& stopwatch);

}  // namespace tailrace::segments
