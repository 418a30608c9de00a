#include "cli/plan_tree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/table.h"
#include "language/words.h"

namespace tailrace::cli {
namespace {

using segments::PartView;
using segments::PlanView;
using segments::StreamView;
using Form = PartView::Form;

std::string name_of(const StreamView& stream) {
  const std::string event = language::quoted(stream.event);
  return stream.where.empty() ? event : fmt::format("{} where {}", event, stream.where);
}

std::string form_of(Form form) {
  switch (form) {
    case Form::condition:
      return "condition";
    case Form::all_of:
      return "and";
    case Form::any_of:
      return "or";
    case Form::negation:
      return "not";
    case Form::definition:
      return "definition";
    case Form::attribute:
      return "attribute";
    case Form::segment:
      return "segment";
    case Form::rank:
      return "rank";
  }
  return "";
}

std::string title_of(const PartView& part) {
  const bool is_operator =
      part.form == Form::all_of || part.form == Form::any_of || part.form == Form::negation;
  return is_operator ? form_of(part.form) : part.text;
}

// One place behind the point below ten, none above.
std::string rough(double figure) {
  return figure < 9.95 ? fmt::format("{:.1f}", figure) : grouped(static_cast<std::uint64_t>(figure + 0.5));
}

std::string cost_of(const PartView& part) {
  std::string text = fmt::format("about {} rows a time, after {:.1f} % of events", rough(part.rows_read),
                                 part.events_share * 100);
  if (part.nanoseconds) text += fmt::format("; measured {} ns a person", rough(*part.nanoseconds));
  return text;
}

std::string read_text(const PlanView& plan, const PartView::Read& read) {
  const StreamView& stream = plan.streams[read.stream];
  std::string text = fmt::format("reads {}, {} row{} of {} {}", name_of(stream), grouped(stream.rows),
                                 stream.rows == 1 ? "" : "s", grouped(stream.people),
                                 stream.people == 1 ? "person" : "people");
  if (!read.properties.empty()) text += fmt::format(": {}", fmt::join(read.properties, ", "));
  return text;
}

// What a node reads, costs and shares, a line for each. Whoever shares the node above shares this one too,
// and is not named again.
std::vector<std::string> notes_of(const PlanView& plan, const PartView& part,
                                  const std::vector<std::string>& shared_above) {
  std::vector<std::string> notes;
  for (const PartView::Read& read : part.streams) notes.push_back(read_text(plan, read));
  const auto list = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty())
      notes.push_back(
          fmt::format("reads {}{} {}", what, names.size() == 1 ? "" : "s", fmt::join(names, ", ")));
  };
  list("trait", part.traits);
  list("consent purpose", part.purposes);
  list("sync", part.syncs);
  if (part.form == Form::rank) notes.push_back("keeps in order all who take part; asking is a look-up");
  // What only passes on what its parts cost need not say it again.
  if (part.parts.empty() || part.nanoseconds || part.form == Form::rank) notes.push_back(cost_of(part));
  if (!part.shared_with.empty() && part.shared_with != shared_above) {
    notes.push_back(fmt::format("one node with {} other segment{}: {}", part.shared_with.size(),
                                part.shared_with.size() == 1 ? "" : "s", fmt::join(part.shared_with, ", ")));
  }
  return notes;
}

void add_lines(const PlanView& plan, const PartView& part, const std::vector<std::string>& shared_above,
               const std::string& first, const std::string& rest, std::string& out) {
  out += first + title_of(part) + '\n';
  const std::string below = rest + (part.parts.empty() ? "    " : "│   ");
  for (const std::string& note : notes_of(plan, part, shared_above)) out += below + note + '\n';
  for (const PartView& inner : part.parts) {
    const bool last = &inner == &part.parts.back();
    add_lines(plan, inner, part.shared_with, rest + (last ? "└─ " : "├─ "), rest + (last ? "   " : "│  "),
              out);
  }
}

// To a thousandth.
Value fraction(double value) {
  return Value::of(Number::decimal(static_cast<std::int64_t>(value * 1000 + 0.5), 3));
}
Value names_value(const std::vector<std::string>& names) {
  Value list = Value::with(Value::Kind::list);
  for (const std::string& name : names) list.list.push_back(Value::of(name));
  return list;
}

Value stream_value(const StreamView& stream) {
  Value object = Value::with(Value::Kind::object);
  object.members.emplace_back("event", Value::of(stream.event));
  if (!stream.where.empty()) object.members.emplace_back("where", Value::of(stream.where));
  object.members.emplace_back("properties", names_value(stream.properties));
  object.members.emplace_back("rows", number(stream.rows));
  object.members.emplace_back("people", number(stream.people));
  object.members.emplace_back("kept", Value::of(stream.kept));
  return object;
}

Value part_value(const PlanView& plan, const PartView& part) {
  Value object = Value::with(Value::Kind::object);
  const auto names = [&](const char* name, const std::vector<std::string>& list) {
    if (!list.empty()) object.members.emplace_back(name, names_value(list));
  };
  object.members.emplace_back("form", Value::of(form_of(part.form)));
  object.members.emplace_back("condition", Value::of(part.text));
  if (!part.streams.empty()) {
    Value reads = Value::with(Value::Kind::list);
    for (const PartView::Read& read : part.streams) {
      Value& one = reads.list.emplace_back(Value::with(Value::Kind::object));
      one.members.emplace_back("stream", number(read.stream));
      one.members.emplace_back("properties", names_value(read.properties));
    }
    object.members.emplace_back("reads", std::move(reads));
  }
  names("traits", part.traits);
  names("purposes", part.purposes);
  names("syncs", part.syncs);
  names("shared_with", part.shared_with);
  object.members.emplace_back("events_percent", fraction(part.events_share * 100));
  object.members.emplace_back("rows_read", fraction(part.rows_read));
  if (part.nanoseconds) object.members.emplace_back("ns_per_person", fraction(*part.nanoseconds));
  if (part.parts.empty()) return object;
  Value parts = Value::with(Value::Kind::list);
  for (const PartView& inner : part.parts) parts.list.push_back(part_value(plan, inner));
  object.members.emplace_back("parts", std::move(parts));
  return object;
}

}  // namespace

std::string plan_text(const std::string& name, const PlanView& plan) {
  std::string out = fmt::format("{}{}\n{} events of {} people are stored; measured with {} of them\n\n",
                                name.empty() ? "" : name + ": ", plan.root.text, grouped(plan.events),
                                grouped(plan.people), grouped(plan.sample));
  add_lines(plan, plan.root, {}, "", "", out);
  if (plan.streams.empty()) return out;
  Table table({"stream", "columns", "rows", "people", "kept"});
  for (const StreamView& stream : plan.streams) {
    table.add(
        {Value::of(name_of(stream)),
         Value::of(stream.properties.empty() ? "-" : fmt::format("{}", fmt::join(stream.properties, ", "))),
         number(stream.rows), number(stream.people),
         Value::of(stream.kept ? "yes" : "no: filled for this question")});
  }
  return out + '\n' + table.print(Format::text);
}

Value plan_value(const std::string& name, const PlanView& plan) {
  Value object = Value::with(Value::Kind::object);
  if (!name.empty()) object.members.emplace_back("segment", Value::of(name));
  object.members.emplace_back("expression", Value::of(plan.root.text));
  object.members.emplace_back("events", number(plan.events));
  object.members.emplace_back("people", number(plan.people));
  object.members.emplace_back("sample", number(plan.sample));
  object.members.emplace_back("plan", part_value(plan, plan.root));
  Value streams = Value::with(Value::Kind::list);
  for (const StreamView& stream : plan.streams) streams.list.push_back(stream_value(stream));
  object.members.emplace_back("streams", std::move(streams));
  return object;
}

}  // namespace tailrace::cli
