#include "segments/plan_view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/assert.h"
#include "language/language.h"

namespace tailrace::segments {
namespace {

namespace ast = language;
using history::History;
using history::StreamId;
using Form = PartView::Form;

void add_once(std::vector<std::string>& values, const std::string& value) {
  if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
}

// Calls back for every event selector of a window, and for every segment and sync whose entries it asks for.
template <class OnSelector, class OnSegment, class OnSync>
void for_each_bound(const ast::Window& window, OnSelector on_selector, OnSegment on_segment, OnSync on_sync) {
  using Kind = ast::Bound::Kind;
  for (const ast::Bound& bound : window) {
    if (bound.kind == Kind::since_last || bound.kind == Kind::since_first) on_selector(bound.selector);
    if (bound.kind == Kind::since_entered_segment) on_segment(bound.name);
    if (bound.kind == Kind::since_entered_sync) on_sync(bound.name);
  }
}

class Viewer {
 public:
  Viewer(const History& history, const History::Mark& before, const References& references)
      : history_(history), before_(before), references_(references) {
    for (std::uint32_t event = 0; event < history.event_count(); ++event)
      view_.events += history.at(history.base(history::EventId(event))).row_count();
  }

  PlanView take(const ast::ExprPtr& expr) {
    view_.root = part(expr).view;
    return std::move(view_);
  }

 private:
  struct Part {
    PartView view;
    std::set<std::size_t> reads;  // streams, parts included
  };

  Part part(const ast::ExprPtr& expr) {
    Part made;
    made.view.text = language::print(*expr);
    fill(made, *expr);
    made.view.events_share = share_of(made.reads);
    return made;
  }
  Part named(Form form, std::string text, const ast::ExprPtr& expr) {
    Part made;
    made.view.form = form;
    made.view.text = std::move(text);
    if (expr != nullptr) attach(made, expr);
    made.view.events_share = share_of(made.reads);
    return made;
  }
  void attach(Part& to, Part inner) {
    to.view.rows_read += inner.view.rows_read;
    to.reads.merge(inner.reads);
    to.view.parts.push_back(std::move(inner.view));
  }
  void attach(Part& to, const ast::ExprPtr& expr) { attach(to, part(expr)); }

  // Forms with parts of their own; all others are read as a whole.
  void fill(Part& made, const ast::Expr& expr) {
    if (const auto* logical = ast::as<ast::Logical>(expr)) {
      made.view.form = logical->kind == ast::Logical::Kind::all_of ? Form::all_of : Form::any_of;
      for (const auto& operand : logical->operands) attach(made, operand);
    } else if (const auto* negation = ast::as<ast::Not>(expr)) {
      made.view.form = Form::negation;
      attach(made, negation->operand);
    } else if (const auto* definition = ast::as<ast::Definition>(expr)) {
      made.view.form = Form::definition;
      attach(made, references_.definition(definition->name));
    } else if (const auto* attribute = ast::as<ast::Attribute>(expr); attribute && attribute->computed) {
      made.view.form = Form::attribute;
      attach(made, references_.attribute(attribute->path));
    } else if (const auto* segment = ast::as<ast::InSegment>(expr)) {
      made.view.form = Form::segment;
      attach(made, references_.segment(segment->segment));
    } else if (const auto* rank = ast::as<ast::Rank>(expr)) {
      made.view.form = Form::rank;
      attach(made, rank->by);
      if (rank->where) attach(made, rank->where);
      if (!rank->among_segment.empty()) attach(made, in_segment(rank->among_segment));
    } else {
      read(made, expr);
    }
  }

  Part in_segment(const std::string& name) {
    const ast::Expr expr{.node = ast::InSegment{name}, .span = {}, .type = ast::Type::boolean};
    return named(Form::segment, language::print(expr), references_.segment(name));
  }
  // To know a person's entries their whole past is followed.
  void read_past(Part& made, const std::string& name) {
    Part segment = in_segment(name);
    double changes = 1;
    for (const std::size_t stream : segment.reads) changes += usual_rows(stream);
    made.view.rows_read += segment.view.rows_read * (changes - 1);
    attach(made, std::move(segment));
  }

  void read(Part& made, const ast::ExprPtr& expr) {
    if (expr == nullptr) return;
    const auto* attribute = ast::as<ast::Attribute>(*expr);
    const bool own = (attribute != nullptr && attribute->computed) || ast::as<ast::Definition>(*expr) ||
                     ast::as<ast::InSegment>(*expr) || ast::as<ast::Rank>(*expr);
    if (own) {
      attach(made, expr);
    } else {
      read(made, *expr);
    }
  }
  void read(Part& made, const ast::Expr& expr) {
    std::visit([&](const auto& form) { read_form(made, form); }, expr.node);
  }

  // What has parts of its own comes here only within a value: as an operand, an argument.
  void read_form(Part&, const ast::Literal&) {}
  void read_form(Part&, const ast::Property&) {}
  void read_form(Part&, const ast::Quantified&) {}
  void read_form(Part& made, const ast::Attribute& form) {
    add_once(made.view.traits, form.path);
    made.view.rows_read += 1;
  }
  void read_form(Part&, const ast::Definition&) {}
  void read_form(Part&, const ast::InSegment&) {}
  void read_form(Part&, const ast::Rank&) {}
  void read_form(Part& made, const ast::Consent& form) {
    add_once(made.view.purposes, form.purpose);
    made.view.rows_read += 1;
  }
  void read_form(Part& made, const ast::Not& form) { read(made, form.operand); }
  void read_form(Part& made, const ast::Logical& form) {
    for (const auto& operand : form.operands) read(made, operand);
  }
  void read_form(Part& made, const ast::Compare& form) {
    read(made, form.left);
    read(made, form.right);
  }
  void read_form(Part& made, const ast::InList& form) { read(made, form.value); }
  void read_form(Part& made, const ast::Exists& form) { read(made, form.value); }
  void read_form(Part& made, const ast::Arithmetic& form) {
    read(made, form.left);
    read(made, form.right);
  }
  void read_form(Part& made, const ast::Conditional& form) {
    read(made, form.condition);
    read(made, form.then);
    read(made, form.otherwise);
  }
  void read_form(Part& made, const ast::Performed& form) {
    const std::size_t stream = use(made, form.selector, "");
    read_window(made, form.window);
    if (!form.steps.empty()) {
      // Each event inside is tried, and beside each those of the next step.
      double tried = usual_rows(stream);
      made.view.rows_read += tried;
      for (const ast::SequenceStep& step : form.steps) {
        tried *= std::max(1.0, usual_rows(use(made, step.selector, "")));
        made.view.rows_read += tried;
      }
      return;
    }
    const bool recent = form.op == ast::Comparison::greater_equal &&
                        std::all_of(form.window.begin(), form.window.end(), [](const ast::Bound& bound) {
                          return bound.kind == ast::Bound::Kind::within;
                        });
    made.view.rows_read += recent ? std::min(1.0, usual_rows(stream)) : searched_rows(stream);
  }
  void read_form(Part& made, const ast::Aggregate& form) {
    const std::size_t stream = use(made, form.selector, form.property);
    read_window(made, form.window);
    using Op = ast::Aggregate::Op;
    const bool by_place = form.op == Op::count || form.op == Op::first || form.op == Op::last ||
                          ((form.op == Op::min || form.op == Op::max) && form.property.empty());
    const bool kept_sum = (form.op == Op::sum || form.op == Op::avg) && form.window.empty();
    if (kept_sum) {
      made.view.rows_read += std::min(1.0, usual_rows(stream));
    } else {
      made.view.rows_read += by_place ? searched_rows(stream) : usual_rows(stream);
    }
  }
  void read_form(Part& made, const ast::InWindow& form) {
    read(made, form.value);
    read_window(made, form.window);
  }
  void read_form(Part& made, const ast::WasInSegment& form) { attach(made, in_segment(form.segment)); }
  void read_form(Part& made, const ast::Entered& form) {
    read_window(made, form.window);
    if (form.of == ast::Entered::Of::sync) {
      add_once(made.view.syncs, form.name);
      made.view.rows_read += 1;
    } else {
      read_past(made, form.name);
    }
  }
  void read_window(Part& made, const ast::Window& window) {
    for_each_bound(
        window,
        [&](const ast::EventSelector& selector) {
          made.view.rows_read += searched_rows(use(made, selector, ""));
        },
        [&](const std::string& segment) { read_past(made, segment); },
        [&](const std::string& sync) {
          add_once(made.view.syncs, sync);
          made.view.rows_read += 1;
        });
  }

  // The stream's place in the view.
  std::size_t use(Part& made, const ast::EventSelector& selector, const std::string& property) {
    const std::string where = selector.where ? language::print(*selector.where) : "";
    const auto [known, is_new] = places_.emplace(std::pair(selector.event, where), view_.streams.size());
    if (is_new) add_stream(selector.event, where);
    StreamView& stream = view_.streams[known->second];
    if (!property.empty()) {
      add_once(stream.properties, property);
      const StreamId id = ids_[known->second];
      const auto columns = history_.columns_of(id);
      const auto column = std::find(columns.begin(), columns.end(), property) - columns.begin();
      stream.kept &=
          id.value < before_.streams && static_cast<std::size_t>(column) < before_.columns[id.value];
    }
    const std::size_t place = known->second;
    auto& reads = made.view.streams;
    auto read = std::find_if(reads.begin(), reads.end(),
                             [&](const PartView::Read& known_read) { return known_read.stream == place; });
    if (read == reads.end()) read = reads.insert(read, {.stream = place, .properties = {}});
    if (!property.empty()) add_once(read->properties, property);
    made.reads.insert(place);
    return place;
  }
  void add_stream(const std::string& event, const std::string& where) {
    const auto id = history_.find_event(event);
    TR_ASSERT(id.has_value());
    const auto streams = history_.streams_of(*id);
    const auto found = std::find_if(streams.begin(), streams.end(),
                                    [&](StreamId stream) { return history_.where_of(stream) == where; });
    TR_ASSERT(found != streams.end());
    const history::Stream& stream = history_.at(*found);
    StreamView made{.event = event,
                    .where = where,
                    .properties = {},
                    .rows = stream.row_count(),
                    .people = 0,
                    .kept = found->value < before_.streams};
    for (std::uint32_t person = 0; person < history_.places().person_limit(); ++person)
      made.people += stream.slot(PersonId(person)) != nullptr ? 1u : 0u;
    view_.streams.push_back(std::move(made));
    ids_.push_back(*found);
  }

  double usual_rows(std::size_t place) const {
    const StreamView& stream = view_.streams[place];
    return stream.people == 0 ? 0 : static_cast<double>(stream.rows) / static_cast<double>(stream.people);
  }
  // Both ends of a window are searched for by halves.
  double searched_rows(std::size_t place) const { return 2 * std::log2(usual_rows(place) + 1); }

  double share_of(const std::set<std::size_t>& reads) const {
    std::map<std::string, std::uint64_t> touching;
    for (const std::size_t place : reads) touching[view_.streams[place].event] += view_.streams[place].rows;
    std::uint64_t sum = 0;
    // An event in two of them is one event.
    for (const auto& [event, rows] : touching)
      sum += std::min(rows, history_.at(history_.base(*history_.find_event(event))).row_count());
    return view_.events == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(view_.events);
  }

  const History& history_;
  const History::Mark& before_;
  const References& references_;
  PlanView view_;
  std::map<std::pair<std::string, std::string>, std::size_t> places_;
  std::vector<StreamId> ids_;  // by place
};

// All nodes of a plan, each once.
class Texts {
 public:
  explicit Texts(const References& references) : references_(references) {}
  std::set<std::string> take() { return std::move(texts_); }

  void walk(const ast::ExprPtr& expr) {
    if (expr == nullptr || !texts_.insert(language::print(*expr)).second) return;
    std::visit([&](const auto& form) { parts(form); }, expr->node);
  }

 private:
  void parts(const ast::Literal&) {}
  void parts(const ast::Property&) {}
  void parts(const ast::Quantified&) {}
  void parts(const ast::Consent&) {}
  void parts(const ast::Attribute& form) {
    if (form.computed) walk(references_.attribute(form.path));
  }
  void parts(const ast::Definition& form) { walk(references_.definition(form.name)); }
  void parts(const ast::Not& form) { walk(form.operand); }
  void parts(const ast::Logical& form) {
    for (const auto& operand : form.operands) walk(operand);
  }
  void parts(const ast::Compare& form) {
    walk(form.left);
    walk(form.right);
  }
  void parts(const ast::InList& form) { walk(form.value); }
  void parts(const ast::Exists& form) { walk(form.value); }
  void parts(const ast::Arithmetic& form) {
    walk(form.left);
    walk(form.right);
  }
  void parts(const ast::Conditional& form) {
    walk(form.condition);
    walk(form.then);
    walk(form.otherwise);
  }
  void parts(const ast::Performed& form) { window(form.window); }
  void parts(const ast::Aggregate& form) { window(form.window); }
  void parts(const ast::InWindow& form) {
    walk(form.value);
    window(form.window);
  }
  void parts(const ast::InSegment& form) { walk(references_.segment(form.segment)); }
  void parts(const ast::WasInSegment& form) { walk(references_.segment(form.segment)); }
  void parts(const ast::Entered& form) {
    if (form.of == ast::Entered::Of::segment) walk(references_.segment(form.name));
    window(form.window);
  }
  void parts(const ast::Rank& form) {
    walk(form.by);
    walk(form.where);
    if (!form.among_segment.empty()) walk(references_.segment(form.among_segment));
  }
  void window(const ast::Window& of) {
    for_each_bound(
        of, [](const ast::EventSelector&) {},
        [&](const std::string& segment) { walk(references_.segment(segment)); }, [](const std::string&) {});
  }

  const References& references_;
  std::set<std::string> texts_;
};

}  // namespace

PlanView view_plan(const History& history, const History::Mark& before, const References& references,
                   const ast::ExprPtr& expr) {
  return Viewer(history, before, references).take(expr);
}

std::set<std::string> node_texts(const References& references, const ast::ExprPtr& expr) {
  Texts texts(references);
  texts.walk(expr);
  return texts.take();
}

void note_shared(PartView& part, const std::vector<std::pair<std::string, std::set<std::string>>>& plans) {
  for (const auto& [name, texts] : plans) {
    if (texts.contains(part.text)) part.shared_with.push_back(name);
  }
  for (PartView& inner : part.parts) note_shared(inner, plans);
}

double nanoseconds_per_person(const World& world, const Condition& condition,
                              std::span<const PersonId> sample, Time t, const Stopwatch& stopwatch) {
  if (sample.empty()) return 0;
  std::array<std::int64_t, 5> rounds{};
  std::uint64_t inside = 0;
  for (std::int64_t& round : rounds) {
    const std::int64_t begin = stopwatch();
    for (const PersonId person : sample) inside += condition.truth(world, person, t).value ? 1u : 0u;
    round = stopwatch() - begin;
  }
  // Every round has the same answer; asking for it keeps the work from being left out.
  TR_ASSERT(inside % rounds.size() == 0);
  std::nth_element(rounds.begin(), rounds.begin() + rounds.size() / 2, rounds.end());
  return static_cast<double>(rounds[rounds.size() / 2]) / static_cast<double>(sample.size());
}

}  // namespace tailrace::segments
