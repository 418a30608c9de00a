#include <fmt/format.h>

#include "base/assert.h"
#include "language/language.h"
#include "language/words.h"

namespace tailrace::language {
namespace {

// How tightly a form holds together; an operand that holds less than its place asks for is parenthesised.
enum class Hold : int { conditional, any_of, all_of, negation, comparison, sum, product, primary };

Hold hold_of(const Expr& expr) {
  if (as<Conditional>(expr)) return Hold::conditional;
  if (const auto* logical = as<Logical>(expr))
    return logical->kind == Logical::Kind::any_of ? Hold::any_of : Hold::all_of;
  if (as<Not>(expr)) return Hold::negation;
  if (const auto* arithmetic = as<Arithmetic>(expr)) {
    const bool additive = arithmetic->op == Arithmetic::Op::add || arithmetic->op == Arithmetic::Op::subtract;
    return additive ? Hold::sum : Hold::product;
  }
  const bool primary = as<Literal>(expr) || as<Attribute>(expr) || as<Property>(expr) ||
                       as<Definition>(expr) || as<Consent>(expr) || as<Aggregate>(expr) ||
                       as<InSegment>(expr) || as<WasInSegment>(expr) || as<Quantified>(expr);
  return primary ? Hold::primary : Hold::comparison;
}

// The form whose words stand last in the text of the expression.
const Expr& trailing(const Expr& expr) {
  if (const auto* negation = as<Not>(expr)) {
    const Hold hold = hold_of(*negation->operand);
    if (hold >= Hold::negation) return trailing(*negation->operand);
  }
  if (const auto* logical = as<Logical>(expr)) {
    // The same word is flattened, and only `and` inside `or` is written bare.
    const Expr& last = *logical->operands.back();
    if (hold_of(last) >= hold_of(expr)) return trailing(last);
  }
  return expr;
}

bool ends_in_where(const Window& window) {
  return !window.empty() && window.back().selector.where != nullptr && !window.back().if_any;
}

// The text ends within a `where`, which would take a following `and` or `or` for itself.
bool ends_in_where(const Expr& expr) {
  const Expr& last = trailing(expr);
  if (const auto* performed = as<Performed>(last)) {
    if (!performed->steps.empty())
      return performed->steps.back().selector.where != nullptr && !performed->steps.back().within;
    if (!performed->window.empty()) return ends_in_where(performed->window);
    const bool counted = performed->op != Comparison::greater_equal || performed->times != 1;
    return performed->selector.where != nullptr && !counted;
  }
  if (const auto* entered = as<Entered>(last)) return ends_in_where(entered->window);
  if (const auto* in_window = as<InWindow>(last)) return ends_in_where(in_window->window);
  if (const auto* rank = as<Rank>(last)) return rank->where != nullptr && rank->among_segment.empty();
  return false;
}

class Printer {
 public:
  std::string take() { return std::move(out_); }

  void expression(const Expr& expr, Hold least = Hold::conditional) {
    if (hold_of(expr) < least) return parenthesised(expr);
    std::visit([&](const auto& node) { write(node); }, expr.node);
  }

 private:
  void parenthesised(const Expr& expr) {
    out_ += '(';
    expression(expr);
    out_ += ')';
  }

  static Hold next(Hold hold) { return static_cast<Hold>(static_cast<int>(hold) + 1); }

  void write(const Literal& literal) {
    switch (literal.kind) {
      case Literal::Kind::boolean:
        out_ += literal.boolean ? "true" : "false";
        return;
      case Literal::Kind::number:
        out_ += literal.number.to_string();
        return;
      case Literal::Kind::string:
        out_ += quoted(literal.string);
        return;
      case Literal::Kind::time:
        out_ += quoted(written_time(literal.time));
        return;
    }
  }
  void write(const Attribute& attribute) { out_ += written_path(attribute.path); }
  void write(const Property& property) { out_ += property.path.empty() ? "it" : written_path(property.path); }
  void write(const Definition& definition) { out_ += written_path(definition.name); }
  void write(const Consent& consent) {
    // A purpose is one word, never a path.
    const bool path_like = is_plain_path(consent.purpose) && consent.purpose.find('.') != std::string::npos;
    out_ += "consent." + (path_like ? fmt::format("`{}`", consent.purpose) : written_path(consent.purpose));
  }

  void write(const Not& negation) {
    const Expr& operand = *negation.operand;
    if (const auto* exists = as<Exists>(operand)) {
      expression(*exists->value, Hold::sum);
      out_ += " is missing";
    } else if (const auto* in = as<InList>(operand)) {
      write_in(*in, " not in (");
    } else {
      out_ += "not ";
      expression(operand, Hold::negation);
    }
  }

  void write(const Logical& logical) {
    const bool any = logical.kind == Logical::Kind::any_of;
    std::vector<const Expr*> operands;
    flatten(logical, operands);
    for (const Expr* operand : operands) {
      if (operand != operands.front()) out_ += any ? " or " : " and ";
      if (operand != operands.back() && ends_in_where(*operand))
        parenthesised(*operand);
      else
        expression(*operand, any ? Hold::all_of : Hold::negation);
    }
  }
  static void flatten(const Logical& logical, std::vector<const Expr*>& operands) {
    for (const ExprPtr& operand : logical.operands) {
      const auto* same = as<Logical>(*operand);
      if (same != nullptr && same->kind == logical.kind)
        flatten(*same, operands);
      else
        operands.push_back(operand.get());
    }
  }

  void write(const Compare& compare) {
    expression(*compare.left, Hold::sum);
    out_ += fmt::format(" {} ", symbol_of(compare.op));
    expression(*compare.right, Hold::sum);
  }

  void write(const InList& in) { write_in(in, " in ("); }
  void write_in(const InList& in, std::string_view word) {
    expression(*in.value, Hold::sum);
    out_ += word;
    for (std::size_t i = 0; i < in.options.size(); ++i) {
      if (i > 0) out_ += ", ";
      write(in.options[i]);
    }
    out_ += ')';
  }

  void write(const Exists& exists) {
    expression(*exists.value, Hold::sum);
    out_ += " exists";
  }

  void write(const Arithmetic& arithmetic) {
    const bool additive = arithmetic.op == Arithmetic::Op::add || arithmetic.op == Arithmetic::Op::subtract;
    const Hold own = additive ? Hold::sum : Hold::product;
    expression(*arithmetic.left, own);
    out_ += fmt::format(" {} ", symbol_of(arithmetic.op));
    expression(*arithmetic.right, next(own));
  }

  void write(const Conditional& conditional) {
    out_ += "if ";
    expression(*conditional.condition, Hold::any_of);
    out_ += " then ";
    expression(*conditional.then, Hold::any_of);
    if (conditional.otherwise == nullptr) return;
    out_ += " else ";
    expression(*conditional.otherwise);
  }

  void write(const Quantified& quantified) {
    out_ += fmt::format("{} {} ", word_of(quantified.kind), written_path(quantified.path));
    parenthesised(*quantified.condition);
  }

  // `where` takes all it can, so more than one condition is written in parentheses: the canonical form shows
  // how it was read.
  void write_where(const ExprPtr& where) {
    if (where == nullptr) return;
    out_ += " where ";
    const bool wrapped =
        hold_of(*where) < Hold::negation || ends_in_where(*where) || as<Rank>(trailing(*where));
    if (wrapped)
      parenthesised(*where);
    else
      expression(*where);
  }

  void write_selector(const EventSelector& selector) {
    out_ += quoted(selector.event);
    write_where(selector.where);
  }

  void write(const Performed& performed) {
    out_ += "performed ";
    write_selector(performed.selector);
    const ComparisonWord& word = word_of(performed.op);
    TR_ASSERT(!word.times.empty());
    if (performed.op != Comparison::greater_equal || performed.times != 1)
      out_ += fmt::format(" {} {} times", word.times, performed.times);
    write_window(performed.window);
    for (const SequenceStep& step : performed.steps) {
      out_ += step.negated ? " not followed by " : " followed by ";
      write_selector(step.selector);
      if (step.within) out_ += " within " + written_duration(*step.within);
    }
  }

  void write(const Aggregate& aggregate) {
    out_ += fmt::format("{}({}", word_of(aggregate.op), quoted(aggregate.selector.event));
    if (!aggregate.property.empty()) out_ += "." + written_path(aggregate.property);
    write_where(aggregate.selector.where);
    write_window(aggregate.window);
    out_ += ')';
  }

  void write(const InWindow& in_window) {
    const Expr& value = *in_window.value;
    const auto* aggregate = as<Aggregate>(value);
    const bool bare = as<Attribute>(value) || as<Definition>(value) ||
                      (aggregate != nullptr && is_first_or_last(aggregate->op));
    if (bare)
      expression(value);
    else
      parenthesised(value);
    if (in_window.window.empty()) out_ += " ever";
    write_window(in_window.window);
  }

  void write(const InSegment& in) { out_ += "in segment " + quoted(in.segment); }
  void write(const WasInSegment& was) {
    out_ += fmt::format("was in segment {} at {}", quoted(was.segment), quoted(written_time(was.at)));
  }
  void write(const Entered& entered) {
    out_ += entered.of == Entered::Of::segment ? "entered segment " : "entered sync ";
    out_ += quoted(entered.name);
    write_window(entered.window);
  }

  void write(const Rank& rank) {
    const std::string amount = rank.amount.to_string();
    switch (rank.kind) {
      case Rank::Kind::top_percent:
        out_ += fmt::format("top {}% by ", amount);
        break;
      case Rank::Kind::bottom_percent:
        out_ += fmt::format("bottom {}% by ", amount);
        break;
      case Rank::Kind::rank_at_most:
        out_ += fmt::format("rank <= {} by ", amount);
        break;
      case Rank::Kind::bottom_rank_at_most:
        out_ += fmt::format("bottom rank <= {} by ", amount);
        break;
    }
    expression(*rank.by, Hold::sum);
    write_where(rank.where);
    if (!rank.among_segment.empty()) out_ += " among segment " + quoted(rank.among_segment);
  }

  void write_window(const Window& window) {
    for (std::size_t i = 0; i < window.size(); ++i) {
      out_ += i == 0 ? " " : " and ";
      write_bound(window[i]);
    }
  }

  void write_bound(const Bound& bound) {
    switch (bound.kind) {
      case Bound::Kind::within:
        out_ += "within " + written_duration(bound.far);
        break;
      case Bound::Kind::between_ago:
        out_ +=
            fmt::format("between {} and {} ago", written_duration(bound.near), written_duration(bound.far));
        break;
      case Bound::Kind::since_time:
        out_ += "since " + quoted(written_time(bound.instant));
        break;
      case Bound::Kind::before_time:
        out_ += "before " + quoted(written_time(bound.instant));
        break;
      case Bound::Kind::calendar:
        out_ += word_of(bound.word);
        break;
      case Bound::Kind::since_last:
      case Bound::Kind::since_first:
        out_ += bound.kind == Bound::Kind::since_last ? "since last " : "since first ";
        write_selector(bound.selector);
        break;
      case Bound::Kind::since_entered_segment:
        out_ += "since entered segment " + quoted(bound.name);
        break;
      case Bound::Kind::since_entered_sync:
        out_ += "since entered sync " + quoted(bound.name);
        break;
    }
    if (bound.if_any) out_ += " if any";
  }

  std::string out_;
};

}  // namespace

std::string print(const Expr& expr) {
  Printer printer;
  printer.expression(expr);
  return printer.take();
}

}  // namespace tailrace::language
