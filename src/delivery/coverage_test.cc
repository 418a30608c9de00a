#include "delivery/coverage.h"

#include <gmock/gmock.h>

#include "delivery/fake_platform.h"

namespace tailrace::delivery {
namespace {

using testing::ElementsAre;
using testing::Pair;

// It matches by e-mail, phone and the id of an iOS device.
class Matching final : public FakeDestination {
 public:
  std::span<const IdentifierKind> identifiers() const override {
    static constexpr std::array kKinds{IdentifierKind::email, IdentifierKind::phone, IdentifierKind::idfa};
    return kKinds;
  }
};

PersonProfile with(std::vector<std::pair<IdentifierKind, std::string>> identifiers) {
  PersonProfile profile;
  for (auto& [kind, value] : identifiers) profile.identifiers.push_back({kind, std::move(value), {}});
  return profile;
}

TEST(Coverage, counts_people_identifiers_and_why_others_cannot_be_uploaded) {
  constexpr auto kEmail = IdentifierKind::email;
  constexpr auto kPhone = IdentifierKind::phone;
  constexpr auto kIdfa = IdentifierKind::idfa;
  const Matching destination;
  Connection connection;
  connection.destination = &destination;
  connection.sync.identifiers = {kEmail};
  Coverage coverage(connection);
  coverage.add(with({{kEmail, "a"}, {kEmail, "b"}, {kEmail, "a"}, {kPhone, "1"}}));
  coverage.add(with({{kEmail, "bad"}, {kPhone, "2"}, {kPhone, "bad"}}));
  coverage.add(with({{kEmail, "bad"}, {kEmail, "bad too"}}));
  coverage.add(with({{kEmail, "c"}, {kIdfa, "x"}}));
  coverage.add(with({}));

  EXPECT_EQ(coverage.people(), 5u);
  EXPECT_EQ(coverage.usable(), 2u);
  EXPECT_THAT(coverage.unusable(), ElementsAre(Pair("email malformed", 3u)));
  ASSERT_EQ(coverage.kinds().size(), 3u);
  const auto& email = coverage.kinds()[0];
  EXPECT_TRUE(email.used);
  EXPECT_EQ(email.people, 2u);
  EXPECT_EQ(email.identifiers, 3u);
  const auto& phone = coverage.kinds()[1];
  EXPECT_FALSE(phone.used);
  EXPECT_EQ(phone.people, 2u);
  EXPECT_EQ(phone.more_people, 1u);
  EXPECT_EQ(phone.more_of_people, 1u);
  EXPECT_EQ(coverage.kinds()[2].more_people, 0u);
  EXPECT_EQ(coverage.kinds()[2].more_of_people, 1u);
}

}  // namespace
}  // namespace tailrace::delivery
