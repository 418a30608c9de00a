// Filters are found by their constants exactly where matches() says they hold.
#include "segments/filter.h"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "history/history.h"
#include "language/language.h"
#include "model/json.h"
#include "segments/scalar.h"

namespace tailrace::segments {
namespace {

using namespace language;  // the generator speaks of little else

ExprPtr make(Node node, Type type = Type::any) {
  return std::make_shared<const Expr>(Expr{std::move(node), {}, type});
}

template <class T, std::size_t n>
const T& pick(Random& random, const T (&choices)[n]) {
  return choices[random.below(n)];
}

// Constants that meet: equal as numbers but written in another way, a time and a string that reads as it.
constexpr std::string_view kTexts[] = {"a", "b", "", "1", "true", "2026-03-01", "2026-03-01T00:00:00Z"};
constexpr std::string_view kNumbers[] = {
    "1", "1.0", "0", "-0.0", "2", "0.5", "1e2", "100", "0.50000000000000000000", "1e300"};
constexpr std::string_view kPaths[] = {"p", "q", "deep.p", "list", "list.p", "list.deep.p", "deep"};

Literal random_literal(Random& random) {
  Literal literal;
  switch (random.below(6)) {
    case 0:
      literal.kind = Literal::Kind::boolean;
      literal.boolean = random.below(2) == 0;
      break;
    case 1:
      literal.kind = Literal::Kind::time;
      literal.time = *parse_time("2026-03-01");
      break;
    case 2:
    case 3:
      literal.kind = Literal::Kind::number;
      literal.number = *Number::parse(pick(random, kNumbers));
      break;
    default:
      literal.kind = Literal::Kind::string;
      literal.string = pick(random, kTexts);
  }
  return literal;
}

ExprPtr random_property(Random& random) {
  constexpr Type kTypes[] = {Type::any, Type::any, Type::string, Type::number, Type::boolean, Type::time};
  return make(Property{random.below(8) == 0 ? "" : std::string(pick(random, kPaths))}, pick(random, kTypes));
}

ExprPtr random_where(Random& random, int depth) {
  if (depth > 0 && random.below(2) == 0) {
    switch (random.below(4)) {
      case 0:
        return make(Not{random_where(random, depth - 1)});
      case 1:
        return make(Quantified{static_cast<Quantified::Kind>(random.below(3)),
                               std::string(pick(random, kPaths)), random_where(random, depth - 1)});
      default: {
        Logical logical{random.below(2) == 0 ? Logical::Kind::all_of : Logical::Kind::any_of, {}};
        for (std::uint64_t i = 1 + random.below(3); i > 0; --i)
          logical.operands.push_back(random_where(random, depth - 1));
        return make(std::move(logical));
      }
    }
  }
  switch (random.below(8)) {
    case 0:
      return random_property(random);
    case 1:
      return make(Exists{random_property(random)});
    case 2: {
      InList in{random_property(random), {}};
      for (std::uint64_t i = 1 + random.below(3); i > 0; --i) in.options.push_back(random_literal(random));
      return make(std::move(in));
    }
    case 3:
      return make(Compare{Comparison::equal, make(random_literal(random)), random_property(random)});
    case 4:
      return make(Compare{static_cast<Comparison>(random.below(6)), random_property(random),
                          make(random_literal(random))});
    default:
      return make(Compare{Comparison::equal, random_property(random), make(random_literal(random))});
  }
}

Value random_value(Random& random, int depth) {
  switch (random.below(depth > 0 ? 10 : 7)) {
    case 0:
      return Value::of_null();
    case 1:
      return Value::of(random.below(2) == 0);
    case 2:
    case 3:
      return Value::of(*Number::parse(pick(random, kNumbers)));
    case 7: {
      Value list = Value::with(Value::Kind::list);
      for (std::uint64_t i = random.below(4); i > 0; --i)
        list.list.push_back(random_value(random, depth - 1));
      return list;
    }
    case 8:
    case 9: {
      Value object = Value::with(Value::Kind::object);
      // Now and then a member whose own name has a dot.
      constexpr std::string_view kNames[] = {"p", "q", "deep", "list", "deep.p"};
      for (std::uint64_t i = random.below(4); i > 0; --i)
        object.members.emplace_back(pick(random, kNames), random_value(random, depth - 1));
      return object;
    }
    default:
      return Value::of(std::string(pick(random, kTexts)));
  }
}

Value random_properties(Random& random) {
  Value properties = Value::with(Value::Kind::object);
  for (const std::string_view name : {"p", "q", "deep", "list"}) {
    if (random.below(4) > 0) properties.members.emplace_back(name, random_value(random, 3));
  }
  return properties;
}

class NoTies final : public history::MessageIds {
 public:
  std::string_view message_id(Position) override { return "m"; }
};

TEST(Filter, an_event_gets_into_the_same_streams_as_by_asking_every_filter) {
  Random random(1);
  std::uint64_t accepted = 0;
  for (int round = 0; round < 100; ++round) {
    history::History history;
    const auto event = history.event("Product Viewed");
    std::vector<ExprPtr> wheres;
    std::vector<history::StreamId> streams;
    std::set<std::string> texts;
    for (int i = 0; i < 40; ++i) {
      const ExprPtr where = random_where(random, 3);
      // The text alone does not tell of types, which a checker would have given equally to equal texts.
      const std::string text = print(*where) + std::to_string(i);
      wheres.push_back(where);
      streams.push_back(history.stream(event, text, filter_of(where)));
    }
    NoTies ids;
    for (std::uint64_t i = 0; i < 100; ++i) {
      const Value properties = random_properties(random);
      std::vector<history::StreamId> expected{history.base(event)};
      for (std::size_t at = 0; at < wheres.size(); ++at) {
        if (matches(*wheres[at], properties)) expected.push_back(streams[at]);
      }
      std::vector<history::StreamId> touched;
      history.insert(event, PersonId(1), Time{static_cast<std::int64_t>(i)}, Position(i), "m", properties,
                     ids, &touched);
      ASSERT_EQ(touched, expected) << to_json(properties);
      accepted += touched.size() - 1;
    }
  }
  EXPECT_GT(accepted, 100'000u);
}

TEST(Filter, what_it_needs_every_accepted_event_has) {
  Random random(2);
  int with_needs = 0;
  int sufficient = 0;
  for (int i = 0; i < 20'000; ++i) {
    const ExprPtr where = random_where(random, 3);
    const auto needs = needs_of(*where);
    if (!needs) continue;
    ++with_needs;
    sufficient += needs->suffice ? 1 : 0;
    for (int event = 0; event < 20; ++event) {
      const Value properties = random_properties(random);
      std::vector<const Value*> values{&properties};
      for (const std::string& step : needs->path) {
        std::vector<const Value*> below;
        for (const Value* value : values) value->find_all(step, below);
        values = below;
      }
      bool has = false;
      for (const Value* value : values) {
        for (const Value& wanted : needs->values) has = has || *value == wanted;
      }
      const bool accepted = matches(*where, properties);
      ASSERT_TRUE(has || !accepted) << print(*where) << " " << to_json(properties);
      ASSERT_TRUE(!has || accepted || !needs->suffice) << print(*where) << " " << to_json(properties);
    }
  }
  EXPECT_GT(with_needs, 3'000);
  EXPECT_GT(sufficient, 1'000);
}

// "path > path is values" where these suffice, "needs" where they do not; or "nothing".
std::string needs_of_text(const std::string& where) {
  const auto whole = parse(R"(performed "Product Viewed" where )" + where);
  if (!whole) return whole.error().message;
  const auto needs = needs_of(*as<Performed>(**whole)->selector.where);
  if (!needs) return "nothing";
  std::string text;
  for (const std::string& step : needs->path) text += (text.empty() ? "" : " > ") + step;
  text += needs->suffice ? " is" : " needs";
  for (const Value& value : needs->values) text += " " + to_json(value);
  return text;
}

TEST(Filter, needs_the_constants_of_equality) {
  EXPECT_EQ(needs_of_text(R"(category = "shoes")"), R"(category is "shoes")");
  EXPECT_EQ(needs_of_text(R"(size.eu in (41, 42))"), "size.eu is 41 42");
  EXPECT_EQ(needs_of_text(R"(brand = "a" or brand in ("b", "c"))"), R"(brand is "a" "b" "c")");
  EXPECT_EQ(needs_of_text(R"(any products (category = "shoes"))"), R"(products > category is "shoes")");
}

TEST(Filter, needs_of_a_conjunction_the_fewest_constants) {
  EXPECT_EQ(needs_of_text(R"(country in ("DE", "AT") and brand = "a" and price > 20)"), R"(brand needs "a")");
  EXPECT_EQ(needs_of_text(R"(any products (price > 20 and category = "shoes"))"),
            R"(products > category needs "shoes")");
}

TEST(Filter, needs_nothing_where_the_constants_do_not_decide) {
  EXPECT_EQ(needs_of_text(R"(category != "shoes")"), "nothing");
  EXPECT_EQ(needs_of_text(R"(not category = "shoes")"), "nothing");
  EXPECT_EQ(needs_of_text(R"(category = "shoes" or price > 20)"), "nothing");
  EXPECT_EQ(needs_of_text(R"(category = "shoes" or brand = "a")"), "nothing");
  EXPECT_EQ(needs_of_text(R"(all products (category = "shoes"))"), "nothing");
  EXPECT_EQ(needs_of_text(R"(category = brand)"), "nothing");
}

}  // namespace
}  // namespace tailrace::segments
