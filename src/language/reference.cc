// The reference page. Its lists come from the tables the parser reads, its JSON examples from to_value, and a
// test parses every example on it.
#include <fmt/format.h>

#include "base/assert.h"
#include "language/language.h"
#include "language/words.h"
#include "model/json.h"

namespace tailrace::language {
namespace {

constexpr std::string_view kOpening = R"(# The segment language

<!-- Generated from src/language/reference.cc by `TAILRACE_UPDATE_GOLDEN=1 build/language_test`. -->

One expression says who is in a segment, what a definition means, how an attribute is computed, and what a
filter lets through. Below, `t` is the instant asked for, and times are whole milliseconds in UTC.

## By example

Viewed twice in a day, and did not buy:

```tailrace
performed "Product Viewed" at least 2 times within 24h and not performed "Order Placed" within 24h
```

An abandoned cart: the last cart is 2 to 6 hours old, and nothing was bought since:

```tailrace
last("Cart Started") between 2h and 6h ago and not performed "Order Placed" since last "Cart Started"
```

Time to buy again: the last order with a cleanser is 25 to 40 days old:

```tailrace
last("Order Placed" where any products (category = "cleanser")) between 25d and 40d ago
```

Winback, with a definition (`lapsed`) and computed attributes (`orders`, `aov`):

```tailrace
lapsed and orders >= 2 and aov >= 80
```

The best tenth, of those who spent anything:

```tailrace
top 10% by ltv where ltv > 0
```

## Writing

- Words of the language may be written in any case: `AND`, `Performed`. Names are exact, save event names, which
  follow the taxonomy's aliases.
- Text stands in double quotes; inside, `\"`, `\\`, `\n`, `\t` and `\u0001` are escapes. Numbers are decimals, and up
  to 18 digits are exact. `true` and `false` are themselves. A time is a text: `"2026-01-31"`,
  `"2026-01-31T10:00:00Z"`.
- A bare word is a definition if there is one of that name, else a computed attribute, else a trait. A dot reaches
  into objects: `address.city`. Inside `where` a bare word is a property of the event.
- A name that is not a plain word, or is a word of the language, stands in backticks: `` `plan type` ``.
- `#` begins a comment, to the end of the line.
- The canonical form, as `check` and the console show it, has one spacing and only the parentheses it needs.

From tight to loose: `* /`, `+ -`, comparisons with `in` and `exists`, `not`, `and`, `or`, `if`.

```tailrace
not country = "US" and age >= 18 or consent.ads   # ((not (country = "US")) and age >= 18) or consent.ads
```
)";

constexpr std::string_view kAfterLimits = R"(
## Values and comparisons

| form | meaning |
|---|---|
| `a = b`, `!=`, `<`, `<=`, `>`, `>=` | false when either side is missing |
| `a in ("x", "y")`, `a not in (...)` | equal to one of them; `not in` is `not (a in ...)` |
| `a exists`, `a is missing` | present or not; an explicit null counts as missing |
| `a + b`, `-`, `*`, `/` | numbers; missing when a side is missing; division by zero is missing |
| `if C then A else B` | A where C holds, else B; without `else`, missing |
| `consent.ads` | consent to that purpose; what was never said follows the workspace |
| `not C` | flips what it is given |

Nothing is converted between texts and numbers; a text beside a time is read as a time. A comparison with a list
holds when it holds for one of its elements.

`country != "US"` is false for a person without a country, and `not country = "US"` is true: `check` warns until the
text says which is meant.

```tailrace
country exists and country != "US"

if aov >= 100 then "high" else if aov >= 50 then "middle" else "low"
```

## Events

`performed "X"` asks for at least one event of that name. `where` narrows by properties, a number of times counts, and a
window bounds the time.

| times | meaning |
|---|---|
)";

constexpr std::string_view kAfterTimes = R"(| `once`, `twice` | exactly 1, exactly 2 |

A `where` without parentheses takes all that can be meant of the event, `and` and `or` included, and ends where a form
about the person begins. To end it earlier, use parentheses:

```tailrace
performed "Order Placed" where revenue > 50 and currency = "GBP" within 30d

(performed "Order Placed" where revenue > 50) and country = "GB"
```

`any`, `all` and `none` ask about the elements of a list; one element must satisfy the whole condition. `it` is the
element itself.

```tailrace
performed "Order Placed" where any products (category = "cleanser" and price > 20)

performed "Order Placed" where none coupons (it = "WELCOME")
```

### One after the other

`followed by "Y" within T`: for some X at time x in the window there is a Y after it in [x, x + T]; true from that Y
on. `not followed by "Y" within T`: for some X in the window, T has passed (t >= x + T) and no Y after it lies in [x, x
+ T]. It says nothing of a Y later than that. Each further step counts from the one before it, and `not followed by`
comes last. Because the wait must fit into the window, `check` refuses a window that is not longer than the wait.

```tailrace
performed "Cart Started" within 6h not followed by "Order Placed" within 2h

performed "Product Viewed" followed by "Cart Started" within 1h followed by "Order Placed" where revenue > 20
```

### Aggregates

| form | meaning |
|---|---|
)";

constexpr std::string_view kAfterAggregates = R"(
Where the property goes through lists, `sum`, `avg`, `min`, `max` and `distinct` are of all their elements, and `first`
and `last` are the list of them, of which a comparison needs one.

A `where` and a window stand inside the parentheses, after the property; `sum`, `avg`, `min`, `max` and `distinct` need
a property, `count` takes none.

```tailrace
sum("Order Placed".revenue within 90d) - sum("Order Refunded".revenue within 90d) > 100

last("Order Placed".shipping.city where revenue > 20) = "Leeds"
```

A time compares with times, and takes a window right after it:

```tailrace
first("Order Placed") >= "2026-01-01" and last("Order Placed") within 30d
```

## Windows

A window stands after `performed`, `entered` or a time, and inside an aggregate. Without one, every event up to t
counts; an event dated in the future counts from its own time on.

| window | an event at time e counts when |
|---|---|
| `within D` | t - D < e <= t: from e on, and no longer at e + D |
| `between A and B ago` (A < B) | t - B < e <= t - A |
| `since "2026-01-01"` | from that instant on, e <= t |
| `before "2026-01-01"` | before that instant, e <= t |
| `since last "X"`, `since first "X"` | after the person's last (first) X up to t; `where` narrows X |
| `since entered segment "S"` | after the last entry into S |
| `since entered sync "Y"` | after the last entry into Y |
| `ever` | e <= t |
)";

constexpr std::string_view kAfterWindows = R"(
Without an X (an entry), `since` matches nothing; with `if any` behind it, everything up to t. An event of another name
in the very millisecond of X counts as after it; of the same name, message ids decide.

`and` joins windows: both must hold.

```tailrace
performed "Product Viewed" at least 2 times within 7d and since last "Order Placed" if any
```

A duration is a fixed length: `250ms`, `90s`, `30m`, `2h`, `7d` (168 hours), `2w`. Calendar words follow the
workspace's time zone and its daylight saving; weeks begin on Monday.

## Segments and syncs

| form | meaning |
|---|---|
| `in segment "S"` | a member at t |
| `was in segment "S" at "2026-01-01"` | a member at that instant |
| `entered segment "S" within 7d` | the timeline of S, by its present definition, has an entry in the window |
| `entered sync "Y" within 7d` | the first addition acknowledged by Y's destination lies in the window; people held out never entered |

```tailrace
entered sync "Winback" within 7d and not performed "Product Viewed" at least 2 times since entered sync "Winback"

in segment "Repeat buyers" and was in segment "VIP" at "2026-01-01"
```

A segment cannot refer to itself, directly or through others.

The past is what it is by all that is known now: an event told late is an entry at its own time, and merged people
always were one. Where S uses a rank, it moves others in the past as well. Live segments take that into account at
once where at most 256 ranked values have changed since the event's time; else a second later, or 50 microseconds per
change since (a million: 50 seconds). Questions about the past (`members --at`, `transitions`) always have all of it.

## Ranks

| form | meaning |
|---|---|
| `top 10% by V` | among the first ceil(10% x count) of the people ranked by V, highest first |
| `bottom 10% by V` | the same from the lowest |
| `rank <= 100 by V`, `bottom rank <= 100 by V` | among the first 100 |

Ranked are the people with V present, for whom the `where` behind it holds, and who are `among segment "S"` if that is
said. Ties are broken by the order in which people came to be known. The `where` takes all that follows, `and` and `or`
included, as far as `among`. `check` warns of a share by a value that everybody has, such as a sum, which is 0 for most.

```tailrace
top 5% by sum("Order Placed".revenue within 365d) where orders > 0 among segment "Repeat buyers"

rank <= 100 by ltv and consent.ads
```

## JSON form

The API and the console speak the same language in JSON. Every form is an object whose one member names it; numbers,
texts, `true` and `false` stand for themselves, a time is `{"time": "2026-01-01"}`. What has no form as text is refused.

| text | JSON |
|---|---|
)";

constexpr std::string_view kJsonExamples[] = {
    R"(performed "Product Viewed" at least 2 times within 24h)",
    R"(performed "Order Placed" where revenue > 50 within 7d and since last "Order Refunded" if any)",
    R"(performed "Cart Started" within 6h not followed by "Order Placed" within 2h)",
    R"(performed "Order Placed" where any products (price > 20 and category = "cleanser"))",
    R"(performed "Order Placed" where none coupons (it = "WELCOME"))",
    R"(count("Order Placed" this month) > 1)",
    R"(sum("Order Placed".revenue) - sum("Order Refunded".revenue) >= 100)",
    R"(last("Cart Started") between 2h and 6h ago)",
    R"(first("Order Placed" since "2026-01-01" and before "2026-02-01") exists)",
    R"(performed "Product Viewed" since entered sync "Winback")",
    R"(lapsed and country in ("US", "CA") or not consent.ads)",
    R"(if aov >= 100 then "high" else "low")",
    R"(in segment "Repeat buyers")",
    R"(was in segment "VIP" at "2026-01-01")",
    R"(entered segment "VIP" within 7d)",
    R"(top 10% by ltv where ltv > 0 among segment "Repeat buyers")",
    R"(bottom rank <= 100 by ltv)",
};

std::string cell(std::string_view text) { return fmt::format("`{}`", text); }

std::string times_rows() {
  std::string rows;
  for (const auto& entry : kComparisons) {
    if (!entry.times.empty())
      rows += fmt::format("| `{} 2 times` | the count is {} 2 |\n", entry.times, entry.symbol);
  }
  return rows;
}

std::string aggregate_rows() {
  std::string rows;
  for (const auto& entry : kAggregates) {
    const bool counts = entry.op == Aggregate::Op::count;
    const std::string form = is_first_or_last(entry.op)
                                 ? fmt::format("`{0}(\"X\")`, `{0}(\"X\".p)`", entry.word)
                                 : fmt::format("`{}(\"X\"{})`", entry.word, counts ? "" : ".p");
    rows += fmt::format("| {} | {} |\n", form, entry.meaning);
  }
  return rows;
}

std::string calendar_row() {
  std::string words;
  for (const auto& entry : kCalendarWords)
    words += fmt::format("{}`{}`", words.empty() ? "" : ", ", entry.text);
  return fmt::format("| {} | e lies in that span around t (or the one before it), e <= t |\n", words);
}

std::string json_rows() {
  std::string rows;
  for (const std::string_view example : kJsonExamples) {
    const auto tree = parse(example);
    TR_ASSERT(tree.has_value());
    rows += fmt::format("| {} | {} |\n", cell(print(**tree)), cell(to_json(to_value(**tree))));
  }
  return rows;
}

}  // namespace

std::string reference_markdown() {
  std::string page(kOpening);
  page += fmt::format("\nAn expression nests at most {} deep, and holds at most {} arithmetic operations.\n",
                      kNestingMax, kArithmeticMax);
  page += kAfterLimits;
  page += times_rows();
  page += kAfterTimes;
  page += aggregate_rows();
  page += kAfterAggregates;
  page += calendar_row();
  page += kAfterWindows;
  page += json_rows();
  page += "\nA bare word is `attribute` until it is checked, and `definition` after, if it is one.\n";
  return page;
}

}  // namespace tailrace::language
