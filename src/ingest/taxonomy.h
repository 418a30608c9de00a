// The taxonomy at work: which name an event goes by, and whether it may be admitted. It judges at apply, not
// at the door, so that what it holds back stays in the log and a mended taxonomy can re-admit it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/text_hash.h"
#include "model/record.h"
#include "model/value.h"
#include "workspace/workspace.h"

namespace tailrace::ingest {

// What page and screen calls are called, in every workspace.
constexpr std::string_view kPageViewed = workspace::kBuiltInEvents[0];
constexpr std::string_view kScreenViewed = workspace::kBuiltInEvents[1];

class Taxonomy {
 public:
  explicit Taxonomy(const workspace::Taxonomy& rules);

  // What an event is called, and by which rule.
  struct Named {
    static constexpr std::size_t kNoRule = SIZE_MAX;
    std::size_t rule = kNoRule;
    // Canonical; lent by the taxonomy, or by the record where there is no rule.
    std::string_view event;
  };
  // For track, page and screen records.
  Named name(const RecordView& record) const;
  std::size_t rule_count() const { return rules_.size(); }
  // The members of an event's properties, at the top level, that judging it looks at.
  std::span<const std::string> looks_at(const Named& named) const;
  // Why it is not admitted; empty: it is.
  std::string judge(const Named& named, const Value& properties) const;
  // Strings that the taxonomy reads as numbers become those numbers. Of properties that were admitted.
  void convert(const Named& named, Value& properties) const;

 private:
  struct Rule {
    std::string event;
    std::vector<workspace::PropertyRule> checks;  // those that required or typed
    std::vector<std::string> members;             // in which these look
  };
  std::size_t find(std::string_view name) const;

  bool admit_unknown_;
  std::vector<Rule> rules_;
  std::map<std::string, std::size_t, std::less<>> by_name_;  // trimmed, lower case: names and aliases
  boost::unordered_flat_map<std::string, std::size_t, TextHash, std::equal_to<>>
      by_spelling_;  // the same, as written
};

// Trimmed, and ASCII lower case: how event names are compared.
std::string folded(std::string_view name);

}  // namespace tailrace::ingest
