#include "support/simpler_expr.h"

#include <memory>
#include <utility>

namespace tailrace::testing {
namespace {

using namespace language;

class Simplifier {
 public:
  explicit Simplifier(const Expr& expr) : expr_(expr) {}

  std::vector<ExprPtr> all() {
    std::visit([this](const auto& node) { visit(node); }, expr_.node);
    return std::move(found_);
  }

 private:
  template <class T>
  void add(T node) {
    found_.push_back(std::make_shared<const Expr>(Expr{Node(std::move(node)), Span{}, expr_.type}));
  }
  void add_child(const ExprPtr& child) {
    if (child) found_.push_back(child);
  }
  // The node with something simpler in the place of one child.
  template <class T>
  void inside(const T& node, ExprPtr T::* child) {
    if (!(node.*child)) return;
    for (ExprPtr& one : simpler(*(node.*child))) {
      T copy = node;
      copy.*child = std::move(one);
      add(std::move(copy));
    }
  }
  template <class T>
  void without(const T& node, ExprPtr T::* child) {
    if (!(node.*child)) return;
    T copy = node;
    copy.*child = nullptr;
    add(std::move(copy));
  }
  static std::vector<EventSelector> simpler_selectors(const EventSelector& selector) {
    std::vector<EventSelector> result;
    if (!selector.where) return result;
    result.push_back(selector);
    result.back().where = nullptr;
    for (ExprPtr& one : simpler(*selector.where)) {
      result.push_back(selector);
      result.back().where = std::move(one);
    }
    return result;
  }
  template <class T>
  void selector(const T& node) {
    for (EventSelector& one : simpler_selectors(node.selector)) {
      T copy = node;
      copy.selector = std::move(one);
      add(std::move(copy));
    }
  }
  template <class T>
  void window(const T& node) {
    for (std::size_t i = 0; i < node.window.size(); ++i) {
      T copy = node;
      copy.window.erase(copy.window.begin() + static_cast<std::ptrdiff_t>(i));
      add(std::move(copy));
    }
    for (std::size_t i = 0; i < node.window.size(); ++i) {
      const auto with = [&](auto change) {
        T copy = node;
        change(copy.window[i]);
        add(std::move(copy));
      };
      const Bound& bound = node.window[i];
      if (bound.if_any) with([](Bound& one) { one.if_any = false; });
      if (bound.kind == Bound::Kind::between_ago) {
        with([](Bound& one) {
          one.kind = Bound::Kind::within;
          one.near = {};
        });
      }
      for (EventSelector& selector : simpler_selectors(bound.selector))
        with([&](Bound& one) { one.selector = std::move(selector); });
    }
  }

  void visit(const Literal&) {}
  void visit(const Attribute&) {}
  void visit(const Property&) {}
  void visit(const Definition&) {}
  void visit(const Consent&) {}
  void visit(const InSegment&) {}
  void visit(const WasInSegment&) {}
  void visit(const Not& node) {
    add_child(node.operand);
    inside(node, &Not::operand);
  }
  void visit(const Logical& node) {
    for (const ExprPtr& operand : node.operands) add_child(operand);
    for (std::size_t i = 0; node.operands.size() > 2 && i < node.operands.size(); ++i) {
      Logical copy = node;
      copy.operands.erase(copy.operands.begin() + static_cast<std::ptrdiff_t>(i));
      add(std::move(copy));
    }
    for (std::size_t i = 0; i < node.operands.size(); ++i) {
      for (ExprPtr& one : simpler(*node.operands[i])) {
        Logical copy = node;
        copy.operands[i] = std::move(one);
        add(std::move(copy));
      }
    }
  }
  void visit(const Compare& node) {
    inside(node, &Compare::left);
    inside(node, &Compare::right);
  }
  void visit(const InList& node) {
    for (std::size_t i = 0; node.options.size() > 1 && i < node.options.size(); ++i) {
      InList copy = node;
      copy.options.erase(copy.options.begin() + static_cast<std::ptrdiff_t>(i));
      add(std::move(copy));
    }
    inside(node, &InList::value);
  }
  void visit(const Exists& node) { inside(node, &Exists::value); }
  void visit(const Arithmetic& node) {
    add_child(node.left);
    add_child(node.right);
    inside(node, &Arithmetic::left);
    inside(node, &Arithmetic::right);
  }
  void visit(const Conditional& node) {
    add_child(node.condition);
    add_child(node.then);
    add_child(node.otherwise);
    without(node, &Conditional::otherwise);
    inside(node, &Conditional::condition);
    inside(node, &Conditional::then);
    inside(node, &Conditional::otherwise);
  }
  void visit(const Quantified& node) { inside(node, &Quantified::condition); }
  void visit(const Performed& node) {
    if (!node.steps.empty()) {
      Performed plain = node;
      plain.steps.clear();
      add(std::move(plain));
    }
    if (node.op != Comparison::greater_equal || node.times != 1) {
      Performed plain = node;
      plain.op = Comparison::greater_equal;
      plain.times = 1;
      add(std::move(plain));
    }
    for (std::size_t i = 0; i < node.steps.size(); ++i) {
      Performed copy = node;
      copy.steps.erase(copy.steps.begin() + static_cast<std::ptrdiff_t>(i));
      add(std::move(copy));
      for (EventSelector& one : simpler_selectors(node.steps[i].selector)) {
        copy = node;
        copy.steps[i].selector = std::move(one);
        add(std::move(copy));
      }
    }
    window(node);
    selector(node);
  }
  void visit(const Aggregate& node) {
    window(node);
    selector(node);
  }
  void visit(const InWindow& node) {
    window(node);
    inside(node, &InWindow::value);
  }
  void visit(const Entered& node) { window(node); }
  void visit(const Rank& node) {
    without(node, &Rank::where);
    if (!node.among_segment.empty()) {
      Rank copy = node;
      copy.among_segment.clear();
      add(std::move(copy));
    }
    inside(node, &Rank::by);
    inside(node, &Rank::where);
  }

  const Expr& expr_;
  std::vector<ExprPtr> found_;
};

}  // namespace

std::vector<ExprPtr> simpler(const Expr& expr) { return Simplifier(expr).all(); }

}  // namespace tailrace::testing
