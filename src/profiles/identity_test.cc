// Who is who under rules: what merges, what is held back and why, and what a deletion leaves.
#include <gmock/gmock.h>

#include "model/json.h"
#include "profiles/profiles.h"

namespace tailrace::profiles {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class Identity : public ::testing::Test {
 protected:
  Profiles::Effect identify(const std::string& user, const std::string& traits, Time time = {},
                            std::uint8_t pinned = 0) {
    RecordView record;
    record.kind = RecordKind::identify;
    record.source = "app";
    record.user_id = user;
    record.time = time;
    record.pinned = pinned;
    return profiles_.apply(Position(++records_), record, *parse_json(traits), Value(), {});
  }
  void alias(const std::string& previous, const std::string& user) {
    RecordView record;
    record.kind = RecordKind::alias;
    record.source = "app";
    record.previous_id = previous;
    record.user_id = user;
    profiles_.apply(Position(++records_), record, Value(), Value(), {});
  }
  std::optional<Profiles::Removal> remove(const std::string& user) {
    RecordView record;
    record.kind = RecordKind::remove;
    record.user_id = user;
    return profiles_.remove(record, Value());
  }
  bool are_one(const std::string& a, const std::string& b) const {
    const auto one = profiles_.find(IdentifierKind::external_id, a);
    return one && one == profiles_.find(IdentifierKind::external_id, b);
  }
  std::uint64_t refused(IdentifierKind kind, Refusal reason) const {
    return profiles_.graph().refused()[static_cast<std::size_t>(kind)][static_cast<std::size_t>(reason)];
  }
  std::vector<std::string> values_of(const std::string& user) const {
    std::vector<std::string> values;
    for (const auto& one : profiles_.identifiers(*profiles_.find(IdentifierKind::external_id, user)))
      values.push_back(one.value);
    return values;
  }
  void use(const std::function<void(IdentityRules&)>& change) {
    change(rules_);
    profiles_.set_rules(rules_);
  }

  IdentityRules rules_;
  Profiles profiles_;
  std::uint64_t records_ = 0;
};

TEST_F(Identity, a_shared_email_makes_nobody_one_unless_the_rules_say_so) {
  identify("ada", R"({"email":"a@example.com"})");
  identify("bob", R"({"email":"A@Example.com"})");
  EXPECT_FALSE(are_one("ada", "bob"));
  use([](IdentityRules& rules) { rules.of(IdentifierKind::email).merges = true; });
  const auto effect = identify("bob", R"({"email":"a@example.com"})");
  EXPECT_TRUE(are_one("ada", "bob"));
  EXPECT_THAT(effect.merged, ElementsAre(PersonId(1)));
}

TEST_F(Identity, somebody_new_who_is_somebody_known_was_never_seen_apart) {
  use([](IdentityRules& rules) { rules.of(IdentifierKind::email).merges = true; });
  identify("ada", R"({"email":"a@example.com"})");
  const auto effect = identify("bob", R"({"email":"a@example.com"})");
  EXPECT_EQ(effect.person, PersonId(0));
  EXPECT_FALSE(effect.created);
  EXPECT_THAT(effect.merged, IsEmpty());
}

TEST_F(Identity, one_record_may_join_three) {
  use([](IdentityRules& rules) {
    rules.of(IdentifierKind::email).merges = true;
    rules.of(IdentifierKind::phone).merges = true;
  });
  identify("ada", R"({"email":"a@example.com"})");
  identify("bob", R"({"phone":"+44 20 7946 0018"})");
  identify("cyd", "{}");
  const auto effect = identify("cyd", R"({"email":"a@example.com","phone":"+442079460018"})");
  EXPECT_TRUE(are_one("ada", "bob"));
  EXPECT_TRUE(are_one("ada", "cyd"));
  EXPECT_THAT(effect.merged, ElementsAre(PersonId(2), PersonId(1)));
}

TEST_F(Identity, a_shared_phone_joins_as_many_as_it_may) {
  use([](IdentityRules& rules) {
    rules.of(IdentifierKind::phone).merges = true;
    rules.of(IdentifierKind::phone).people_max = 2;
  });
  for (const char* user : {"ada", "bob", "cyd", "cyd"}) identify(user, R"({"phone":"+442079460018"})");
  EXPECT_TRUE(are_one("ada", "bob"));
  EXPECT_FALSE(are_one("ada", "cyd"));
  EXPECT_EQ(refused(IdentifierKind::phone, Refusal::too_many_people), 2u);
  EXPECT_THAT(values_of("cyd"), ElementsAre("cyd", "+442079460018")) << "it stays theirs";
}

TEST_F(Identity, one_user_id_a_person_keeps_users_apart_whatever_they_share) {
  use([](IdentityRules& rules) {
    rules.of(IdentifierKind::email).merges = true;
    rules.of(IdentifierKind::external_id).values_max = 1;
  });
  identify("ada", R"({"email":"a@example.com"})");
  identify("bob", R"({"email":"a@example.com"})");
  EXPECT_FALSE(are_one("ada", "bob"));
  EXPECT_EQ(refused(IdentifierKind::email, Refusal::too_many_together), 1u);
}

TEST_F(Identity, a_value_too_many_is_not_kept) {
  use([](IdentityRules& rules) { rules.of(IdentifierKind::email).values_max = 2; });
  for (const char* email : {"1", "2", "3", "1"})
    identify("ada", std::string(R"({"email":")") + email + R"(@example.com"})");
  EXPECT_THAT(values_of("ada"), ElementsAre("ada", "1@example.com", "2@example.com"));
  EXPECT_FALSE(profiles_.find(IdentifierKind::email, "3@example.com"));
  EXPECT_EQ(refused(IdentifierKind::email, Refusal::too_many_values), 1u);
}

TEST_F(Identity, blocked_values_are_nobodys) {
  use([](IdentityRules& rules) {
    rules.of(IdentifierKind::email).merges = true;
    rules.of(IdentifierKind::email).blocked = {"test@test.com", "*@noreply.*"};
    rules.blocks_placeholders = true;
  });
  identify("ada", R"({"email":"Test@test.com"})");
  identify("bob", R"({"email":"test@test.com"})");
  identify("cyd", R"({"email":"x@noreply.example.com","idfa":"00000000-0000-0000-0000-000000000000"})");
  EXPECT_FALSE(are_one("ada", "bob"));
  EXPECT_THAT(values_of("cyd"), ElementsAre("cyd"));
  EXPECT_EQ(refused(IdentifierKind::email, Refusal::blocked), 3u);
  RecordView record, copy;
  record.user_id = "null";
  EXPECT_EQ(profiles_.why_nobody(record, Value()),
            "it names nobody: its user id is blocked by `identity` in tailrace.yaml");
  record.anonymous_id = "anon-1";
  EXPECT_EQ(profiles_.why_nobody(record, Value()), "");
  EXPECT_EQ(profiles_.without_blocked(record, copy).user_id, "");
}

TEST_F(Identity, an_email_of_two_is_the_others_when_one_goes) {
  identify("ada", R"({"email":"a@example.com"})");
  identify("bob", R"({"email":"a@example.com"})");
  const auto removal = remove("ada");
  ASSERT_TRUE(removal);
  EXPECT_THAT(removal->heirs, ElementsAre(PersonId(1)));
  EXPECT_EQ(profiles_.find(IdentifierKind::email, "a@example.com"), PersonId(1));
}

TEST_F(Identity, who_was_refused_for_somebody_who_goes_stays_refused_and_is_pinned) {
  use([](IdentityRules& rules) {
    rules.of(IdentifierKind::phone).merges = true;
    rules.of(IdentifierKind::phone).people_max = 2;
  });
  for (const char* user : {"ada", "bob", "cyd", "dan"}) identify(user, R"({"phone":"+442079460018"})");
  const auto removal = remove("ada");
  ASSERT_TRUE(removal);
  EXPECT_THAT(removal->pins, ElementsAre(Pin{Position(3), pin_of(IdentifierKind::phone)},
                                         Pin{Position(4), pin_of(IdentifierKind::phone)}));
  EXPECT_FALSE(profiles_.find(IdentifierKind::phone, "+442079460018"));
  EXPECT_EQ(refused(IdentifierKind::phone, Refusal::decided), 2u);
  EXPECT_FALSE(are_one("cyd", "dan"));
}

TEST_F(Identity, a_pinned_record_makes_nobody_one) {
  use([](IdentityRules& rules) { rules.of(IdentifierKind::phone).merges = true; });
  identify("ada", R"({"phone":"+442079460018"})");
  identify("bob", R"({"phone":"+442079460018"})", {}, pin_of(IdentifierKind::phone));
  EXPECT_FALSE(are_one("ada", "bob"));
}

TEST_F(Identity, the_primary_of_several_is_what_was_stated_last_and_what_is_taken_back_is_nobodys) {
  const auto emails = [&] {
    std::vector<std::string> values;
    for (const auto& one :
         profiles_.profile(PersonId(0), IdentifierKind::external_id, Time{100}).identifiers) {
      if (one.kind == IdentifierKind::email) values.push_back(one.value);
    }
    return values;
  };
  identify("ada", R"({"email":"1@example.com"})", Time{1});
  identify("ada", R"({"email":"2@example.com"})", Time{2});
  EXPECT_THAT(emails(), ElementsAre("2@example.com", "1@example.com"));
  identify("ada", R"({"email":"1@example.com"})", Time{3});
  EXPECT_THAT(emails(), ElementsAre("1@example.com", "2@example.com"));
  identify("ada", R"({"email":null})", Time{4});
  EXPECT_THAT(emails(), IsEmpty());
  identify("ada", R"({"email":"3@example.com"})", Time{5});
  EXPECT_THAT(emails(), ElementsAre("3@example.com")) << "those before were taken back";
  identify("ada", R"({"email":"2@example.com"})", Time{6});
  EXPECT_THAT(emails(), ElementsAre("2@example.com", "3@example.com"));
}

TEST_F(Identity, since_is_the_earliest_and_the_record_the_first) {
  identify("ada", R"({"email":"a@example.com"})", Time{2'000});
  identify("ada", R"({"email":"a@example.com"})", Time{1'000});
  profiles_.graph().for_each_identifier(PersonId(0), [&](const IdentityEntry& entry) {
    EXPECT_EQ(entry.time, Time{1'000});
    EXPECT_EQ(entry.position, Position(1));
    EXPECT_EQ(profiles_.graph().source_name(entry.source), "app");
  });
}

TEST_F(Identity, an_alias_that_may_not_says_why) {
  identify("ada", "{}");
  identify("bob", "{}");
  RecordView record;
  record.kind = RecordKind::alias;
  record.previous_id = "ada";
  record.user_id = "bob";
  EXPECT_FALSE(profiles_.why_not(record, {}));
  use([](IdentityRules& rules) { rules.of(IdentifierKind::external_id).values_max = 1; });
  EXPECT_EQ(profiles_.why_not(record, {}), Refusal::too_many_together);
  use([](IdentityRules& rules) { rules.of(IdentifierKind::external_id).merges = false; });
  EXPECT_EQ(profiles_.why_not(record, {}), Refusal::kind_does_not_merge);
}

TEST_F(Identity, clicks_are_kept_through_merges_and_go_with_the_person) {
  identify("ada", "{}");
  identify("bob", "{}");
  const Value context =
      *parse_json(R"({"page":{"url":"https://shop.example/?gclid=g1&fbclid=f1"},"fbp":"fb.1.5.7"})");
  profiles_.see(PersonId(1), clicks_in(context, Time{2'000}), Time{2'000});
  profiles_.see(PersonId(0), clicks_in(context, Time{1'000}), Time{1'000});
  alias("bob", "ada");
  EXPECT_THAT(profiles_.clicks().of(PersonId(0)),
              UnorderedElementsAre(Click{ClickKind::gclid, "g1", Time{1'000}, Time{2'000}},
                                   Click{ClickKind::fbc, "fb.1.1000.f1", Time{1'000}, Time{2'000}},
                                   Click{ClickKind::fbp, "fb.1.5.7", Time{1'000}, Time{2'000}}));
  remove("ada");
  EXPECT_THAT(profiles_.clicks().of(PersonId(0)), IsEmpty());
}

TEST(Clicks, are_looked_for_only_where_they_may_be) {
  EXPECT_TRUE(may_hold_clicks(R"({"page":{"url":"https://shop.example/?a=b&ScCid=1"}})"));
  EXPECT_TRUE(may_hold_clicks(R"({"page":{"url":"https://shop.example/?fbclid=1"}})"));
  EXPECT_TRUE(may_hold_clicks(R"({"fbp":"fb.1.5.7"})"));
  EXPECT_FALSE(may_hold_clicks(R"({"page":{"url":"https://shop.example/?q=gclid"},"userAgent":"of fbp"})"));
  EXPECT_FALSE(may_hold_clicks(""));
}

TEST(Clicks, the_four_last_seen_of_a_kind_are_kept) {
  Clicks clicks;
  for (int i = 1; i <= 6; ++i)
    clicks.see(PersonId(3), {ClickKind::gclid, "g" + std::to_string(i), Time{i}, Time{i}});
  std::vector<std::string> values;
  for (const Click& click : clicks.of(PersonId(3))) values.push_back(click.value);
  EXPECT_THAT(values, ElementsAre("g6", "g5", "g4", "g3"));
}

TEST(IdentifierFilter, a_star_stands_for_anything) {
  EXPECT_TRUE(matches("*@example.com", "a@example.com"));
  EXPECT_TRUE(matches("a*c*", "abcbc"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_FALSE(matches("a*b", "abc"));
  EXPECT_FALSE(matches("", "a"));
}

}  // namespace
}  // namespace tailrace::profiles
