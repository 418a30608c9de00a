#include "workspace/read_query.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/calendar.h"

namespace tailrace::workspace {
namespace {

using sources::Gone;
using sources::QuerySpec;
using sources::RowsAs;

class QueryReader {
 public:
  QueryReader(Fields& fields, Problems& problems) : fields_(fields), problems_(problems) {}

  QuerySpec read() {
    spec_.query = fields_.text("query", Need::required);
    spec_.rows =
        fields_.choice("rows", RowsAs::people,
                       {{"people", RowsAs::people}, {"events", RowsAs::events}, {"members", RowsAs::members}},
                       Need::required);
    if (const YamlNode* key = fields_.find("key", Need::required)) {
      for (const YamlNode& item : one_or_many(*key)) {
        if (auto column = scalar_text(item, "`key`", problems_)) spec_.key.push_back(std::move(*column));
      }
    }
    person();
    if (spec_.rows != RowsAs::events) key_is_a_person();
    switch (spec_.rows) {
      case RowsAs::people:
        columns("traits");
        spec_.gone = fields_.choice("gone", Gone::clear, {{"clear", Gone::clear}, {"keep", Gone::keep}});
        break;
      case RowsAs::events:
        columns("properties");
        event();
        spec_.time_column = fields_.text("time");
        break;
      case RowsAs::members:
        spec_.attribute = fields_.text("attribute", Need::required);
        break;
    }
    if (const std::string zone = fields_.text("time_zone"); !zone.empty()) {
      spec_.time_zone = zone;
      if (!Zone::named(zone)) {
        problems_.error(fields_.spot_of("time_zone"), fmt::format("{} is no time zone", in_quotes(zone)),
                        "use a name of the IANA list, such as UTC or Europe/London");
      }
    }
    return std::move(spec_);
  }

 private:
  // `person: {user_id: customer_id, email: mail}`.
  void person() {
    const YamlNode* node = fields_.find("person", Need::required);
    if (node == nullptr) return;
    Fields given(*node, "`person`", problems_);
    if (!given.usable()) {
      problems_.error(node->spot, "`person` says which column names the person",
                      "write `person: {user_id: COLUMN}`; user_id, anonymous_id, email and phone are known");
      return;
    }
    spec_.user_id = given.text("user_id");
    spec_.anonymous_id = given.text("anonymous_id");
    spec_.email = given.text("email");
    spec_.phone = given.text("phone");
    given.finish();
    if (spec_.user_id.empty() && spec_.anonymous_id.empty() && spec_.email.empty() && spec_.phone.empty()) {
      problems_.error(node->spot, "`person` names no column",
                      "write `person: {user_id: COLUMN}`; user_id, anonymous_id, email and phone are known");
    }
  }

  // So that two rows never speak of one person, and a row that is gone can be said of somebody.
  void key_is_a_person() {
    if (spec_.key.empty()) return;
    const std::array<std::string_view, 4> identifiers{spec_.user_id, spec_.anonymous_id, spec_.email,
                                                      spec_.phone};
    const bool fits =
        spec_.key.size() == 1 && std::ranges::find(identifiers, spec_.key.front()) != identifiers.end();
    if (fits) return;
    problems_.error(fields_.spot_of("key"), "the key of people is the column that names the person",
                    "name one of the columns of `person`, and have the query give one row for each of them");
  }

  void columns(std::string_view key) {
    const YamlNode* node = fields_.find(key);
    if (node == nullptr) return;
    spec_.every_column = false;
    if (node->kind != YamlNode::Kind::mapping) {
      problems_.error(
          node->spot, fmt::format("`{}` says which column becomes which", key),
          fmt::format("write `{}: {{name: COLUMN}}`; leave it out to have every column by its name", key));
      return;
    }
    for (const YamlNode::Entry& entry : node->entries) {
      if (auto column = scalar_text(entry.value, fmt::format("`{}`", entry.key.text), problems_))
        spec_.fields[entry.key.text] = std::move(*column);
    }
  }

  // `event: Order Placed`, or `event: {column: kind}`.
  void event() {
    const YamlNode* node = fields_.find("event", Need::required);
    if (node == nullptr) return;
    if (node->kind != YamlNode::Kind::mapping) {
      spec_.event = scalar_text(*node, "`event`", problems_).value_or("");
      return;
    }
    Fields given(*node, "`event`", problems_);
    spec_.event_column = given.text("column", Need::required);
    given.finish();
  }

  Fields& fields_;
  Problems& problems_;
  QuerySpec spec_;
};

}  // namespace

QuerySpec read_query_spec(Fields& fields, Problems& problems) { return QueryReader(fields, problems).read(); }

}  // namespace tailrace::workspace
