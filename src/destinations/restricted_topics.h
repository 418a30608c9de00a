// Names that a platform takes for a statement about people that it forbids: Meta stops audiences whose name
// or description suggests what somebody's health or finances are like (operation status 471, error 1713230).
#pragma once

#include <optional>
#include <string_view>

namespace tailrace::destinations {

struct RestrictedTopic {
  std::string_view topic;  // "health"
  std::string_view word;   // of the text, as the list has it
};

// The first restricted topic that the text suggests, by whole words without regard to case. It is a list of
// words and not the platform's rule, which is not published: what it finds deserves another name, and what it
// does not find may be stopped all the same.
std::optional<RestrictedTopic> restricted_topic_in(std::string_view text);

}  // namespace tailrace::destinations
