#include "workspace/audience.h"

namespace tailrace::workspace {
namespace {

using language::ExprPtr;

ExprPtr make(language::Node node, language::Type type = language::Type::boolean) {
  return std::make_shared<const language::Expr>(
      language::Expr{.node = std::move(node), .span = {}, .type = type});
}

ExprPtr joined(language::Logical::Kind kind, std::vector<ExprPtr> operands) {
  return operands.size() == 1 ? operands.front()
                              : make(language::Logical{.kind = kind, .operands = std::move(operands)});
}

ExprPtr entered_within(const std::string& segment, Millis length) {
  language::Bound bound;
  bound.kind = language::Bound::Kind::within;
  bound.far = length;
  return make(language::Entered{.of = language::Entered::Of::segment, .name = segment, .window = {bound}});
}

// "The instant lies at or before now": what a time within all that has been says.
ExprPtr has_come(Time instant) {
  language::Literal literal;
  literal.kind = language::Literal::Kind::time;
  literal.time = instant;
  return make(language::InWindow{.value = make(std::move(literal), language::Type::time), .window = {}});
}

// Without the expiry.
std::vector<ExprPtr> unexpired(const SyncConfig& sync) {
  std::vector<ExprPtr> all;
  const ExprPtr inside = make(language::InSegment{sync.segment});
  all.push_back(!sync.minimum_stay ? inside
                                   : joined(language::Logical::Kind::any_of,
                                            {inside, entered_within(sync.segment, *sync.minimum_stay)}));
  if (sync.mode == Mode::test) all.push_back(make(language::InSegment{sync.test_segment}));
  for (const std::string& excluded : sync.exclusions)
    all.push_back(make(language::Not{make(language::InSegment{excluded})}));
  if (!sync.consent_purpose.empty()) all.push_back(make(language::Consent{sync.consent_purpose}));
  return all;
}

}  // namespace

std::string audience_name(const SyncConfig& sync) {
  const auto named = sync.settings.find("audience_name");
  return named == sync.settings.end() ? sync.name : named->second;
}

ExprPtr audience_expression(const SyncConfig& sync, const Zone& zone) {
  if (sync.is_retired()) {
    const ExprPtr inside = make(language::InSegment{sync.segment});
    return joined(language::Logical::Kind::all_of, {inside, make(language::Not{inside})});
  }
  std::vector<ExprPtr> all = unexpired(sync);
  if (sync.effect == Effect::target) {
    if (sync.longest_stay) all.push_back(entered_within(sync.segment, *sync.longest_stay));
    if (const auto review = review_at(sync, zone)) all.push_back(make(language::Not{has_come(*review)}));
  }
  return joined(language::Logical::Kind::all_of, std::move(all));
}

ExprPtr expired_expression(const SyncConfig& sync, const Zone& zone) {
  if (sync.is_retired()) return nullptr;
  std::vector<ExprPtr> passed;
  if (sync.longest_stay)
    passed.push_back(make(language::Not{entered_within(sync.segment, *sync.longest_stay)}));
  if (const auto review = review_at(sync, zone)) passed.push_back(has_come(*review));
  if (passed.empty()) return nullptr;
  std::vector<ExprPtr> all = unexpired(sync);
  all.push_back(joined(language::Logical::Kind::any_of, std::move(passed)));
  return joined(language::Logical::Kind::all_of, std::move(all));
}

std::optional<Time> review_at(const SyncConfig& sync, const Zone& zone) {
  if (!sync.review_date) return std::nullopt;
  return zone.from_local(*sync.review_date);
}

}  // namespace tailrace::workspace
