#include "profiles/profiles.h"

#include <map>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "model/json.h"

namespace tailrace::profiles {
namespace {

// What was stated of one person, kept as it came: the judge.
struct Plain {
  struct Statement {
    Time time;
    std::string message_id;
    std::uint64_t arrival;
    std::string value;  // JSON
  };
  std::map<std::string, std::vector<Statement>> traits;
  std::map<std::string, std::vector<std::pair<Time, bool>>> consents;

  const Statement* trait_at(const std::string& name, Time t, Time& until) const {
    const Statement* best = nullptr;
    const auto found = traits.find(name);
    if (found == traits.end()) return nullptr;
    for (const Statement& one : found->second) {
      if (one.time > t) {
        until = std::min(until, one.time);
      } else if (best == nullptr || std::tie(best->time, best->message_id, best->arrival) <
                                        std::tie(one.time, one.message_id, one.arrival)) {
        best = &one;
      }
    }
    return best;
  }
  std::optional<bool> consent_at(const std::string& name, Time t) const {
    std::optional<std::pair<Time, bool>> best;  // denied counts as later
    const auto found = consents.find(name);
    if (found == consents.end()) return std::nullopt;
    for (const auto& [time, granted] : found->second) {
      if (time <= t && (!best || std::pair(time, !granted) >= *best)) best = {time, !granted};
    }
    return best ? std::optional(!best->second) : std::nullopt;
  }
};

class Scene {
 public:
  explicit Scene(std::uint64_t seed) : random_(seed) {}

  void identify(std::uint32_t person) {
    std::string json = "{";
    const std::string id = "m" + std::to_string(random_.below(3));
    const Time time{static_cast<std::int64_t>(random_.below(20))};
    for (const char* name : {"country", "age", "vip", "address", "tags"}) {
      if (random_.below(2) == 0) continue;
      const std::string value = a_value();
      json += (json.size() > 1 ? ",\"" : "\"") + std::string(name) + "\":" + value;
      plain_[person].traits[name].push_back({time, id, arrivals_++, value});
    }
    json += "}";
    std::string consent;
    if (random_.below(2) == 0) {
      const bool granted = random_.below(2) == 0;
      consent = granted ? R"({"ads":true})" : R"({"ads":false})";
      plain_[person].consents["ads"].emplace_back(time, granted);
    }
    const std::string user = user_of(person);
    RecordView record;
    record.kind = RecordKind::identify;
    record.user_id = user;
    record.message_id = id;
    record.time = time;
    ids_[person] = profiles_
                       .apply(Position(arrivals_++), record, *parse_json(json),
                              consent.empty() ? Value() : *parse_json(consent), Contacts())
                       .person;
  }
  // The second becomes the first.
  void merge(std::uint32_t into, std::uint32_t gone) {
    if (!ids_.contains(into) || !ids_.contains(gone)) return;
    const std::string user = user_of(into);
    const std::string previous = user_of(gone);
    RecordView record;
    record.kind = RecordKind::alias;
    record.user_id = user;
    record.previous_id = previous;
    const auto effect = profiles_.apply(Position(arrivals_++), record, Value(), Value(), Contacts());
    // Of merged people the older one's statements count as arrived first.
    Plain& older = plain_[ids_[into] < ids_[gone] ? into : gone];
    Plain& younger = plain_[ids_[into] < ids_[gone] ? gone : into];
    Plain both = older;
    for (auto& [name, statements] : younger.traits) {
      for (auto& one : statements) {
        one.arrival = arrivals_++;
        both.traits[name].push_back(one);
      }
    }
    for (auto& [name, statements] : younger.consents)
      both.consents[name].insert(both.consents[name].end(), statements.begin(), statements.end());
    plain_[into] = std::move(both);
    plain_.erase(gone);
    ids_[into] = effect.person;
    ids_.erase(gone);
    ++merged_[gone];
  }
  void remove(std::uint32_t person) {
    if (!ids_.contains(person)) return;
    const std::string user = user_of(person);
    RecordView record;
    record.kind = RecordKind::remove;
    record.user_id = user;
    const auto removal = profiles_.remove(record, Value());
    ASSERT_TRUE(removal);
    ASSERT_EQ(removal->person, ids_[person]);
    ids_.erase(person);
    plain_.erase(person);
    ++merged_[person];
  }
  void save_and_restore() {
    ByteWriter out;
    profiles_.save(out);
    const std::string bytes = out.take();
    ByteReader in(bytes);
    profiles_ = {};
    ASSERT_TRUE(profiles_.restore(in));
    EXPECT_TRUE(in.done());
  }

  void compare() {
    for (const auto& [person, id] : ids_) {
      for (std::int64_t ms = -1; ms <= 20; ++ms) {
        for (const char* name : {"country", "age", "vip", "address", "tags"}) {
          Time until = kNever;
          const Plain::Statement* expected = plain_[person].trait_at(name, {ms}, until);
          const Stated found = profiles_.trait_at(id, profiles_.trait(name), {ms});
          EXPECT_EQ(found.until, until);
          ASSERT_EQ(found.kind != Stated::Kind::nothing, expected != nullptr);
          if (expected == nullptr) continue;
          EXPECT_EQ(to_json(found.value()), to_json(*parse_json(expected->value))) << name;
        }
        EXPECT_EQ(profiles_.consent_at(id, profiles_.purpose("ads"), {ms}).granted,
                  plain_[person].consent_at("ads", {ms}));
      }
    }
  }

  std::uint64_t below(std::uint64_t limit) { return random_.below(limit); }

 private:
  // A person who is gone comes back under another name.
  std::string user_of(std::uint32_t person) {
    return "u" + std::to_string(person) + "-" + std::to_string(merged_[person]);
  }
  std::string a_value() {
    static const std::vector<std::string> kValues{"null",
                                                  "true",
                                                  "false",
                                                  "0",
                                                  "-12.5",
                                                  "123456789012345678",
                                                  "1234567890123456789012",
                                                  R"("DE")",
                                                  R"("Straße\n1")",
                                                  R"(["a","b"])",
                                                  R"({"city":"Ulm","zip":{"code":89073}})",
                                                  R"("")"};
    return kValues[random_.below(kValues.size())];
  }

  Random random_;
  Profiles profiles_;
  std::uint64_t arrivals_ = 0;
  std::map<std::uint32_t, PersonId> ids_;
  std::map<std::uint32_t, Plain> plain_;
  std::map<std::uint32_t, std::uint64_t> merged_;
};

TEST(Profiles, say_of_every_instant_what_was_stated_in_whatever_order_it_came) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Scene scene(seed);
    for (int step = 0; step < 60; ++step) {
      const auto person = static_cast<std::uint32_t>(scene.below(4));
      switch (scene.below(12)) {
        case 0:
          scene.merge(person, (person + 1) % 4);
          break;
        case 1:
          scene.remove(person);
          break;
        case 2:
          scene.save_and_restore();
          break;
        default:
          scene.identify(person);
      }
    }
    scene.compare();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(Profiles, damaged_bytes_of_a_person_are_an_error) {
  Profiles profiles;
  RecordView record;
  record.kind = RecordKind::identify;
  record.user_id = "u1";
  record.message_id = "m1";
  profiles.apply(Position(1), record, *parse_json(R"({"country":"DE","tags":["a"],"age":7})"), Value(),
                 Contacts());
  ByteWriter out;
  profiles.save(out);
  const std::string bytes = out.take();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      Profiles restored;
      ByteReader in(damaged);
      if (!restored.restore(in)) continue;  // else it is another state, but a sound one
      if (restored.alive(PersonId(0)))
        static_cast<void>(restored.profile(PersonId(0), IdentifierKind::email, Time{0}));
    }
    Profiles restored;
    ByteReader in(std::string_view(bytes).substr(0, i));
    EXPECT_FALSE(restored.restore(in)) << i;
  }
}

}  // namespace
}  // namespace tailrace::profiles
