// Runs text specifications against the brute-force judge.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/oracle.h"
#include "support/spec_checker.h"
#include "support/text_spec.h"

namespace tailrace::testing {

class OracleRunner final : public SpecRunner {
 public:
  Result<void> begin(const SpecWorkspace& workspace) override;
  std::vector<std::string> step(const SpecStatement& statement) override;
  std::vector<std::string> members(const SpecStatement& statement) override;
  std::vector<std::string> timeline(const SpecStatement& statement) override;

 private:
  struct Segment {
    std::string name;
    language::ExprPtr expr;
  };
  // Who is in which segment, as (person, index of the segment): the order in which changes are told.
  using Membership = std::set<std::pair<PersonId, std::size_t>>;

  OraclePerson& person(std::string_view who);
  void join(std::string_view absorbed, std::string_view into);
  void apply(const SpecAction& action);
  Membership membership(Time at) const;
  std::vector<std::string> changes_until(Time at) const;
  const Segment& segment(std::string_view name) const;
  std::string name_of(PersonId id) const;

  SpecWorkspace workspace_;
  OracleWorld world_;
  std::vector<Segment> segments_;
  std::map<std::string, PersonId, std::less<>> ids_;  // by every name a person is known under
  std::map<PersonId, std::string> names_;             // as printed; kept for those who are gone
  std::uint32_t created_ = 0;
  std::optional<Time> now_;
};

}  // namespace tailrace::testing
