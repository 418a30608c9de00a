// Which values are identifiers of nobody, and in what form identifiers are compared.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "model/identity_rules.h"
#include "model/person.h"

namespace tailrace::profiles {

// E-mails are the same whatever their case, phone numbers however they are grouped: "+44 20 7946-0018" is
// "+442079460018". Others are as they are. Lent: by `value`, or by `buffer`.
std::string_view compared_form(IdentifierKind kind, std::string_view value, std::string& buffer);
bool is_same(IdentifierKind kind, std::string_view a, std::string_view b);

// `*` in the pattern stands for any run of characters, none too.
bool matches(std::string_view pattern, std::string_view text);

class IdentifierFilter {
 public:
  IdentifierFilter() = default;
  explicit IdentifierFilter(const IdentityRules& rules);
  bool blocks(IdentifierKind kind, std::string_view value) const;

 private:
  struct OfKind {
    std::vector<std::string> values;  // in order, in the form in which they are compared
    std::vector<std::string> patterns;
  };
  std::array<OfKind, IdentityRules::kKinds> kinds_;
  bool placeholders_ = false;
};

}  // namespace tailrace::profiles
