// What a person costs who did nothing yet: identifiers with their source and time, traits, consent, click
// ids, and the directory in which they are found. One line of JSON per kind of person; docs/performance.md
// has the figures.
//
//   people_bench [people]        default: 1,000,000
#include <cstdint>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "model/json.h"
#include "profiles/profiles.h"

namespace {

using namespace tailrace;

// How much is said of each person.
struct Kind {
  const char* name;
  bool anonymous_id = false;
  int emails = 0;
  bool phone = false;
  bool traits = false;
  bool clicks = false;
};

class Crowd {
 public:
  void add(std::uint32_t number, const Kind& kind) {
    const std::string user = fmt::format("customer-{}", number);
    const std::string anonymous =
        fmt::format("{:08x}-5c1e-4f2a-9d3b-{:012x}", number * 2'654'435'761u, number);
    RecordView record;
    record.kind = RecordKind::identify;
    record.source = "web";
    record.user_id = user;
    if (kind.anonymous_id) record.anonymous_id = anonymous;
    identify(record, traits_of(number, kind, 0), number);
    for (int i = 1; i < kind.emails; ++i) {
      record.anonymous_id = {};
      identify(record, traits_of(number, {.name = "", .emails = 1}, i), number);
    }
    if (kind.clicks) {
      const auto person = profiles_.find(IdentifierKind::external_id, user);
      const std::string value = fmt::format("Cj0KCQiA{:032x}EALw_wcB", number);
      profiles_.see(*person, std::vector<profiles::SeenClick>{{ClickKind::gclid, value}}, Time{number});
    }
  }

  void print(const Kind& kind, std::uint32_t people) const {
    MemoryParts parts;
    profiles_.add_memory(parts);
    std::string text = fmt::format(R"({{"person":"{}","people":{})", kind.name, people);
    for (const auto& part : parts.parts())
      text += fmt::format(R"(,"{}":{:.0f})", part.name, static_cast<double>(part.use.bytes) / people);
    fmt::print("{},\"bytes\":{:.0f}}}\n", text, static_cast<double>(parts.total().bytes) / people);
  }

 private:
  static std::string traits_of(std::uint32_t number, const Kind& kind, int turn) {
    std::string traits = "{";
    const auto add = [&](const std::string& member) { traits += (traits.size() > 1 ? "," : "") + member; };
    if (kind.emails > 0) add(fmt::format(R"("email":"person.{}.{}@example.com")", number, turn));
    if (kind.phone) add(fmt::format(R"("phone":"+4420{:08}")", number));
    if (kind.traits)
      add(fmt::format(R"("first_name":"Ada","city":"London","country":"GB","vip":true,"score":{})",
                      number % 97));
    return traits + "}";
  }
  void identify(RecordView& record, const std::string& traits, std::uint32_t number) {
    const std::string id = fmt::format("m-{}-{}", number, records_);
    record.message_id = id;
    record.time = Time{1'770'000'000'000 + number};
    const auto parsed = parse_json(traits);
    if (!parsed) std::abort();
    profiles_.apply(Position(records_ += 300), record, *parsed, Value(), {});
  }

  profiles::Profiles profiles_;
  std::uint64_t records_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const auto people = static_cast<std::uint32_t>(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000);
  for (const Kind& kind : {Kind{.name = "user id"},
                           Kind{.name = "user id, anonymous id, e-mail", .anonymous_id = true, .emails = 1},
                           Kind{.name = "these, phone, 5 traits",
                                .anonymous_id = true,
                                .emails = 1,
                                .phone = true,
                                .traits = true},
                           Kind{.name = "these, three e-mails, a click id",
                                .anonymous_id = true,
                                .emails = 3,
                                .phone = true,
                                .traits = true,
                                .clicks = true}}) {
    Crowd crowd;
    for (std::uint32_t i = 0; i < people; ++i) crowd.add(i, kind);
    crowd.print(kind, people);
  }
}
